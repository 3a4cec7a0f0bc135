import path from 'node:path';
import type { CallOptions } from '../../core/index.ts';
import { declaredArgs } from '../buildfile/declared-args.ts';
import { type BuildfilePart, parseParts } from '../buildfile/parts.ts';
import { BuildfileError, type Problem } from '../buildfile/problems.ts';
import type { OpenedContext } from '../engine/open-context.ts';
import type { LockContent } from '../lock/lock-content.ts';
import { planBuildfile } from '../plan/make-plan.ts';
import type { Position } from '../plan/plan.ts';
import type { PlanOptions } from '../plan/plan-options.ts';
import { gatherFacts } from './context-facts.ts';
import { isIgnored, readIgnoreComments } from './ignore-comments.ts';
import type { Edit, Severity } from './rule.ts';
import { lintRules } from './rules.ts';
import { allSteps, type LintSubject, readBuildfile } from './subject.ts';

/** Where a rule is not kept, for those who show it. */
export interface Finding {
  readonly rule: string;
  readonly severity: Severity;
  readonly message: string;
  readonly position: Position;
  /** Behind its last character. */
  readonly end: Position;
  readonly fix: readonly FixEdit[];
}

/** An edit of the finding's file, in offsets (UTF-16 units, a byte order mark not counted) and for those who count lines. */
export interface FixEdit extends Edit {
  readonly from: Position;
  readonly until: Position;
}

export interface LintResult {
  /** By file, then by place. */
  readonly findings: readonly Finding[];
  /** By name, for the excerpts of messages. */
  readonly texts: ReadonlyMap<string, string>;
}

export interface LintInput {
  readonly context: OpenedContext;
  /** Of which `--target`s, with which arguments. */
  readonly plan: PlanOptions;
  readonly lock: LockContent | undefined;
}

/**
 * Holds a Buildfile, and what it includes, against all rules. Required arguments may be missing: what depends on them is
 * left out.
 * @throws BuildfileError when the Buildfile has mistakes
 */
export async function lintBuildfile(input: LintInput, options: CallOptions = {}): Promise<LintResult> {
  requireValid(input);
  const subject = await openSubject(input, options);
  const findings = lintRules.flatMap((rule) =>
    [...rule.check(subject)].flatMap((breach): Finding[] => {
      const { file, span, message, fix = [] } = breach;
      const comments = subject.ignores.get(file);
      if (comments !== undefined && isIgnored(rule.name, breach, comments)) return [];
      const place = (offset: number): Position => file.position(offset);
      const edits = fix.map((edit) => ({ ...edit, from: place(edit.start), until: place(edit.end) }));
      const { name, severity } = rule;
      return [{ rule: name, severity, message, position: place(span.start), end: place(span.end), fix: edits }];
    }),
  );
  return { findings: findings.sort(byPlace), texts: new Map(subject.files.map(({ name, text }) => [name, text])) };
}

/** Names and texts are those of the context; the plan gives the rest. */
function mainFile({ buildfileName, buildfileFolder, buildfileText }: OpenedContext) {
  return { name: buildfileName, folder: buildfileFolder, text: buildfileText };
}

function requireValid({ context, plan }: LintInput): void {
  try {
    planBuildfile(context.buildfileText, context.buildfileName, plan);
  } catch (error) {
    if (!(error instanceof BuildfileError)) throw error;
    const { parts, texts } = parseParts(mainFile(context), plan.includes);
    const required = requiredArguments(parts);
    const mistakes = error.problems.filter((problem) => !isMissing(problem, required));
    if (mistakes.length === 0) return;
    throw new BuildfileError(mistakes, texts);
  }
}

/** Where arguments are declared that have to be given. */
function requiredArguments(parts: readonly BuildfilePart[]): ReadonlySet<string> {
  const required = [...declaredArgs(parts).args.values()].filter((arg) => arg.required);
  return new Set(required.map(({ name, document }) => placeText(document.keyPosition(['args', name]))));
}

/** That an argument was not given is no mistake of the file. */
function isMissing({ code, position }: Problem, required: ReadonlySet<string>): boolean {
  return code === 'BUILDFILE_MISSING_ARG' && required.has(placeText(position));
}

function placeText({ file, line, column }: Position): string {
  return `${file}\n${line}:${column}`;
}

async function openSubject({ context, plan, lock }: LintInput, options: CallOptions): Promise<LintSubject> {
  const read = readBuildfile(mainFile(context), plan);
  const paths = [...allSteps(read)].flatMap(({ contextPaths }) =>
    contextPaths.flatMap(({ path: wanted, hasWildcard }) => (hasWildcard || wanted === '' ? [] : [wanted])),
  );
  const { contextFolder, buildfile, ignore } = context;
  const facts = await gatherFacts({ contextFolder, buildfile: path.resolve(buildfile), ignore, paths }, options);
  const ignores = new Map(read.files.map((file) => [file, readIgnoreComments(file)]));
  return { ...read, facts, lock, ignores, ruleNames: lintRules.map(({ name }) => name) };
}

function byPlace({ position: a, rule: first }: Finding, { position: b, rule: second }: Finding): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line || a.column - b.column || (first < second ? -1 : 1);
}

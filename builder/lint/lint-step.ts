import path from 'node:path';
import { type StepContent, stepVerbs } from '../buildfile/step-schema.ts';
import type { TomlPath } from '../buildfile/toml.ts';
import { findVerb } from '../buildfile/verbs.ts';
import type { CopySource } from '../plan/plan.ts';
import type { LintFile } from './lint-file.ts';
import { type LintScript, lintScript } from './lint-script.ts';

/** A step as rules see it. */
export interface LintStep {
  readonly file: LintFile;
  /** Of the step's table. */
  readonly at: TomlPath;
  readonly content: StepContent;
  readonly verb: string | undefined;
  /** What a `run` or `test` runs. */
  readonly script: LintScript | undefined;
  readonly sources: readonly TakenSource[];
  /** What is taken from the context, without those that are optional. */
  readonly contextPaths: readonly ContextPath[];
}

export interface TakenSource {
  /** As it is written, variables replaced. */
  readonly from: string | undefined;
  readonly source: CopySource;
  readonly at: TomlPath;
}

export interface ContextPath {
  /** Relative to the context, without `./`; empty for all of it. */
  readonly path: string;
  readonly hasWildcard: boolean;
  readonly at: TomlPath;
}

export type FindSource = (from: string | undefined) => CopySource | undefined;

export function lintSteps(
  contents: readonly StepContent[],
  at: TomlPath,
  file: LintFile,
  findSource: FindSource,
): LintStep[] {
  return contents.map((content, index) => lintStep(content, [...at, index], file, findSource));
}

function lintStep(content: StepContent, at: TomlPath, file: LintFile, findSource: FindSource): LintStep {
  const found = findVerb(stepVerbs, Object.keys(content));
  const verb = found.kind === 'one' ? found.verb : undefined;
  const command = content.run ?? content.test;
  const taken = [...copied(content, at), ...bound(content, at)].flatMap(({ from, fromAt, paths }) => {
    const source = findSource(from);
    return source === undefined ? [] : [{ from, source, at: fromAt, paths }];
  });
  return {
    file,
    at,
    content,
    verb,
    script: command === undefined ? undefined : lintScript(command, [...at, verb ?? 'run'], file),
    sources: taken.map(({ from, source, at: fromAt }) => ({ from, source, at: fromAt })),
    contextPaths: taken.flatMap(({ source, paths }) => (source.kind === 'context' ? paths : [])),
  };
}

interface Taken {
  readonly from: string | undefined;
  readonly fromAt: TomlPath;
  readonly paths: readonly ContextPath[];
}

function copied({ copy, from, optional }: StepContent, at: TomlPath): Taken[] {
  if (copy === undefined) return [];
  const copyAt = [...at, 'copy'];
  const paths =
    typeof copy === 'string'
      ? [contextPath(copy, copyAt)]
      : copy.map((one, index) => contextPath(one, [...copyAt, index]));
  return [{ from, fromAt: [...at, 'from'], paths: optional ? [] : paths }];
}

function bound({ mounts = [] }: StepContent, at: TomlPath): Taken[] {
  return mounts.flatMap(({ bind, from }, index) => {
    const mountAt = [...at, 'mounts', index];
    if (bind === undefined) return [];
    // A bind has no wildcards.
    const paths = [{ ...contextPath(bind, [...mountAt, 'bind']), hasWildcard: false }];
    return [{ from, fromAt: [...mountAt, 'from'], paths }];
  });
}

function contextPath(written: string, at: TomlPath): ContextPath {
  const clean = path.posix.normalize(`/${written}`).replace(/^\/|\/$/g, '');
  return { path: clean, hasWildcard: /[*?[\\]/.test(written) || written.includes('${'), at };
}

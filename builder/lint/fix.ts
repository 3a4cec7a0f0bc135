import path from 'node:path';
import { type CallOptions, realPathInside, ToolError } from '../../core/index.ts';
import type { OpenedContext } from '../engine/open-context.ts';
import { readWholeText, rewriteFile } from '../format/rewrite-file.ts';
import { type Finding, type LintInput, type LintResult, lintBuildfile } from './lint.ts';
import type { Edit } from './rule.ts';

export interface FixResult extends LintResult {
  /** What was put right, as it was found. */
  readonly fixed: readonly Finding[];
}

/** One fix may make room for another one, but not for ever. */
const maxRounds = 10;

/**
 * Puts right what rules can, and returns what is left. Files outside the context are not changed, each file is written
 * once and at once.
 * @throws BuildfileError; ToolError OUTPUT_BUILDFILE, BUILDFILE_CHANGED
 */
export async function fixBuildfile(input: LintInput, options: CallOptions = {}): Promise<FixResult> {
  const files = await filesToFix(input.context);
  const fixed: Finding[] = [];
  let current = input;
  let result = await lintBuildfile(current, options);
  for (let round = 0; round < maxRounds; round++) {
    const chosen = compatibleFixes(result.findings.filter(({ position }) => files.has(position.file)));
    if (chosen.length === 0) break;
    fixed.push(...chosen);
    current = withTexts(current, editedTexts(chosen, result.texts));
    result = await lintBuildfile(current, options);
  }
  await write(files, textsOf(input.context), textsOf(current.context), options);
  return { ...result, fixed };
}

/** Absolute paths by name, of those that really lie in the context. */
async function filesToFix({ contextFolder, buildfile, buildfileName, includes }: OpenedContext) {
  const all = [
    [buildfileName, buildfile] as const,
    ...includes.files.map(({ name, folder }) => [name, path.join(folder, path.basename(name))] as const),
  ];
  const files = new Map<string, string>();
  for (const [name, file] of all) {
    if ((await realPathInside(file, [contextFolder])) !== undefined) files.set(name, file);
  }
  return files;
}

/** Of fixes that touch each other the first is taken; the rest has its turn in the next round. */
function compatibleFixes(findings: readonly Finding[]): Finding[] {
  const ends = new Map<string, number>();
  const fixable = findings.filter(({ fix }) => fix.length > 0);
  const start = ({ fix }: Finding): number =>
    fix.reduce((least, edit) => Math.min(least, edit.start), Number.POSITIVE_INFINITY);
  const sorted = fixable.toSorted((a, b) => start(a) - start(b));
  return sorted.filter((finding) => {
    const { file } = finding.position;
    if (start(finding) < (ends.get(file) ?? 0)) return false;
    ends.set(
      file,
      finding.fix.reduce((most, { end }) => Math.max(most, end), 0),
    );
    return true;
  });
}

function editedTexts(findings: readonly Finding[], texts: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const edits = Map.groupBy(findings, ({ position }) => position.file);
  return new Map(
    Array.from(edits, ([file, found]) => [
      file,
      edited(
        texts.get(file) ?? '',
        found.flatMap(({ fix }) => fix),
      ),
    ]),
  );
}

function edited(text: string, edits: readonly Edit[]): string {
  const parts: string[] = [];
  let from = 0;
  for (const { start, end, text: replacement } of edits.toSorted((a, b) => a.start - b.start)) {
    parts.push(text.slice(from, start), replacement);
    from = end;
  }
  return parts.join('') + text.slice(from);
}

function withTexts(input: LintInput, texts: ReadonlyMap<string, string>): LintInput {
  const { context, plan } = input;
  const includes = {
    problems: context.includes.problems,
    files: context.includes.files.map((file) => ({ ...file, text: newText(file.name, file.text, texts) })),
  };
  const buildfileText = newText(context.buildfileName, context.buildfileText, texts);
  return { ...input, context: { ...context, buildfileText, includes }, plan: { ...plan, includes } };
}

/** A byte order mark stays. */
function newText(name: string, text: string, texts: ReadonlyMap<string, string>): string {
  const changed = texts.get(name);
  return changed === undefined ? text : text.startsWith('\ufeff') ? `\ufeff${changed}` : changed;
}

function textsOf({ buildfileName, buildfileText, includes }: OpenedContext): ReadonlyMap<string, string> {
  return new Map([[buildfileName, buildfileText], ...includes.files.map(({ name, text }) => [name, text] as const)]);
}

async function write(
  files: ReadonlyMap<string, string>,
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
  options: CallOptions,
): Promise<void> {
  const changed = [...files].filter(([name]) => before.get(name) !== after.get(name));
  // All are read again before one is written: what somebody else wrote meanwhile is not lost.
  for (const [name, file] of changed) {
    if ((await readWholeText(file, name, options)) === before.get(name)) continue;
    throw new ToolError('BUILDFILE_CHANGED', `${name} has changed meanwhile; nothing is fixed`, { hint: 'try again' });
  }
  for (const [name, file] of changed) await rewriteFile(file, name, after.get(name) ?? '');
}

import { stat } from 'node:fs/promises';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import {
  BuildfileError,
  decodeWholeText,
  dockerfileHint,
  formatBuildfile,
  type Problem,
  readWholeText,
  rewriteFile,
} from '../builder/index.ts';
import { ToolError } from '../core/index.ts';
import type { FmtFlags } from './commands/fmt.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { harmlessLine } from './terminal-text.ts';

/** A file and what it should say. */
interface FormattedFile {
  readonly file: string;
  /** As it was named. */
  readonly shown: string;
  readonly before: string;
  readonly after: string;
}

/** `kiln fmt`. */
export async function runFmt(context: Context, flags: FmtFlags, names: readonly string[]): Promise<number> {
  if (names.includes('-')) return formatInput(context, flags, names);
  const files = await formatAll(context, names.length === 0 ? ['Buildfile'] : [...new Set(names)]);
  const changed = files.filter(({ before, after }) => before !== after);
  if (!flags.check) {
    for (const { file, shown, after } of changed) {
      context.signal.throwIfAborted();
      await rewriteFile(file, shown, after);
    }
  }
  if (flags.json) {
    const listed = files.map(({ shown, before, after }) => ({ file: shown, changed: before !== after }));
    context.terminal.out.write(`${JSON.stringify({ files: listed, written: !flags.check })}\n`);
  } else for (const { shown } of changed) context.terminal.out.write(`${harmlessLine(shown)}\n`);
  return flags.check && changed.length > 0 ? exitCodes.findings : exitCodes.ok;
}

async function formatInput({ terminal }: Context, flags: FmtFlags, names: readonly string[]): Promise<number> {
  if (names.length > 1)
    throw new ToolError('USAGE_FMT_INPUT', '- stands for the one text on standard input', {
      hint: 'format files in another command',
    });
  const shown = '<stdin>';
  const before = decodeWholeText(await buffer(terminal.input), shown);
  const after = formatBuildfile(before, shown);
  if (flags.json) terminal.out.write(`${JSON.stringify({ files: [{ file: shown, changed: before !== after }] })}\n`);
  else if (!flags.check) terminal.out.write(after);
  else if (before !== after) terminal.out.write(`${shown}\n`);
  return flags.check && before !== after ? exitCodes.findings : exitCodes.ok;
}

/** @throws BuildfileError with the problems of all files */
async function formatAll(context: Context, names: readonly string[]): Promise<FormattedFile[]> {
  const files: FormattedFile[] = [];
  const problems: Problem[] = [];
  const texts = new Map<string, string>();
  for (const name of names) {
    const { file, shown } = await placeOf(name, context);
    const before = await readBuildfile(file, shown, context);
    texts.set(shown, before);
    try {
      files.push({ file, shown, before, after: formatBuildfile(before, shown) });
    } catch (error) {
      if (!(error instanceof BuildfileError)) throw error;
      problems.push(...error.problems);
    }
  }
  if (problems.length > 0) throw new BuildfileError(problems, texts);
  return files;
}

/** @throws ToolError as readWholeText does; beside a Dockerfile with a hint */
async function readBuildfile(file: string, shown: string, { signal }: Context): Promise<string> {
  try {
    return await readWholeText(file, shown, { signal });
  } catch (error) {
    if (!(error instanceof ToolError && error.code === 'BUILDFILE_NOT_FOUND')) throw error;
    const hint = await dockerfileHint(path.dirname(file));
    throw hint === undefined ? error : new ToolError(error.code, error.message, { cause: error, hint });
  }
}

async function placeOf(name: string, { folder }: Context): Promise<{ readonly file: string; readonly shown: string }> {
  const file = path.resolve(folder, name);
  const found = await stat(file).catch(() => undefined);
  if (found?.isDirectory() !== true) return { file, shown: name };
  return { file: path.join(file, 'Buildfile'), shown: path.join(name, 'Buildfile') };
}

import { type DiffSection, diffImages, diffSections } from '../builder/index.ts';
import { nearest, parsePlatform, platformOf, ToolError } from '../core/index.ts';
import type { DiffFlags } from './commands/diff.ts';
import { findPlace, imagePlace, openImageTools } from './compared-image.ts';
import type { Context } from './context.ts';
import { diffText } from './diff-report.ts';
import { exitCodes } from './exit-codes.ts';
import { printResult } from './result.ts';

/** `kiln diff`. */
export async function runDiff(context: Context, flags: DiffFlags, before: string, after: string): Promise<number> {
  const sections = sectionsOf(flags.only);
  const platform = flags.platform === undefined ? platformOf(process.arch) : parsePlatform(flags.platform);
  await using tools = await openImageTools(context, flags);
  await using was = await findPlace(before, tools);
  await using is = await findPlace(after, tools);
  const result = await diffImages(await imagePlace(was, platform, tools), await imagePlace(is, platform, tools), {
    signal: context.signal,
    sections,
    times: flags.times,
    below: flags.path,
    deep: flags.deep,
    scratch: await tools.scratch(),
  });
  const names = { before: { name: was.name, ...result.before }, after: { name: is.name, ...result.after } };
  const named = { ...result, ...names };
  printResult(context, flags, named, () => diffText(named, { allFiles: flags.files, times: flags.times }));
  return flags['exit-code'] && !result.equal ? exitCodes.findings : exitCodes.ok;
}

/** @throws ToolError USAGE_FLAG_VALUE */
function sectionsOf(texts: readonly string[]): ReadonlySet<DiffSection> {
  const words = texts.flatMap((text) => text.split(',')).map((word) => word.trim());
  for (const word of words) {
    if (diffSections.some((section) => section === word)) continue;
    const near = nearest(word, diffSections);
    throw new ToolError('USAGE_FLAG_VALUE', `--only ${JSON.stringify(word)} is no section of a diff`, {
      hint: near === undefined ? `they are ${diffSections.join(', ')}` : `did you mean ${near}?`,
    });
  }
  return new Set(words.length === 0 ? diffSections : diffSections.filter((section) => words.includes(section)));
}

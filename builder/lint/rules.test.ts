import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fileExamples } from './file-examples.testing.ts';
import { lintBuildfile } from './lint.ts';
import { ExampleFolder, type LintExample } from './lint-example.testing.ts';
import { lintRules } from './rules.ts';
import { scriptExamples } from './script-examples.testing.ts';

const examples = { ...fileExamples, ...scriptExamples };

let folder: ExampleFolder;
beforeAll(async () => {
  folder = await ExampleFolder.make();
});
afterAll(() => folder[Symbol.asyncDispose]());

/** Findings of one rule: `FILE:LINE:COLUMN the text it is about`. */
async function found(rule: string, example: LintExample): Promise<string[]> {
  const { findings, texts } = await lintBuildfile(await folder.open(example));
  return findings
    .filter((finding) => finding.rule === rule)
    .map(({ position, end }) => {
      const lines = (texts.get(position.file) ?? '').split('\n');
      const about = lines[position.line - 1]?.slice(
        position.column - 1,
        position.line === end.line ? end.column - 1 : undefined,
      );
      return `${position.file}:${position.line} ${about}`;
    });
}

describe.each(lintRules.map((rule) => [rule.name] as const))('%s', (name) => {
  const { hits, misses } = examples[name] ?? { hits: [], misses: [] };

  it('has examples of both kinds', () => {
    expect([hits.length > 0, misses.length > 0]).toEqual([true, true]);
  });

  it.each(hits.map(([example, about]) => ({ about, ...example })))('tells $text', async ({ about, ...example }) => {
    expect((await found(name, example)).map((finding) => finding.replace(/^Buildfile:\d+ /, ''))).toEqual([about]);
  });

  it.each(misses)('does not tell $text', async (example) => {
    expect(await found(name, example)).toEqual([]);
  });
});

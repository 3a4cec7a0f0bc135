import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBuildContext } from '../engine/open-context.ts';
import { fixBuildfile } from './fix.ts';
import { lintBuildfile } from './lint.ts';
import { ExampleFolder, type LintExample } from './lint-example.testing.ts';

let folder: ExampleFolder;
beforeAll(async () => {
  folder = await ExampleFolder.make();
});
afterAll(() => folder[Symbol.asyncDispose]());

describe('fixBuildfile', () => {
  async function fixed(example: LintExample): Promise<{ readonly text: string; readonly rules: readonly string[] }> {
    const input = await folder.open(example);
    const result = await fixBuildfile(input);
    expect(
      (await lintBuildfile({ ...input, context: await openBuildContext(input.context.contextFolder) })).findings,
    ).toEqual(result.findings);
    return { text: await readFile(input.context.buildfile, 'utf8'), rules: result.fixed.map(({ rule }) => rule) };
  }
  const from = 'from = "debian:12"\n';

  it.each<[string, string, string]>([
    [
      'sorts packages where they stand',
      'packages = [\r\n "c",\r\n  "a", \'b\' ]\r\n',
      'packages = [\r\n "a",\r\n  \'b\', "c" ]\r\n',
    ],
    ['takes out repeated packages', 'packages = ["b", "a", "b", "a", "c", "c"]', 'packages = ["a", "b", "c"]'],
    ['takes out the last of a broken list', 'packages = [\n  "a",\n  "a",\n]', 'packages = [\n  "a",\n]'],
    ['leaves a list with comments', 'packages = [\n  "b", # why\n  "a",\n]', 'packages = [\n  "b", # why\n  "a",\n]'],
    [
      'locks a cache',
      'run = "x"\nmounts = [{ cache = "/var/cache/apt", id = "a" }]',
      'run = "x"\nmounts = [{ cache = "/var/cache/apt", sharing = "locked", id = "a" }]',
    ],
    [
      'changes how a cache is shared',
      'run = "x"\nmounts = [{ cache = "/var/cache/apt", sharing = "shared" }]',
      'run = "x"\nmounts = [{ cache = "/var/cache/apt", sharing = "locked" }]',
    ],
    [
      'locks a cache in a table of its own',
      'run = "x"\n[[steps.mounts]]\ncache = "/var/cache/apt"\n',
      'run = "x"\n[[steps.mounts]]\ncache = "/var/cache/apt"\nsharing = "locked"\n',
    ],
    [
      'leaves what a comment ignores',
      'packages = ["b", "a"] # kiln: ignore unsorted-packages',
      'packages = ["b", "a"] # kiln: ignore unsorted-packages',
    ],
  ])('%s', async (_title, step, expected) => {
    const { text } = await fixed({ text: `${from}[[steps]]\n${step}` });

    expect(text).toBe(`${from}[[steps]]\n${expected}`);
  });

  it('puts included files right, and says what it did', async () => {
    const include = '\ufeff[stages.base]\nfrom = "debian:12"\nsteps = [{ packages = ["b", "a"] }]\n';
    const input = await folder.open({
      text: 'include = ["parts/a.toml"]\n[stages.b]\nfrom = "base"',
      files: { 'parts/a.toml': include },
    });

    const { fixed: done } = await fixBuildfile(input);

    expect(done.map(({ rule, position: { file, line } }) => [rule, file, line])).toEqual([
      ['unsorted-packages', 'parts/a.toml', 3],
    ]);
    const text = await readFile(path.join(input.context.contextFolder, 'parts/a.toml'), 'utf8');
    expect(text).toBe(include.replace('"b", "a"', '"a", "b"'));
  });

  it('changes nothing outside the context', async () => {
    const { context, plan, lock } = await folder.open({
      text: '[[steps]]\npackages = ["b", "a"]',
      files: { 'inner/x': '' },
    });
    const inner = { ...context, contextFolder: path.join(context.contextFolder, 'inner') };

    const { fixed: done, findings } = await fixBuildfile({ context: inner, plan, lock });

    expect(done).toEqual([]);
    expect(findings.map(({ rule }) => rule)).toContain('unsorted-packages');
    expect(await readFile(context.buildfile, 'utf8')).toContain('["b", "a"]');
  });

  it('does not write over what has changed meanwhile', async () => {
    const input = await folder.open({ text: '[[steps]]\npackages = ["b", "a"]' });
    await writeFile(input.context.buildfile, 'from = "scratch"\n');

    await expect(fixBuildfile(input)).rejects.toMatchObject({ code: 'BUILDFILE_CHANGED' });
    expect(await readFile(input.context.buildfile, 'utf8')).toBe('from = "scratch"\n');
  });
});

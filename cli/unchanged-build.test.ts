import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { signatureOfFolder } from './folder-signature.ts';
import { type BuildProcess, findUnchangedBuild, signatureOf, unchangedFile } from './unchanged-build.ts';

describe('findUnchangedBuild', () => {
  let home = '';
  let watched = '';
  let blob = '';
  let tree = '';
  beforeEach(() => {
    home = mkdtempSync(path.join(tmpdir(), 'kiln-unchanged-'));
    mkdirSync(path.join(home, 'unchanged'));
    [watched, blob, tree] = [path.join(home, 'watched'), path.join(home, 'blob'), path.join(home, 'tree')];
    mkdirSync(path.join(tree, 'below'), { recursive: true });
    writeFileSync(path.join(tree, 'below', 'file'), 'in a tree');
    writeFileSync(watched, 'one');
    writeFileSync(blob, 'bytes');
  });
  afterEach(() => rmSync(home, { recursive: true }));

  function linkWatched(): void {
    rmSync(watched);
    symlinkSync(blob, watched);
  }

  const processOf = (changes: Partial<BuildProcess> = {}, env = {}): BuildProcess => ({
    argv: ['node', '/dist/build.js', 'build', '.'],
    env: { KILN_HOME: home, A: '1', ...env },
    cwd: () => '/work',
    ...changes,
  });

  function remember(): void {
    const build = {
      out: 'digest\n',
      err: 'progress\n',
      watched: [
        [watched, signatureOf(watched)],
        [path.join(home, 'gone'), 'absent'],
      ],
      folders: [tree, path.join(tree, 'below')].map((folder) => [folder, signatureOfFolder(folder)?.digest]),
      blobs: [[blob, 5]],
    };
    writeFileSync(unchangedFile(home, processOf()), JSON.stringify(build));
  }

  it('gives what was said while nothing has changed, and marks the blobs as used', () => {
    remember();
    const before = statSync(blob).ctimeMs;

    expect(findUnchangedBuild(processOf())).toMatchObject({ out: 'digest\n', err: 'progress\n' });
    expect(statSync(blob).ctimeMs).toBeGreaterThanOrEqual(before);
  });

  it('knows nothing of a command line that was not used, or was damaged', () => {
    expect(findUnchangedBuild(processOf())).toBeUndefined();

    writeFileSync(unchangedFile(home, processOf()), '{"watched": [');
    expect(findUnchangedBuild(processOf())).toBeUndefined();
  });

  it.each<[string, () => void]>([
    ['a watched file has other content', () => writeFileSync(watched, 'two')],
    ['a watched file has other times', () => utimesSync(watched, 1, 1)],
    ['a watched file is gone', () => rmSync(watched)],
    ['a watched file is a link now', linkWatched],
    ['a file that was absent is there', () => writeFileSync(path.join(home, 'gone'), '')],
    ['a file of a watched tree has other content', () => writeFileSync(path.join(tree, 'below', 'file'), 'IN A TREE')],
    ['a watched tree is gone', () => rmSync(tree, { recursive: true })],
    ['a blob is gone', () => rmSync(blob)],
    ['a blob was cut', () => writeFileSync(blob, 'byt')],
  ])('gives nothing when %s', (_what, change) => {
    remember();
    change();

    expect(findUnchangedBuild(processOf())).toBeUndefined();
  });

  it.each<[string, BuildProcess]>([
    ['another argument', processOf({ argv: ['node', '/dist/build.js', 'build', '..'] })],
    ['another program', processOf({ argv: ['node', '/other/build.js', 'build', '.'] })],
    ['another folder', processOf({ cwd: () => '/elsewhere' })],
  ])('gives nothing for %s', (_what, process) => {
    remember();

    expect(findUnchangedBuild({ ...process, env: { ...process.env, KILN_HOME: home } })).toBeUndefined();
  });

  it('gives nothing with another variable, and does not mind those that always differ', () => {
    remember();

    expect(findUnchangedBuild(processOf({}, { A: '2' }))).toBeUndefined();
    expect(findUnchangedBuild(processOf({}, { _: '/bin/kiln', SHLVL: '7' }))).toBeDefined();
  });
});

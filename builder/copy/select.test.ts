import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { link, mkdir, rename, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '../../core/index.ts';
import { parseIgnoreFile } from '../buildfile/ignore.ts';
import { ContextTree } from './context-tree.ts';
import { type CopyBench, openCopyBench } from './copy-bench.testing.ts';
import { DigestCache } from './digest-cache.ts';
import { listingOf } from './listing.ts';
import { selectSources } from './select.ts';

let bench: CopyBench;
let context: string;
const put: CopyBench['put'] = (files) => bench.put(files);
const select: CopyBench['select'] = (paths, options) => bench.select(paths, options);

beforeEach(async () => {
  bench = await openCopyBench();
  context = bench.context;
});
afterEach(() => bench[Symbol.asyncDispose]());

describe('selectSources', () => {
  it('takes a directory with what is in it, sorted bytewise', async () => {
    await put({ 'site/b': '', 'site/a/x': '', 'site/a.txt': '' });

    expect(await select(['site'])).toEqual({ site: ['', 'a', 'a/x', 'a.txt', 'b'] });
  });

  it('matches wildcards in any component and ** at any depth', async () => {
    await put({ 'a/one.c': '', 'b/two.c': '', 'b/deep/er/three.c': '', 'b/no.h': '' });

    expect(Object.keys(await select(['*/*.c']))).toEqual(['one.c', 'two.c']);
    expect(Object.keys(await select(['**/*.c']))).toEqual(['one.c', 'three.c', 'two.c']);
    expect(Object.keys(await select(['b/**/*.c']))).toEqual(['three.c', 'two.c']);
    expect(Object.keys(await select(['[ab]/[^n]*.?']))).toEqual(['one.c', 'two.c']);
  });

  it('does not climb out of the context', async () => {
    await put({ file: '' });

    expect(Object.keys(await select(['../../file']))).toEqual(['file']);
    await expect(select(['../../etc/passwd'])).rejects.toMatchObject({ code: 'COPY_SOURCE_NOT_FOUND' });
  });

  it('follows a link that is named, within the context', async () => {
    await put({ 'real/x': '' });
    await symlink('real', path.join(context, 'link'));
    await symlink('/etc', path.join(context, 'out'));
    await symlink('../..', path.join(context, 'up'));
    await symlink('loop', path.join(context, 'loop'));

    expect(await select(['link'])).toEqual({ link: ['', 'x'] });
    await expect(select(['out/passwd'])).rejects.toMatchObject({ code: 'COPY_SOURCE_OUTSIDE' });
    await expect(select(['up'])).rejects.toMatchObject({ code: 'COPY_SOURCE_OUTSIDE' });
    await expect(select(['loop'])).rejects.toMatchObject({ code: 'COPY_SOURCE_LOOP' });
  });

  it('keeps links below a directory as they are', async () => {
    await put({ 'd/x': '' });
    await symlink('/etc/passwd', path.join(context, 'd/out'));
    const [match] = await selectSources(bench.tree(), ['d'], []);

    expect(match?.entries.find((entry) => entry.path === 'out')).toMatchObject({
      type: 'symlink',
      target: '/etc/passwd',
    });
  });

  it('drops what the ignore file names, and keeps what it takes back', async () => {
    await put({ 'node_modules/a/x': '', 'node_modules/keep/y': '', 'src/z': '', '.git/HEAD': '' });

    expect(await select(['.'], { ignore: 'node_modules\n.git\n!node_modules/keep' })).toEqual({
      '': ['', 'node_modules', 'node_modules/keep', 'node_modules/keep/y', 'src', 'src/z'],
    });
    await expect(select(['.git/HEAD'], { ignore: '.git' })).rejects.toMatchObject({ code: 'COPY_SOURCE_NOT_FOUND' });
  });

  it('leaves out what the step excludes', async () => {
    await put({ 'src/#a.ts': '', 'src/a.ts': '', 'src/a.test.ts': '', 'src/sub/b.test.ts': '' });

    expect(await select(['src'], { exclude: ['**/*.test.ts', '#a.ts'] })).toEqual({ src: ['', 'a.ts', 'sub'] });
  });

  it('guesses what a mistyped path meant', async () => {
    await put({ 'site/index.html': '' });

    await expect(select(['site/indx.html'])).rejects.toMatchObject({
      code: 'COPY_SOURCE_NOT_FOUND',
      hint: 'did you mean "site/index.html"?',
    });
  });

  it('refuses FIFOs without opening them', async () => {
    execFileSync('mkfifo', [path.join(context, 'pipe')]);

    await expect(select(['.'])).rejects.toMatchObject({ code: 'COPY_SPECIAL_FILE' });
    expect(await select(['.'], { ignore: 'pipe' })).toEqual({ '': [''] });
  });

  it('leaves sockets out', async () => {
    await put({ file: '' });
    const server = createServer().listen(path.join(context, 'socket'));
    await once(server, 'listening');
    try {
      expect(await select(['.'])).toEqual({ '': ['', 'file'] });
    } finally {
      server.close();
    }
  });

  it('carries names that are not UTF-8', async () => {
    await writeFile(Buffer.concat([Buffer.from(`${context}/`), Buffer.from([0x66, 0xff, 0x0a])]), 'x');

    expect(await select(['.'])).toEqual({ '': ['', 'f\xff\n'] });
  });

  it('does not enter what the step excludes', async () => {
    await put({ 'src/a': '', 'src/node_modules/x/y': '', 'src/node_modules/keep/z': '' });
    execFileSync('mkfifo', [path.join(context, 'src/node_modules/x/pipe')]);

    expect(await select(['src'], { exclude: ['node_modules'] })).toEqual({ src: ['', 'a'] });
    expect(await select(['src'], { exclude: ['node_modules', '!node_modules/keep/z'] })).toEqual({
      src: ['', 'a', 'node_modules/keep/z'],
    });
  });

  it('names all FIFOs and devices at once, up to ten', async () => {
    await put({ 'a/x': '' });
    const pipes = Array.from({ length: 12 }, (_, index) => `a/p${String(index).padStart(2, '0')}`);
    for (const pipe of pipes) execFileSync('mkfifo', [path.join(context, pipe)]);

    await expect(select(['a'])).rejects.toThrow(`${pipes.slice(0, 10).join(', ')} and 2 more in the context`);
    expect(await select(['a'], { exclude: ['p*'] })).toEqual({ a: ['', 'x'] });
  });

  it('makes hard links of the names of one file, whichever of them are taken', async () => {
    await put({ 'd/a': 'x', other: 'y' });
    for (const name of ['b', 'c']) await link(path.join(context, 'd/a'), path.join(context, 'd', name));
    await link(path.join(context, 'other'), path.join(context, 'd/o'));
    const shown = async (exclude: string[]) =>
      (await bench.entries(['d'], { exclude })).map((entry) =>
        entry.type === 'hardlink' ? `${entry.path} -> ${entry.target}` : `${entry.path} ${entry.type}`,
      );

    expect(await shown([])).toEqual([' directory', 'a file', 'b -> a', 'c -> a', 'o file']);
    expect(await shown(['a'])).toEqual([' directory', 'b file', 'c -> b', 'o file']);
    expect(await select(['d'], { ignore: 'd/a' })).toEqual({ d: ['', 'b', 'c', 'o'] });
  });

  it('copies a link that a wildcard matches and that leads nowhere as it is', async () => {
    await put({ 'd/x': '' });
    await symlink('gone', path.join(context, 'd/dangling'));

    expect(await bench.entries(['d/*'])).toMatchObject([
      { path: '', type: 'symlink', target: 'gone' },
      { path: '', type: 'file' },
    ]);
  });

  it('is stopped by its signal', async () => {
    await put({ x: '' });

    await expect(select(['.'], { signal: AbortSignal.abort(new TypeError('stop')) })).rejects.toThrow('stop');
  });

  it('takes what is optional when it is there', async () => {
    await put({ there: '' });

    expect(await select(['missing', 'the*', 'no*'], { optional: true })).toEqual({ there: [''] });
    expect(await select(['missing'], { optional: true })).toEqual({});
  });
});

describe('selectSources with parents', () => {
  const below = (paths: string[], exclude: string[] = []) => select(paths, { parents: true, exclude });

  it('keeps the folders of what is found', async () => {
    await put({ 'x/y/a.txt': '', 'x/y/b.md': '', 'x/z/c.txt': '', 'top.txt': '' });

    expect(await below(['./x/y/a.txt'])).toEqual({ '': ['x', 'x/y', 'x/y/a.txt'] });
    expect(await below(['x/y'])).toEqual({ '': ['x', 'x/y', 'x/y/a.txt', 'x/y/b.md'] });
    expect(await below(['**/*.txt'])).toEqual({ '': ['top.txt', 'x', 'x/y', 'x/y/a.txt', 'x/z', 'x/z/c.txt'] });
    expect(await below(['.'])).toEqual({
      '': ['', 'top.txt', 'x', 'x/y', 'x/y/a.txt', 'x/y/b.md', 'x/z', 'x/z/c.txt'],
    });
  });

  it('leaves away what is before /./', async () => {
    await put({ 'x/y/z/a.txt': '', 'x/b.txt': '' });

    expect(await below(['x/./y/z/a.txt'])).toEqual({ '': ['y', 'y/z', 'y/z/a.txt'] });
    expect(await below(['x/./**/*.txt'])).toEqual({ '': ['b.txt', 'y', 'y/z', 'y/z/a.txt'] });
    expect(await below(['*/./y/*/a.txt'])).toEqual({ '': ['y', 'y/z', 'y/z/a.txt'] });
    expect(await below(['x/./y/./z'])).toEqual({ '': ['y', 'y/z', 'y/z/a.txt'] });
    expect(await below(['x/.'])).toEqual({ '': ['', 'b.txt', 'y', 'y/z', 'y/z/a.txt'] });
    await expect(below(['**/./y/z'])).rejects.toMatchObject({ code: 'COPY_PARENTS_INVALID' });
    await expect(below(['x/./../x'])).rejects.toMatchObject({ code: 'COPY_PARENTS_INVALID' });
  });

  it('holds patterns to exclude against the paths below /./', async () => {
    await put({ 'x/y/a': '', 'x/y/skip/b': '', 'x/skip/c': '' });

    expect(await below(['x/./y', 'x/./skip'], ['y/skip'])).toEqual({ '': ['skip', 'skip/c'] });
    expect(
      (await bench.entries(['x/./y', 'x/./skip'], { parents: true, exclude: ['y/skip'] })).map((e) => e.path),
    ).toEqual(['y', 'y/a', 'skip', 'skip/c']);
    expect(await below(['x/y/*'], ['x/y/a'])).toEqual({ '': ['x', 'x/y', 'x/y/skip', 'x/y/skip/b'] });
    expect(await below(['**/c'], ['**/skip'])).toEqual({ '': [] });
  });

  it('shows a folder that a link leads to under the name that was written', async () => {
    await put({ 'real/deep/x': '' });
    await symlink('real', path.join(context, 'link'));
    await mkdir(path.join(context, 'other'));

    expect(await bench.entries(['link/deep/x'], { parents: true })).toMatchObject([
      { type: 'directory', path: 'link' },
      { type: 'directory', path: 'link/deep' },
      { type: 'file', path: 'link/deep/x' },
    ]);
  });

  it('moves hard links along', async () => {
    await put({ 'a/b/x': '1' });
    await link(path.join(context, 'a/b/x'), path.join(context, 'a/b/y'));

    expect((await bench.entries(['a/./b'], { parents: true })).at(-1)).toMatchObject({ path: 'b/y', target: 'b/x' });
  });
});

describe('ContextTree', () => {
  it('keeps modes, times and owners when it is asked to', async () => {
    await put({ 'd/x': '' });
    execFileSync('chmod', ['4750', path.join(context, 'd/x')]);
    execFileSync('touch', ['-d', '@86400.5', path.join(context, 'd/x')]);
    const { uid, gid } = statSync(path.join(context, 'd/x'));

    expect((await bench.entries(['d/x']))[0]).toMatchObject({ mode: 0o755, mtime: { seconds: 1 }, uid: 0, gid: 0 });
    expect((await bench.entries(['d/x'], { preserve: ['mode'] }))[0]).toMatchObject({
      mode: 0o4750,
      mtime: { seconds: 1 },
    });
    expect((await bench.entries(['d/x'], { preserve: ['time'] }))[0]).toMatchObject({
      mode: 0o755,
      mtime: { seconds: 86400, nanoseconds: 0 },
    });
    expect((await bench.entries(['d/x'], { preserve: ['owner'] }))[0]).toMatchObject({ uid, gid });
  });

  it('reads a folder whose own name is not ASCII', async () => {
    await put({ 'ü/ä/é.txt': 'e' });
    const tree = new ContextTree(path.join(context, 'ü'), parseIgnoreFile(''), {
      preserve: [],
      launcher: bench.launcher,
    });
    const matches = await selectSources(tree, ['**/é.txt'], []);
    const { text } = await listingOf(matches, new DigestCache(bench.records, Date.now() + 60_000));

    expect(text).toContain(sha256('e'));
  });

  it('says so when a path is longer than paths can be', async () => {
    const name = 'n'.repeat(250);
    const [upper, lower] = [Array(8).fill(name).join('/'), Array(9).fill(name).join('/')];
    await mkdir(path.join(context, upper), { recursive: true });
    await mkdir(path.join(context, 'lower', lower), { recursive: true });
    await rename(path.join(context, 'lower'), path.join(context, upper, 'lower'));

    await expect(select(['.'])).rejects.toMatchObject({ code: 'COPY_PATH_TOO_LONG' });
    expect(await select(['.'], { ignore: name })).toEqual({ '': [''] });
  });
});

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseIgnoreFile } from '../buildfile/ignore.ts';
import { ContextTree } from './context-tree.ts';
import { FileDigests } from './file-digests.ts';
import { listingOf } from './listing.ts';
import { selectSources } from './select.ts';

let context: string;

beforeEach(async () => {
  context = await mkdtemp(path.join(tmpdir(), 'kiln-context-'));
});
afterEach(() => rm(context, { recursive: true }));

async function put(files: Record<string, string>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(context, name)), { recursive: true });
    await writeFile(path.join(context, name), text);
  }
}

function tree(ignore = '', preserveMode = false): ContextTree {
  return new ContextTree(context, parseIgnoreFile(ignore), { preserveMode });
}

async function select(
  paths: string[],
  options: { ignore?: string; exclude?: string[] } = {},
): Promise<Record<string, string[]>> {
  const matches = await selectSources(tree(options.ignore), paths, options.exclude ?? []);
  return Object.fromEntries(matches.map((match) => [match.name, match.entries.map((entry) => entry.path)]));
}

async function digest(source = tree(), digests = new FileDigests(new Map(), Date.now() + 60_000)): Promise<string> {
  return (await listingOf(await selectSources(source, ['.'], []), digests)).digest;
}

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
    const [match] = await selectSources(tree(), ['d'], []);

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
});

describe('listingOf', () => {
  it('does not see ownership, times and umask', async () => {
    await put({ 'd/x': 'x' });
    const before = await digest();
    await chmod(path.join(context, 'd/x'), 0o600);
    await chmod(path.join(context, 'd'), 0o700);
    await utimes(path.join(context, 'd/x'), 1, 1);

    expect(await digest()).toBe(before);
  });

  it('sees content, names, types and the executable bit', async () => {
    await put({ x: 'x', y: 'y' });
    const seen = [await digest()];
    await writeFile(path.join(context, 'x'), 'z');
    seen.push(await digest());
    await chmod(path.join(context, 'x'), 0o755);
    seen.push(await digest());
    await rm(path.join(context, 'y'));
    seen.push(await digest());
    await symlink('x', path.join(context, 'y'));
    seen.push(await digest());

    expect(new Set(seen).size).toBe(5);
  });

  it('keeps modes when asked to', async () => {
    await put({ x: 'x' });
    const before = await digest(tree('', true));
    await chmod(path.join(context, 'x'), 0o640);

    expect(await digest(tree('', true))).not.toBe(before);
  });
});

describe('FileDigests', () => {
  it('does not read again what has not changed since', async () => {
    await put({ x: 'x' });
    const first = new FileDigests(new Map(), Date.now() + 60_000);
    const before = await digest(tree(), first);
    const lying = Object.fromEntries(
      Object.keys(first.toJson()).map((identity) => [identity, `sha256:${'0'.repeat(64)}`]),
    );

    expect(await digest(tree(), FileDigests.from(lying, Date.now() + 60_000))).not.toBe(before);
    expect(await digest(tree(), FileDigests.from({ ...lying, junk: 'x' }, Date.now()))).not.toBe(before);
  });

  it('reads a file again that was written just before', async () => {
    await put({ x: 'x' });
    const racy = new FileDigests(new Map(), Date.now());
    await digest(tree(), racy);

    expect(racy.toJson()).toEqual({});
  });
});

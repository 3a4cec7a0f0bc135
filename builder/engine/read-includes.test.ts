import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Includes } from '../buildfile/parts.ts';
import { openBuildContext } from './open-context.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'kiln-includes-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** Writes files; a list is the includes of a file. */
async function put(files: Readonly<Record<string, string | readonly string[]>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    const text = typeof content === 'string' ? content : `include = ${JSON.stringify(content)}\n`;
    await writeFile(path.join(folder, name), text);
  }
}

async function read(context = '.', file?: string): Promise<Includes> {
  return (await openBuildContext(context, { workingFolder: folder, file })).includes;
}

function names({ files }: Includes): string[] {
  return files.map(({ name }) => name);
}

function messages({ problems }: Includes): string[] {
  return problems.map(({ position, message }) => `${position.file}:${position.line}:${position.column} ${message}`);
}

describe('includes', () => {
  it('are found from the file that names them, each once and before it', async () => {
    await put({ Buildfile: ['a/a', 'b'], 'a/a': ['../b', 'sub/c'], b: ['a/sub/c'], 'a/sub/c': '' });

    const includes = await read();

    expect(names(includes)).toEqual(['a/sub/c', 'b', 'a/a']);
    expect(includes.files[2]).toMatchObject({ folder: path.join(folder, 'a'), text: expect.stringContaining('../b') });
    expect(includes.problems).toEqual([]);
  });

  it('may lie beside a Buildfile that is not in the context', async () => {
    await put({ 'context/x': '', 'files/Other': ['common', '../context/x'], 'files/common': '' });

    expect(names(await read('context', 'files/Other'))).toEqual(['files/common', 'context/x']);
  });

  it('of one file under several names are one', async () => {
    await put({ Buildfile: ['a', './a', 'link'], a: '' });
    await symlink('a', path.join(folder, 'link'));

    expect(names(await read())).toEqual(['a']);
  });

  it('that go round in circles are told, with their path and the place that closes it', async () => {
    await put({ Buildfile: ['a', 'Buildfile'], a: ['b'], b: ['c', 'a'], c: ['./c'] });

    expect(messages(await read())).toEqual([
      'c:1:12 files include each other: `c` → `c`',
      'b:1:16 files include each other: `a` → `b` → `a`',
      'Buildfile:1:16 files include each other: `Buildfile` → `Buildfile`',
    ]);
  });

  it('that cannot be read are told', async () => {
    await put({ 'context/Buildfile': ['none', 'folder', 'pipe', 'file/x', 'loop', 'big'], 'context/folder/x': '' });
    await put({ 'context/file': '', 'context/big': 'x'.repeat(1024 * 1024 + 1) });
    execFileSync('mkfifo', [path.join(folder, 'context/pipe')]);
    await symlink('loop', path.join(folder, 'context/loop'));

    expect((await read('context')).problems.map(({ message }) => message)).toEqual([
      '`none` does not exist',
      '`folder` is a folder',
      '`pipe` is not a file',
      '`file/x` does not exist',
      '`loop` is a symlink that leads to itself',
      '`big` is larger than 1024 KiB',
    ]);
  });

  it('never leave the folders of the context and of the Buildfile, by no path and no symlink', async () => {
    await put({ 'context/Buildfile': ['../secret', 'link', 'folder/secret', '../missing', 'dangling'], secret: '[x' });
    await symlink('../secret', path.join(folder, 'context/link'));
    await symlink('..', path.join(folder, 'context/folder'));
    await symlink('/dev/zero', path.join(folder, 'context/dangling'));

    const includes = await read('context');

    expect(includes.files).toEqual([]);
    expect(includes.problems.map(({ message }) => message.replace(/^.* leads out/, 'leads out'))).toEqual(
      Array(5).fill('leads out of the folders of the Buildfile and of the context'),
    );
  });

  it('are found through a context that is a symlink', async () => {
    await put({ 'real/Buildfile': ['a'], 'real/a': '' });
    await symlink('real', path.join(folder, 'context'));

    expect(names(await read('context'))).toEqual(['context/a']);
  });

  it('are limited in number, depth and size', async () => {
    const deep = Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`deep${n}`, [`deep${n + 1}`]]));
    const many = Array.from({ length: 102 }, (_, n) => `many${n}`);
    await put({ deep: ['deep0'], ...deep, many, ...Object.fromEntries(many.map((name) => [name, ''])) });
    await put({ often: Array.from({ length: 1100 }, () => 'none') });
    const big = Array.from({ length: 5 }, (_, n) => `big${n}`);
    await put({ big, ...Object.fromEntries(big.map((name) => [name, '#'.repeat(1024 * 1024)])) });

    expect((await read('.', 'deep')).problems.map(({ message }) => message)).toEqual([
      'files include each other more than 16 deep',
    ]);
    expect((await read('.', 'many')).problems.map(({ message }) => message)).toEqual([
      'more than 100 files are included',
    ]);
    expect((await read('.', 'big')).problems.map(({ message }) => message)).toEqual([
      'the included files are larger than 4096 KiB together',
    ]);
    expect((await read('.', 'often')).problems.at(-1)?.message).toBe('there are more than 1000 includes');
  });

  it('make whatever order keeps each file after those it includes, for any graph', async () => {
    const graph = fc.array(fc.uniqueArray(fc.nat({ max: 5 }), { maxLength: 3 }), { minLength: 6, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(graph, async (edges) => {
        const nameOf = (n: number) => (n === 0 ? 'Buildfile' : `f${n}`);
        await put(Object.fromEntries(edges.map((to, from) => [nameOf(from), to.map(nameOf)])));

        const includes = await read();

        const order = names(includes);
        const reached = reachable(edges, 0);
        expect(new Set(order)).toEqual(new Set([...reached].filter((n) => n !== 0).map(nameOf)));
        expect(order).toHaveLength(new Set(order).size);
        const isRound = [...reached].some((n) => (edges[n] ?? []).some((to) => reachable(edges, to).has(n)));
        expect(includes.problems.length > 0).toBe(isRound);
        if (isRound) return;
        for (const [from, to] of edges.entries()) {
          const place = from === 0 ? order.length : order.indexOf(nameOf(from));
          for (const n of to) if (place !== -1) expect(order.indexOf(nameOf(n))).toBeLessThan(place);
        }
      }),
      { numRuns: 40 },
    );
  });
});

function reachable(edges: readonly (readonly number[])[], from: number): Set<number> {
  const found = new Set([from]);
  for (const n of found) for (const to of edges[n] ?? []) found.add(to);
  return found;
}

import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { displayPath, type Entry } from './entry.ts';
import { mergedEntries } from './merge.ts';
import { directory, file, hardLink, opaque, symlink, tarOf, whiteout } from './odd-layers.testing.ts';
import { endOfArchive, member, paxMember } from './raw-tar.testing.ts';

type Options = Partial<Parameters<typeof mergedEntries>[1]>;

/** One line for each entry of the merged layer: type, path, and what there is to say of it. */
async function merge(layers: readonly (readonly Entry[] | Buffer)[], options: Options = {}): Promise<string[]> {
  await using folder = await mkdtempDisposable(path.join(tmpdir(), 'kiln-merge-'));
  const files: string[] = [];
  for (const [index, layer] of layers.entries()) {
    const file = path.join(folder.path, `${index}.tar`);
    await writeFile(file, Buffer.isBuffer(layer) ? layer : await tarOf(layer));
    files.push(file);
  }
  const lines: string[] = [];
  for await (const entry of mergedEntries(files, { isComplete: false, ...options })) lines.push(await line(entry));
  return lines;
}

async function line(entry: Entry): Promise<string> {
  const start = `${entry.type} ${displayPath(entry.path) || '.'}`;
  if (entry.type === 'hardlink' || entry.type === 'symlink') return `${start} -> ${entry.target}`;
  if (entry.type === 'directory') return entry.mode === 0o755 ? start : `${start} ${entry.mode.toString(8)}`;
  if (entry.type !== 'file') return start;
  const { content } = entry;
  if (content.kind === 'disk') throw new TypeError('content on disk');
  const chunks = content.kind === 'bytes' ? [content.bytes] : await Array.fromAsync(content.stream);
  const bytes = Buffer.concat(chunks);
  return bytes.length > 100 ? `${start} ${bytes.length} bytes` : `${start} ${JSON.stringify(bytes.toString())}`;
}

describe('mergedEntries', () => {
  it('lets the topmost entry win, and sorts by the bytes of the path', async () => {
    const merged = await merge([
      [directory('b', { mode: 0o700 }), file('b/x', 'low'), file('b.txt', 'b'), file('a', 'a')],
      [file('b/x', 'high'), directory('b', { mode: 0o711 })],
    ]);

    expect(merged).toEqual(['file a "a"', 'directory b 711', 'file b.txt "b"', 'file b/x "high"']);
  });

  it('keeps marks that hide what may lie below, and leaves them out when nothing does', async () => {
    const layers = [
      [directory('d'), file('d/x'), directory('e'), file('e/y')],
      [whiteout('d/x'), opaque('e'), whiteout('never')],
    ];

    expect(await merge(layers)).toEqual(['directory d', 'whiteout d/x', 'directory e', 'opaque e', 'whiteout never']);
    expect(await merge(layers, { isComplete: true })).toEqual(['directory d', 'directory e']);
  });

  it('leaves out marks of which the layers below have nothing', async () => {
    const layers = [
      [file('made'), file('kept/x'), directory('fresh'), opaque('fresh')],
      [whiteout('made'), whiteout('old')],
    ];

    const merged = await merge(layers, { isBelow: async (path) => path === 'old' });

    expect(merged).toEqual(['directory fresh', 'file kept/x "kept/x"', 'whiteout old']);
  });

  it('hides what a file hid that became a directory, and the other way round', async () => {
    const merged = await merge([
      [file('f'), directory('d'), file('d/inside')],
      [directory('f'), file('f/new'), file('d', 'now a file')],
      [file('g'), whiteout('d')],
      [file('d/again'), directory('g')],
    ]);

    expect(merged).toEqual([
      ...['directory d', 'opaque d', 'file d/again "d/again"'],
      ...['directory f', 'opaque f', 'file f/new "f/new"', 'directory g', 'opaque g'],
    ]);
  });

  it('drops marks inside of what is hidden already', async () => {
    const merged = await merge([
      [directory('d'), file('d/a'), directory('d/s')],
      [opaque('d'), whiteout('d/zero')],
      [whiteout('d/a'), opaque('d/s')],
    ]);

    expect(merged).toEqual(['directory d', 'opaque d', 'directory d/s']);
  });

  it('gives the content to the first name that is left of a file', async () => {
    const lower = [file('a', 'old'), hardLink('b', 'a'), hardLink('c', 'a')];

    expect(await merge([lower, [file('a', 'new')]])).toEqual(['file a "new"', 'file b "old"', 'hardlink c -> b']);
    expect(await merge([lower, [whiteout('a'), whiteout('b')]], { isComplete: true })).toEqual(['file c "old"']);
    expect(await merge([[...lower].reverse().toSorted((x) => (x.path === 'a' ? -1 : 1))])).toEqual([
      'file a "old"',
      'hardlink b -> a',
      'hardlink c -> a',
    ]);
  });

  it('takes a hard link to what its own layer has at the time', async () => {
    const merged = await merge([[file('a', 'one'), hardLink('b', 'a'), file('a', 'two'), hardLink('c', 'a')]]);

    expect(merged).toEqual(['file a "two"', 'file b "one"', 'hardlink c -> a']);
  });

  it('follows symbolic links on the way within a layer only', async () => {
    const merged = await merge([
      [directory('real'), symlink('s', '/real'), file('s/x'), symlink('up', '../../..'), file('up/y')],
      [file('s/z')],
    ]);

    expect(merged).toEqual([
      ...['directory real', 'file real/x "s/x"', 'directory s', 'opaque s', 'file s/z "s/z"'],
      ...['symlink up -> ../../..', 'file y "up/y"'],
    ]);
  });

  it('describes a directory that no layer described only where nothing can lie below it', async () => {
    expect(await merge([[file('d/x')]])).toEqual(['file d/x "d/x"']);
    expect(await merge([[file('d/x')]], { isComplete: true })).toEqual(['directory d', 'file d/x "d/x"']);
    expect(await merge([[directory('d', { mode: 0o700 })], [file('d/x')]])).toEqual([
      'directory d 700',
      'file d/x "d/x"',
    ]);
  });

  it('keeps the root when a layer described it, and hides all that lies below when one did that', async () => {
    const root = Buffer.concat([member({ name: './', flag: '5', mode: '0000700\0' }), endOfArchive]);

    expect(await merge([root, [file('a')], [opaque('')]])).toEqual(['directory . 700', 'opaque .']);
    expect(await merge([root, [file('a')], [opaque('')]], { isComplete: true })).toEqual(['directory . 700']);
  });

  it('streams what is large, and finds its way past it', async () => {
    const big = Buffer.alloc(3_000_001, 'kiln');

    const merged = await merge([[file('a', big), file('b', 'small')], [file('c', big)]]);

    expect(merged).toEqual(['file a 3000001 bytes', 'file b "small"', 'file c 3000001 bytes']);
  });

  it('keeps extended attributes, and names that need a pax header', async () => {
    const name = `${'long/'.repeat(60)}end`;
    const xattrs = new Map([['user.note', Buffer.from([0, 255])]]);
    await using folder = await mkdtempDisposable(path.join(tmpdir(), 'kiln-merge-'));
    const tar = path.join(folder.path, 'layer.tar');
    await writeFile(tar, await tarOf([file(name, 'x', { xattrs })]));

    const [entry] = await Array.fromAsync(mergedEntries([tar], { isComplete: false }));

    expect(entry).toMatchObject({ path: name, xattrs });
  });

  it.each([
    [
      'an archive cut off in a file',
      Buffer.from(member({ content: 'x'.repeat(600) }).subarray(0, 700)),
      'LAYER_TRUNCATED',
    ],
    ['an archive cut off after a pax header', paxMember({ path: 'x' }), 'LAYER_TRUNCATED'],
    ['an archive cut off in a header', member({}).subarray(0, 300), 'LAYER_TRUNCATED'],
    ['a name that leads out', Buffer.concat([member({ name: '../x' }), endOfArchive]), 'LAYER_INVALID'],
    ['no archive', Buffer.alloc(2048, 'no tar'), 'LAYER_INVALID'],
  ])('refuses %s', async (_what, bytes, code) => {
    await expect(merge([bytes])).rejects.toMatchObject({ code });
  });

  it.each([
    ['a link to what only a lower layer has', [[file('a')], [hardLink('b', 'a')]]],
    ['a file used as a directory', [[file('a'), file('a/b')]]],
    ['a loop of links', [[symlink('a', 'b'), symlink('b', 'a'), file('a/x')]]],
    ['a link to a directory', [[directory('d'), hardLink('a', 'd')]]],
  ])('refuses %s', async (_what, layers) => {
    await expect(merge(layers)).rejects.toMatchObject({ code: 'LAYER_INVALID' });
  });

  it('stops when it is aborted', async () => {
    await expect(merge([[file('a')]], { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
  });
});

import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { parseDiffId, sha256 } from '../../core/index.ts';
import { byteString, displayPath, type Entry } from './entry.ts';
import { FileTree } from './file-tree.ts';
import { listLayer } from './list-layer.ts';
import { directory, file, hardLink, opaque, symlink, tarOf, whiteout } from './odd-layers.testing.ts';

async function list(entries: readonly Entry[]) {
  const tar = await tarOf(entries);
  return listLayer(Readable.from([tar]), { diffId: parseDiffId(sha256(tar)) });
}

async function treeOf(layers: readonly (readonly Entry[])[], isComplete = true): Promise<FileTree> {
  return FileTree.of(await Promise.all(layers.map(list)), { isComplete });
}

function shown(tree: FileTree): string[] {
  return Array.from(tree.paths(), ({ path: name, node }) => `${node.kind} ${displayPath(name)}`);
}

describe('listLayer', () => {
  it('gives the digest of each content and keeps what is asked for', async () => {
    await using folder = await mkdtempDisposable(path.join(tmpdir(), 'kiln-list-'));
    const tar = await tarOf([file('a', 'one'), file('b', 'two'), symlink('c', 'a')]);

    const listed = await listLayer(Readable.from([tar]), {
      diffId: parseDiffId(sha256(tar)),
      keep: (name) => (name === 'b' ? path.join(folder.path, 'kept') : undefined),
    });

    expect(listed.map(({ content }) => content?.digest)).toEqual([sha256('one'), sha256('two'), undefined]);
    expect(await readFile(path.join(folder.path, 'kept'), 'utf8')).toBe('two');
    expect(listed[0]?.content?.file).toBeUndefined();
  });

  it('refuses a tar that the config does not name', async () => {
    const tar = await tarOf([file('a', 'one')]);

    await expect(listLayer(Readable.from([tar]), { diffId: parseDiffId(sha256('other')) })).rejects.toMatchObject({
      code: 'LAYER_DIFFID_MISMATCH',
    });
  });
});

describe('FileTree', () => {
  it('is what the layers make together', async () => {
    const tree = await treeOf([
      [directory('d'), file('d/x', '1'), directory('e'), file('e/y'), file('f')],
      [whiteout('d/x'), directory('e'), opaque('e'), file('e/z')],
    ]);

    expect(shown(tree)).toEqual(['directory ', 'directory d', 'directory e', 'leaf e/z', 'leaf f']);
  });

  it('says what upper layers alone say', async () => {
    const tree = await treeOf([[whiteout('d/x'), directory('e'), opaque('e'), file('e/z')]], false);

    expect(shown(tree)).toEqual(['directory ', 'directory d', 'whiteout d/x', 'directory e', 'leaf e/z']);
    expect(tree.at(byteString('d'))).toMatchObject({ kind: 'directory', entry: undefined });
    expect(tree.at(byteString('e'))).toMatchObject({ kind: 'directory', isOpaque: true });
    expect(tree.at(byteString('never/there'))).toBeUndefined();
  });

  it('finds files through links, within the root', async () => {
    const tree = await treeOf([
      [
        directory('usr'),
        directory('usr/lib'),
        file('usr/lib/os-release', 'ID=x'),
        symlink('lib', 'usr/lib'),
        directory('etc'),
        symlink('etc/os-release', '../../../lib/os-release'),
        symlink('etc/abs', '/usr/lib/os-release'),
        symlink('loop', 'loop'),
        symlink('astray', 'gone'),
        hardLink('again', 'usr/lib/os-release'),
      ],
    ]);
    const digest = sha256('ID=x');

    for (const name of ['usr/lib/os-release', 'etc/os-release', 'etc/abs', 'lib/os-release', 'again']) {
      expect(tree.find(name)).toMatchObject({ kind: 'leaf', content: { digest } });
    }
    expect(tree.find('loop')).toBeUndefined();
    expect(tree.find('astray')).toBeUndefined();
    expect(tree.names('lib')).toEqual(['os-release']);
    expect(tree.names('etc/os-release')).toEqual([]);
  });

  it('lays two trees side by side', async () => {
    const [before, after] = [await treeOf([[file('a'), file('b')]]), await treeOf([[file('b'), file('c')]])];

    const pairs = Array.from(before.beside(after), (pair) => [pair.path, pair.before?.kind, pair.after?.kind]);

    expect(pairs).toEqual([
      ['', 'directory', 'directory'],
      ['a', 'leaf', undefined],
      ['b', 'leaf', 'leaf'],
      ['c', undefined, 'leaf'],
    ]);
  });
});

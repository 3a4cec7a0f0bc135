import { mkdir, mkdtempDisposable, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { digestHex, LockFolder } from '../../core/index.ts';
import { sampleImage } from '../content-suite.ts';
import { OciLayout } from '../layout/oci-layout.ts';
import { writeOciFolder } from './oci-folder.ts';

async function openFolder() {
  const temporary = await mkdtempDisposable(path.join(tmpdir(), 'kiln-folder-'));
  const locks = new LockFolder(path.join(temporary.path, 'locks'));
  const folder = path.join(temporary.path, 'out', 'layout');
  return { folder, locks, [Symbol.asyncDispose]: () => temporary.remove() };
}

describe('writeOciFolder', () => {
  it('makes a layout that holds the image under its names, and nothing else', async () => {
    await using opened = await openFolder();
    const image = await sampleImage('one');

    await writeOciFolder(
      image.content,
      opened.folder,
      [{ descriptor: image.root, names: ['example.com/web:1'] }],
      opened,
    );

    const layout = await OciLayout.openReadOnly(opened.folder);
    expect(await layout.resolve('1')).toMatchObject(image.root);
    expect(await layout.resolve('')).toMatchObject(image.root);
    expect((await readdir(opened.folder)).sort()).toEqual(['blobs', 'index.json', 'oci-layout']);
    expect(await readdir(path.dirname(opened.folder))).toEqual(['layout']);
  });

  it('replaces an image in a layout, keeps the others, and leaves no orphans', async () => {
    await using opened = await openFolder();
    const [one, two, other] = [await sampleImage('one'), await sampleImage('two'), await sampleImage('other')];
    const put = (image: typeof one, names: readonly string[]) =>
      writeOciFolder(image.content, opened.folder, [{ descriptor: image.root, names }], opened);
    await put(other, ['example.com/other:1']);
    await put(one, ['example.com/web:1']);
    await put(one, []);

    await put(two, ['example.com/web:1']);
    await put(two, []);

    const layout = await OciLayout.openReadOnly(opened.folder);
    expect(await layout.resolve('1')).toMatchObject(other.root);
    expect(await layout.resolve('example.com/web:1')).toMatchObject(two.root);
    const blobs = await readdir(path.join(opened.folder, 'blobs', 'sha256'));
    const wanted = [two, other].flatMap(({ root, blobs: children }) => [root, ...children]);
    expect(blobs.sort()).toEqual(wanted.map(({ digest }) => digestHex(digest)).sort());
    const { manifests } = JSON.parse(await readFile(path.join(opened.folder, 'index.json'), 'utf8'));
    expect(manifests).toHaveLength(3);
  });

  it('fills an empty folder, and refuses one that holds something else', async () => {
    await using opened = await openFolder();
    const image = await sampleImage('one');
    const images = [{ descriptor: image.root, names: [] }];
    await mkdir(opened.folder, { recursive: true });

    await writeOciFolder(image.content, opened.folder, images, opened);

    expect(await (await OciLayout.openReadOnly(opened.folder)).resolve('')).toMatchObject(image.root);
    const mine = path.join(opened.folder, '..', 'mine');
    await mkdir(mine);
    await writeFile(path.join(mine, 'work.txt'), 'mine');
    await expect(writeOciFolder(image.content, mine, images, opened)).rejects.toMatchObject({ code: 'LAYOUT_INVALID' });
    expect(await readdir(mine)).toEqual(['work.txt']);
  });
});

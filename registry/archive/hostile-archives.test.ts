import { mkdtempDisposable, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Descriptor, digestHex, sha256, type Target, ToolError } from '../../core/index.ts';
import { copyImage } from '../copy/copy-image.ts';
import { memoryTarget } from '../memory.ts';
import { openDockerArchive } from './docker-archive.ts';
import { ImageArchiveReader } from './image-archive-reader.ts';

interface Member {
  readonly name: string;
  readonly content?: Buffer | string;
  readonly type?: string;
  readonly link?: string;
  /** The size field as it stands, where it lies. */
  readonly sizeField?: Buffer;
}

const layer = 'the same layer twice';

/** A tar with these members and right checksums, whatever else is wrong. */
function tar(...members: readonly Member[]): Buffer {
  const blocks = members.flatMap(({ name, content = '', type = '0', link = '', sizeField }) => {
    const body = Buffer.from(content);
    const block = Buffer.alloc(512);
    block.write(name, 0, 100);
    block.write('0000644', 100, 7);
    block.write(body.length.toString(8).padStart(11, '0'), 124, 11);
    if (sizeField !== undefined) sizeField.copy(block, 124);
    block.fill(0x20, 148, 156);
    block.write(type, 156, 1);
    block.write(link, 157, 100);
    block.write('ustar\x0000', 257, 8, 'latin1');
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 8, 'latin1');
    return [block, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

/** What `docker save` before 25 wrote for an image of two equal layers: the second is a link to the first. */
function savedByDocker(): { readonly bytes: Buffer; readonly members: readonly Member[] } {
  const config = JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: [sha256(layer), sha256(layer)] },
  });
  const name = `${digestHex(sha256(config))}.json`;
  const members: Member[] = [
    { name: name, content: config },
    { name: 'aaa/', type: '5' },
    { name: 'aaa/VERSION', content: '1.0' },
    { name: 'aaa/json', content: '{}' },
    { name: 'aaa/layer.tar', content: layer },
    { name: 'bbb/VERSION', content: '1.0' },
    { name: 'bbb/layer.tar', type: '2', link: '../aaa/layer.tar' },
    {
      name: 'manifest.json',
      content: JSON.stringify([{ Config: name, RepoTags: ['web:1'], Layers: ['aaa/layer.tar', 'bbb/layer.tar'] }]),
    },
    { name: 'repositories', content: '{"web":{"1":"bbb"}}' },
  ];
  return { bytes: tar(...members), members };
}

interface ArchiveFolder extends AsyncDisposable {
  file(bytes: Buffer): Promise<string>;
}

async function openFolder(): Promise<ArchiveFolder> {
  const folder = await mkdtempDisposable(path.join(tmpdir(), 'kiln-hostile-'));
  let count = 0;
  return {
    async file(bytes) {
      const file = path.join(folder.path, `${count++}.tar`);
      await writeFile(file, bytes);
      return file;
    },
    [Symbol.asyncDispose]: () => folder.remove(),
  };
}

/** Opens an archive and copies the image in it, as `kiln load` does. */
async function load(file: string): Promise<{ content: Target; root: Descriptor }> {
  const archive = await openDockerArchive(file);
  const [root] = archive.entries;
  if (root === undefined) throw new ToolError('LAYOUT_INVALID', 'there is no image in it');
  const content = memoryTarget();
  await copyImage(archive, content, root);
  return { content, root };
}

/** Digests of the layers of an image that was loaded. */
async function layersOf({ content, root }: Awaited<ReturnType<typeof load>>): Promise<string[]> {
  const { layers } = JSON.parse(await text(await content.read(root))) as { layers: { digest: string }[] };
  return layers.map(({ digest }) => digest);
}

const binarySize = (hex: string): Buffer => Buffer.from(hex, 'hex');

describe('an archive of docker save before 25', () => {
  it('gives an image whose layers are what its links lead to', async () => {
    await using folder = await openFolder();

    const loaded = await load(await folder.file(savedByDocker().bytes));

    expect(await layersOf(loaded)).toEqual([sha256(layer), sha256(layer)]);
  });

  it.each<[string, (members: readonly Member[]) => readonly Member[], string]>([
    [
      'a layer that is a link to a file outside',
      (members) => changed(members, 'bbb/layer.tar', { link: '../../../../etc/passwd' }),
      'LAYOUT_INVALID',
    ],
    [
      'a layer that is a link to an absolute path',
      (members) => changed(members, 'bbb/layer.tar', { link: '/etc/passwd' }),
      'LAYOUT_INVALID',
    ],
    [
      'links that lead to each other',
      (members) => [
        ...changed(members, 'bbb/layer.tar', { link: '../ccc/layer.tar' }),
        { name: 'ccc/layer.tar', type: '2', link: '../bbb/layer.tar' },
      ],
      'LAYOUT_INVALID',
    ],
    [
      'a layer with other bytes than its config says',
      (members) => changed(members, 'aaa/layer.tar', { content: 'another layer alltog' }),
      'BLOB_DIGEST_MISMATCH',
    ],
    [
      'a list that names what is not there',
      (members) => members.filter(({ name }) => name !== 'aaa/layer.tar'),
      'LAYOUT_INVALID',
    ],
    [
      'a list that is no JSON',
      (members) => changed(members, 'manifest.json', { content: '[{"Config":' }),
      'LAYOUT_INVALID',
    ],
    [
      'a list of things that are no images',
      (members) => changed(members, 'manifest.json', { content: '[null, 7]' }),
      'LAYOUT_INVALID',
    ],
    [
      'fewer layers than the config has',
      (members) =>
        changed(members, 'manifest.json', {
          content: JSON.stringify([{ Config: members[0]?.name, RepoTags: [], Layers: ['aaa/layer.tar'] }]),
        }),
      'LAYOUT_INVALID',
    ],
    [
      'a layer that is stored as a sparse file',
      (members) => changed(members, 'aaa/layer.tar', { type: 'S' }),
      'LAYOUT_INVALID',
    ],
    [
      'a negative size',
      (members) => changed(members, 'aaa/VERSION', { sizeField: binarySize('ffffffffffffffffffffff00') }),
      'LAYOUT_INVALID',
    ],
    [
      'a size of eight exbibytes',
      (members) => changed(members, 'aaa/VERSION', { sizeField: binarySize('800000007fffffffffffffff') }),
      'LAYOUT_INVALID',
    ],
    [
      'a size that is no number',
      (members) => changed(members, 'aaa/VERSION', { sizeField: Buffer.from('zzzzzzzzzzz\0') }),
      'LAYOUT_INVALID',
    ],
  ])('is refused with %s', async (_what, change, code) => {
    await using folder = await openFolder();
    const file = await folder.file(tar(...change(savedByDocker().members)));

    await expect(load(file)).rejects.toMatchObject({ code });
  });

  it('is refused when its list is endless, without reading it', async () => {
    await using folder = await openFolder();
    const huge = 1024 ** 3;
    const head = tar({ name: 'manifest.json', sizeField: Buffer.from(`${huge.toString(8).padStart(11, '0')}\0`) });
    const file = await folder.file(head.subarray(0, 512));
    await truncate(file, 512 + huge);

    await expect(load(file)).rejects.toMatchObject({ code: 'LAYOUT_INVALID' });
  });

  it('takes what is there last where a name is there twice, as unpacking would', async () => {
    await using folder = await openFolder();
    const { members } = savedByDocker();
    const first = { name: 'manifest.json', content: '[]' };

    const { root } = await load(await folder.file(tar(first, ...members)));

    expect(root.digest).toBe((await load(await folder.file(tar(...members)))).root.digest);
  });

  it('fails by a ToolError only, and never with other layers, whatever the bytes', async () => {
    await using folder = await openFolder();
    const { bytes: whole } = savedByDocker();
    const file = await folder.file(whole);

    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length), async (at, byte, cut) => {
        const bytes = Buffer.from(whole);
        bytes[at] = byte;
        await writeFile(file, bytes);
        if (cut % 3 === 0) await truncate(file, cut);

        const loaded = await load(file).catch((error: unknown) => {
          expect(error).toBeInstanceOf(ToolError);
        });

        if (loaded !== undefined) expect(await layersOf(loaded)).toEqual([sha256(layer), sha256(layer)]);
      }),
      { numRuns: 300 },
    );
  });
});

describe('an OCI archive', () => {
  it.each<[string, readonly Member[]]>([
    ['nothing but zeros', []],
    ['an index that is no JSON', [{ name: 'index.json', content: '{' }]],
    ['an index that is a list', [{ name: 'index.json', content: '[]' }]],
    ['an index that is a link to a file outside', [{ name: 'index.json', type: '2', link: '/etc/passwd' }]],
    ['an index whose manifests are a number', [{ name: 'index.json', content: '{"manifests":7}' }]],
    [
      'a pax header that makes its index sparse',
      [
        { name: 'x', type: 'x', content: '24 GNU.sparse.major=1.0\n' },
        { name: 'index.json', content: '{"manifests":[]}' },
      ],
    ],
    [
      'a pax header that says its index has a million gigabytes',
      [
        { name: 'x', type: 'x', content: '24 size=999999999999999\n' },
        { name: 'index.json', content: '{"manifests":[]}' },
      ],
    ],
  ])('is refused with %s', async (_what, members) => {
    await using folder = await openFolder();
    const file = await folder.file(tar(...members));

    await expect(ImageArchiveReader.open(file)).rejects.toMatchObject({ code: 'LAYOUT_INVALID' });
  });

  it('keeps long names of links', async () => {
    await using folder = await openFolder();
    const { members } = savedByDocker();
    const folderName = 'd'.repeat(70);
    const target = `../${folderName}/${'e'.repeat(40)}/layer.tar`;
    const long = [
      ...changed(members, 'aaa/layer.tar', { name: 'unused/layer.tar' }),
      { name: `${folderName}/layer.tar`, content: layer },
      { name: 'aaa/layer.tar', type: '2', link: `../${folderName}/layer.tar` },
    ].filter(({ name }) => name !== 'bbb/layer.tar');
    const linked = tar(
      { name: '././@LongLink', type: 'L', content: `${target.slice(3)}\0` },
      { name: 'cut', content: layer },
      { name: '././@LongLink', type: 'K', content: `${target}\0` },
      { name: 'bbb/layer.tar', type: '2', link: target.slice(0, 100) },
      ...long,
    );

    const { content, root } = await load(await folder.file(linked));

    expect(await content.has(root)).toBe(true);
  });
});

function changed(members: readonly Member[], name: string, change: Partial<Member>): Member[] {
  return members.map((member) => (member.name === name ? { ...member, ...change } : member));
}

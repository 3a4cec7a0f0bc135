import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import {
  type CallOptions,
  type Descriptor,
  describe as describeBytes,
  LockFolder,
  mediaTypes,
  openImage,
  readVerified,
  serializeManifest,
  sha256,
  streamOf,
} from '../../core/index.ts';
import { blobOf, sampleImage } from '../content-suite.ts';
import { copyImage } from '../copy/copy-image.ts';
import { OciLayout } from '../layout/oci-layout.ts';
import { memoryTarget } from '../memory.ts';
import { parsePlace } from './place.ts';
import { openDestination } from './place-destination.ts';
import { openSource } from './place-source.ts';

type Sample = Awaited<ReturnType<typeof sampleImage>>;

/** A store and a folder for whatever else there is; no registry. */
async function openBench() {
  const folder = await mkdtempDisposable(path.join(tmpdir(), 'kiln-places-'));
  const locks = new LockFolder(path.join(folder.path, 'locks'));
  const store = await OciLayout.open(path.join(folder.path, 'store'), { locks });
  const out = path.join(folder.path, 'out');
  mkdirSync(out);
  const options = { remote: { credentials: { find: async () => undefined } }, store, locks };
  const place = (text: string) => parsePlace(text.replaceAll('OUT', out), 'store');
  return {
    out,
    store,
    open: (text: string, call: CallOptions = {}) => openSource(place(text), { ...options, ...call }),
    destination: (text: string) => openDestination(place(text), options),
    async put(image: Sample, text: string, tags: readonly string[] = []) {
      await using destination = await openDestination(place(text), options);
      const root = await copyImage(image.content, destination.target, image.root);
      await destination.finish(root, { tags });
    },
    [Symbol.asyncDispose]: () => folder.remove(),
  };
}

const kinds = ['oci:OUT/dir:web:1', 'oci-archive:OUT/f.tar:web:1', 'docker-archive:OUT/f.tar:web:1', 'kiln:web:1'];

describe('openDestination and openSource', () => {
  it.each(kinds)('find again at %s what was put there, digest and full name', async (text) => {
    await using bench = await openBench();
    const image = await sampleImage('one');

    await bench.put(image, text);

    await using source = await bench.open(text);
    expect(source.root).toMatchObject(image.root);
    expect(source.imageName).toBe('docker.io/library/web:1');
    expect(await readVerified(source.content, source.root)).toEqual(await readVerified(image.content, image.root));
  });

  it.each(['oci:OUT/dir', 'oci-archive:OUT/f.tar', 'docker-archive:OUT/f.tar'])(
    'need no name at %s where there is one image',
    async (text) => {
      await using bench = await openBench();
      const image = await sampleImage('one');

      await bench.put(image, text);

      await using source = await bench.open(text);
      expect(source.root).toMatchObject(image.root);
      expect(source.imageName).toBeUndefined();
    },
  );

  it('keeps other images of a folder, and replaces the one of the same name', async () => {
    await using bench = await openBench();
    const [one, two, other] = [await sampleImage('one'), await sampleImage('two'), await sampleImage('other')];
    await bench.put(other, 'oci:OUT/dir:other');
    await bench.put(one, 'oci:OUT/dir:1', ['1.2']);

    await bench.put(two, 'oci:OUT/dir:1');

    const rootOf = async (text: string) => (await bench.open(text)).root.digest;
    expect(await rootOf('oci:OUT/dir:other')).toBe(other.root.digest);
    expect(await rootOf('oci:OUT/dir:1')).toBe(two.root.digest);
    expect(await rootOf('oci:OUT/dir:1.2')).toBe(one.root.digest);
    expect(readdirSync(bench.out)).toEqual(['dir']);
  });

  it('lists the names there are when one is missing or wrong', async () => {
    await using bench = await openBench();
    await bench.put(await sampleImage('one'), 'oci:OUT/dir:stable');
    await bench.put(await sampleImage('two'), 'oci:OUT/dir:edge');
    await bench.put(await sampleImage('three'), 'oci:OUT/dir');

    await expect(bench.open('oci:OUT/dir')).rejects.toMatchObject({
      code: 'REFERENCE_NOT_FOUND',
      message: expect.stringContaining('3 images'),
      hint: expect.stringMatching(/^it holds: stable, edge, sha256:[0-9a-f]{12}$/),
    });
    await expect(bench.open('oci:OUT/dir:stabel')).rejects.toMatchObject({
      code: 'REFERENCE_NOT_FOUND',
      hint: expect.stringMatching(/^did you mean stable\? it holds: stable, edge/),
    });
    await expect(bench.open('kiln:nowhere')).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' });
    await expect(bench.open('oci:OUT/nowhere')).rejects.toMatchObject({ code: 'LAYOUT_NOT_FOUND' });
    await expect(bench.open('docker-archive:OUT/nowhere')).rejects.toMatchObject({ code: 'LAYOUT_NOT_FOUND' });
  });

  it('takes a digest, the beginning of one, and the position of an image', async () => {
    await using bench = await openBench();
    const [one, two] = [await sampleImage('one'), await sampleImage('two')];
    await bench.put(one, 'oci:OUT/dir:1');
    await bench.put(two, 'oci:OUT/dir:2');

    for (const name of [two.root.digest, two.root.digest.slice(0, 19), two.root.digest.slice(7, 19), '@1']) {
      expect((await bench.open(`oci:OUT/dir:${name}`)).root.digest).toBe(two.root.digest);
    }
  });

  it.each(kinds)('leaves nothing of %s when it is not finished', async (text) => {
    await using bench = await openBench();
    const image = await sampleImage('one');

    {
      await using destination = await bench.destination(text);
      await copyImage(image.content, destination.target, image.root);
    }

    expect(readdirSync(bench.out)).toEqual([]);
    await expect(bench.open(text)).rejects.toMatchObject({ code: expect.stringMatching(/NOT_FOUND/) });
  });

  it('replaces an archive whole, also behind a symbolic link, and nothing that is no file', async () => {
    await using bench = await openBench();
    writeFileSync(path.join(bench.out, 'real.tar'), 'before');
    symlinkSync('real.tar', path.join(bench.out, 'link.tar'));
    mkdirSync(path.join(bench.out, 'folder'));

    await bench.put(await sampleImage('one'), 'oci-archive:OUT/link.tar');

    expect(readFileSync(path.join(bench.out, 'real.tar')).length).toBeGreaterThan(6);
    expect(readdirSync(bench.out).sort()).toEqual(['folder', 'link.tar', 'real.tar']);
    await expect(bench.destination('oci-archive:OUT/folder')).rejects.toMatchObject({ code: 'OUTPUT_FAILED' });
    await expect(bench.destination('oci-archive:OUT/no/f.tar')).rejects.toMatchObject({ code: 'OUTPUT_FAILED' });
  });

  it('refuses a destination whose digest the image does not have', async () => {
    await using bench = await openBench();
    const image = await sampleImage('one');

    await expect(bench.put(image, `kiln:web@${sha256('other')}`)).rejects.toMatchObject({ code: 'REFERENCE_INVALID' });
  });

  it.each(['oci:OUT/dir', 'oci-archive:OUT/f.tar'])('see an image at %s beside its signature', async (text) => {
    await using bench = await openBench();
    const image = await sampleImage('one');
    await using destination = await bench.destination(text);
    await copyImage(image.content, destination.target, image.root);
    const empty = blobOf('{}', mediaTypes.empty);
    const bytes = serializeManifest({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      artifactType: 'application/x-signature',
      config: empty.descriptor,
      layers: [empty.descriptor],
      subject: image.root,
    });
    const signature: Descriptor = describeBytes(mediaTypes.manifest, bytes);
    await destination.target.write(empty.descriptor, streamOf(empty.bytes));
    await destination.target.write(signature, streamOf(bytes));

    await destination.finish(image.root, { referrers: [signature] });

    const { content, root } = await bench.open(text);
    expect(root.digest).toBe(image.root.digest);
    const copied = memoryTarget();
    await copyImage(content, copied, root, { referrers: true });
    expect(await copied.has(signature)).toBe(true);
  });
});

describe('openSource of an archive of docker save before 25', () => {
  async function archive(folder: string, options: { readonly layer?: string; readonly linked?: boolean } = {}) {
    const files = path.join(folder, 'files');
    mkdirSync(path.join(files, 'aa'), { recursive: true });
    const tar = execFileSync('tar', ['-cf', '-', '-C', '/', '--no-recursion', 'etc/hostname', 'etc/passwd']);
    writeFileSync(path.join(files, 'aa/layer.tar'), options.layer === 'gzip' ? gzipSync(tar) : tar);
    if (options.layer === 'other') writeFileSync(path.join(files, 'aa/layer.tar'), Buffer.alloc(tar.length));
    const layers = ['aa/layer.tar'];
    if (options.linked) {
      mkdirSync(path.join(files, 'bb'));
      symlinkSync('../aa/layer.tar', path.join(files, 'bb/layer.tar'));
      layers.push('bb/layer.tar');
    }
    const config = {
      architecture: 'amd64',
      os: 'linux',
      config: {},
      rootfs: { type: 'layers', diff_ids: layers.map(() => sha256(tar)) },
    };
    writeFileSync(path.join(files, 'config.json'), JSON.stringify(config));
    const list = [{ Config: 'config.json', RepoTags: ['web:1', 'example.com/web:2'], Layers: layers }];
    writeFileSync(path.join(files, 'manifest.json'), JSON.stringify(list));
    execFileSync('tar', ['-cf', path.join(folder, 'old.tar'), '-C', files, ...readdirSync(files)]);
    return sha256(tar);
  }

  it.each([{}, { layer: 'gzip' }, { linked: true }])('makes an image of it, by any of its names (%j)', async (made) => {
    await using bench = await openBench();
    const diffId = await archive(bench.out, made);

    const byName = await Promise.all(
      ['', ':web:1', ':docker.io/library/web:1', ':example.com/web:2'].map((name) =>
        bench.open(`docker-archive:OUT/old.tar${name}`),
      ),
    );

    const [source] = byName;
    if (source === undefined) throw new TypeError();
    expect(new Set(byName.map(({ root }) => root.digest)).size).toBe(1);
    expect(byName.map(({ imageName }) => imageName).slice(2)).toEqual(['docker.io/library/web:1', 'example.com/web:2']);
    await copyImage(source.content, bench.store, source.root);
    const platform = { os: 'linux', architecture: 'amd64' };
    const { layers } = await openImage(bench.store, source.root, { platform });
    expect(new Set(layers.map((layer) => layer.diffId))).toEqual(new Set([diffId]));
    expect(layers.length).toBe('linked' in made ? 2 : 1);
  });

  it('is found out when a layer is not what the config says', async () => {
    await using bench = await openBench();
    await archive(bench.out, { layer: 'other' });
    const source = await bench.open('docker-archive:OUT/old.tar');

    await expect(copyImage(source.content, bench.store, source.root)).rejects.toMatchObject({
      code: 'BLOB_DIGEST_MISMATCH',
    });
  });

  it.each([
    ['no list', undefined],
    ['no JSON', '{'],
    ['no images', '{}'],
    ['files that are not there', '[{"Config":"../../etc/passwd","Layers":[]}]'],
    ['numbers', '[{"Config":1,"Layers":[2]}]'],
  ])('refuses one with %s', async (_what, list) => {
    await using bench = await openBench();
    const files = path.join(bench.out, 'files');
    mkdirSync(files);
    writeFileSync(path.join(files, 'x'), '');
    if (list !== undefined) writeFileSync(path.join(files, 'manifest.json'), list);
    execFileSync('tar', ['-cf', path.join(bench.out, 'bad.tar'), '-C', files, '.']);
    cpSync(path.join(bench.out, 'bad.tar'), path.join(bench.out, 'copy.tar'));

    await expect(bench.open('docker-archive:OUT/bad.tar')).rejects.toMatchObject({ code: 'LAYOUT_INVALID' });
  });
});

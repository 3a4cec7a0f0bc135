import { mkdtempDisposable, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import {
  type Descriptor,
  type DiffId,
  describe as describeBytes,
  mediaTypes,
  openImage,
  type Platform,
  parseIndex,
  readVerified,
  streamOf,
} from '../core/index.ts';
import { json, sampleImage } from './content-suite.ts';
import { copyImage } from './copy-image.ts';
import { type CompressedLayerMemory, gzippedImage } from './gzip.ts';
import { memoryTarget } from './memory.ts';

const platform: Platform = { os: 'linux', architecture: 'amd64' };

function memory(): CompressedLayerMemory & { known: Map<DiffId, Descriptor> } {
  const known = new Map<DiffId, Descriptor>();
  return {
    known,
    get: async (diffId) => known.get(diffId),
    set: async (diffId, descriptor) => {
      known.set(diffId, descriptor);
    },
  };
}

describe('gzippedImage', () => {
  it('compresses the layers, keeps the config, and names both in a new OCI manifest', async () => {
    await using scratch = await mkdtempDisposable(path.join(tmpdir(), 'kiln-gzip-'));
    const image = await sampleImage('one', ['first layer', 'second layer']);

    const view = await gzippedImage(image.content, image.root, {
      scratch: scratch.path,
      platform,
      remembered: memory(),
    });
    const copied = memoryTarget();
    await copyImage(view.content, copied, view.root);

    const before = await openImage(image.content, image.root, { platform });
    const after = await openImage(copied, view.root, { platform });
    expect(after.manifest.mediaType).toBe(mediaTypes.manifest);
    expect(after.manifest.config).toEqual(before.manifest.config);
    expect(after.layers.map((layer) => layer.diffId)).toEqual(before.layers.map((layer) => layer.diffId));
    expect(after.layers.map((layer) => layer.descriptor.mediaType)).toEqual([
      mediaTypes.layerGzip,
      mediaTypes.layerGzip,
    ]);
    const bytes = await Promise.all(after.layers.map((layer) => readVerified(copied, layer.descriptor)));
    expect(bytes.map((layer) => gunzipSync(layer).toString())).toEqual(['first layer', 'second layer']);
  });

  it('gives the same digest every time, and leaves what is compressed as it is', async () => {
    await using scratch = await mkdtempDisposable(path.join(tmpdir(), 'kiln-gzip-'));
    const image = await sampleImage('one');
    const options = () => ({ scratch: scratch.path, platform, remembered: memory() });

    const first = await gzippedImage(image.content, image.root, options());
    const second = await gzippedImage(image.content, image.root, options());
    const again = await gzippedImage(first.content, first.root, options());

    expect(second.root).toEqual(first.root);
    expect(again.root).toBe(first.root);
  });

  it('does not compress again what the destination has, unless the destination lost it meanwhile', async () => {
    await using scratch = await mkdtempDisposable(path.join(tmpdir(), 'kiln-gzip-'));
    await using other = await mkdtempDisposable(path.join(tmpdir(), 'kiln-gzip-'));
    const image = await sampleImage('one', ['a', 'b']);
    const remembered = memory();
    const first = await gzippedImage(image.content, image.root, { scratch: scratch.path, platform, remembered });

    const second = await gzippedImage(image.content, image.root, {
      scratch: other.path,
      platform,
      remembered,
      alreadyThere: async () => true,
    });

    expect(second.root).toEqual(first.root);
    expect(await readdir(other.path)).toEqual([]);
    await copyImage(second.content, memoryTarget(), second.root);
    expect(await readdir(other.path)).toHaveLength(2);
  });

  it('does not believe a memory that is wrong', async () => {
    await using scratch = await mkdtempDisposable(path.join(tmpdir(), 'kiln-gzip-'));
    const image = await sampleImage('one');
    const lie = describeBytes(mediaTypes.layerGzip, Buffer.from('something else'));
    const view = await gzippedImage(image.content, image.root, {
      scratch: scratch.path,
      platform,
      remembered: { get: async () => lie, set: async () => undefined },
      alreadyThere: async () => true,
    });

    const copying = copyImage(view.content, memoryTarget(), view.root);

    await expect(copying).rejects.toMatchObject({ code: 'BLOB_DIGEST_MISMATCH' });
  });

  it('fails on a layer that is not what its descriptor says', async () => {
    await using scratch = await mkdtempDisposable(path.join(tmpdir(), 'kiln-gzip-'));
    const image = await sampleImage('one');
    const lying = {
      has: image.content.has.bind(image.content),
      read: async (descriptor: Descriptor) =>
        descriptor.mediaType === mediaTypes.layer
          ? streamOf(Buffer.alloc(descriptor.size))
          : image.content.read(descriptor),
    };

    const view = gzippedImage(lying, image.root, { scratch: scratch.path, platform, remembered: memory() });

    await expect(view).rejects.toMatchObject({ code: 'BLOB_DIGEST_MISMATCH' });
  });

  it('rewrites an index around the images it compressed, and keeps their platforms', async () => {
    await using scratch = await mkdtempDisposable(path.join(tmpdir(), 'kiln-gzip-'));
    const [one, two] = [await sampleImage('one'), await sampleImage('two')];
    const content = memoryTarget();
    for (const image of [one, two]) await copyImage(image.content, content, image.root);
    const bytes = json({
      schemaVersion: 2,
      mediaType: mediaTypes.index,
      manifests: [
        { ...one.root, platform },
        { ...two.root, platform: { os: 'linux', architecture: 'arm64' } },
      ],
    });
    const root = describeBytes(mediaTypes.index, bytes);
    await content.write(root, streamOf(bytes));

    const view = await gzippedImage(content, root, { scratch: scratch.path, platform, remembered: memory() });

    const index = parseIndex(await readVerified(view.content, view.root));
    expect(index.manifests.map((child) => child.platform?.architecture)).toEqual(['amd64', 'arm64']);
    const image = await openImage(view.content, view.root, { platform });
    expect(image.layers[0]?.descriptor.mediaType).toBe(mediaTypes.layerGzip);
  });
});

import { mkdtempDisposable, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { createGunzip, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import {
  type Descriptor,
  type Digest,
  describe as describeBytes,
  type IngestedBlob,
  layerCompression,
  mediaTypes,
  openImage,
  type Platform,
  parseIndex,
  type ReadOptions,
  readVerified,
  streamOf,
  type Target,
  ToolError,
} from '../../core/index.ts';
import { json, sampleImage } from '../content-suite.ts';
import { copyImage } from '../copy/copy-image.ts';
import { memoryTarget } from '../memory.ts';
import { type CompressedLayerMemory, compressedImage } from './compressed-image.ts';
import type { LayerDestination } from './layer-sender.ts';

const platform: Platform = { os: 'linux', architecture: 'amd64' };

function memory(): CompressedLayerMemory & { known: Map<string, Descriptor> } {
  const known = new Map<string, Descriptor>();
  return {
    known,
    get: async (diffId, settings) => known.get(`${diffId} ${settings}`),
    set: async (diffId, settings, descriptor) => {
      known.set(`${diffId} ${settings}`, descriptor);
    },
  };
}

/** A place that says it has everything. */
function having(target: Target): LayerDestination {
  return Object.assign(Object.create(target) as Target, { has: async () => true });
}

describe('compressedImage', () => {
  it('compresses the layers, keeps the config, and names both in a new OCI manifest', async () => {
    await using scratch = await mkdtempDisposable(path.join(tmpdir(), 'kiln-gzip-'));
    const image = await sampleImage('one', ['first layer', 'second layer']);

    const view = await compressedImage(image.content, image.root, {
      scratch: async () => scratch.path,
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
    const options = () => ({ scratch: async () => scratch.path, platform, remembered: memory() });

    const first = await compressedImage(image.content, image.root, options());
    const second = await compressedImage(image.content, image.root, options());
    const again = await compressedImage(first.content, first.root, options());

    expect(second.root).toEqual(first.root);
    expect(again.root).toBe(first.root);
  });

  it('does not compress again what the destination has, unless the destination lost it meanwhile', async () => {
    await using scratch = await mkdtempDisposable(path.join(tmpdir(), 'kiln-gzip-'));
    await using other = await mkdtempDisposable(path.join(tmpdir(), 'kiln-gzip-'));
    const image = await sampleImage('one', ['a', 'b']);
    const remembered = memory();
    const first = await compressedImage(image.content, image.root, {
      scratch: async () => scratch.path,
      platform,
      remembered,
    });

    const second = await compressedImage(image.content, image.root, {
      scratch: async () => other.path,
      platform,
      remembered,
      destination: having(memoryTarget()),
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
    const view = await compressedImage(image.content, image.root, {
      scratch: async () => scratch.path,
      platform,
      remembered: { get: async () => lie, set: async () => undefined },
      destination: having(memoryTarget()),
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

    const view = compressedImage(lying, image.root, {
      scratch: async () => scratch.path,
      platform,
      remembered: memory(),
    });

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

    const view = await compressedImage(content, root, {
      scratch: async () => scratch.path,
      platform,
      remembered: memory(),
    });

    const index = parseIndex(await readVerified(view.content, view.root));
    expect(index.manifests.map((child) => child.platform?.architecture)).toEqual(['amd64', 'arm64']);
    const image = await openImage(view.content, view.root, { platform });
    expect(image.layers[0]?.descriptor.mediaType).toBe(mediaTypes.layerGzip);
  });

  it.each(['gzip', 'zstd', 'none'] as const)('packs with %s into a place that takes streams', async (algorithm) => {
    const image = await sampleImage('one', ['first layer', 'second layer']);
    const place = new StreamPlace();
    const events: string[] = [];

    const view = await compressedImage(image.content, image.root, {
      scratch: noScratch,
      platform,
      remembered: memory(),
      compression: { algorithm },
      destination: place,
      onEvent: ({ type }) => events.push(type),
    });
    await copyImage(view.content, place, view.root);

    const after = await openImage(place, view.root, { platform });
    const before = await openImage(image.content, image.root, { platform });
    expect(after.layers.map(({ descriptor }) => layerCompression(descriptor.mediaType))).toEqual([
      algorithm,
      algorithm,
    ]);
    for (const [position, { descriptor, diffId }] of after.layers.entries()) {
      expect(diffId).toBe(before.layers[position]?.diffId);
      const bytes = await readVerified(place, descriptor);
      const unpack = { gzip: gunzipSync, zstd: zstdDecompressSync, none: (same: Buffer) => same }[algorithm];
      expect(unpack(bytes).toString()).toBe(['first layer', 'second layer'][position]);
    }
    // A plain layer stays what it is, and is copied like everything else.
    expect(place.ingested).toHaveLength(algorithm === 'none' ? 0 : 2);
    expect(events.filter((type) => type === 'done')).toHaveLength(algorithm === 'none' ? 0 : 2);
  });

  it('packs what comes packed otherwise when it is forced to, and checks what it unpacks', async () => {
    const image = await sampleImage('one', ['first layer']);
    const gzip = new StreamPlace();
    const options = { scratch: noScratch, platform, decompress: decompressForTest };
    const first = await compressedImage(image.content, image.root, {
      ...options,
      remembered: memory(),
      destination: gzip,
    });
    await copyImage(first.content, gzip, first.root);
    const zstd = { algorithm: 'zstd' } as const;

    const kept = await compressedImage(gzip, first.root, { ...options, remembered: memory(), compression: zstd });
    const place = new StreamPlace();
    const forced = await compressedImage(gzip, first.root, {
      ...options,
      remembered: memory(),
      compression: { ...zstd, force: true },
      destination: place,
    });

    expect(kept.root).toEqual(first.root);
    await copyImage(forced.content, place, forced.root);
    const [layer] = (await openImage(place, forced.root, { platform })).layers;
    expect(layer?.descriptor.mediaType).toBe(mediaTypes.layerZstd);
    expect(zstdDecompressSync(await readVerified(place, layer?.descriptor as Descriptor)).toString()).toBe(
      'first layer',
    );
    const lying = {
      ...options,
      decompress: () => Readable.from([Buffer.from('another layer')], { objectMode: false }),
    };
    const failing = compressedImage(gzip, first.root, {
      ...lying,
      remembered: memory(),
      compression: { ...zstd, force: true },
      destination: new StreamPlace(),
    });
    await expect(failing).rejects.toMatchObject({ code: 'LAYER_DIFFID_MISMATCH' });
  });

  it('packs into files, and sends those, where streams are refused', async () => {
    await using scratch = await mkdtempDisposable(path.join(tmpdir(), 'kiln-gzip-'));
    const image = await sampleImage('one', ['first layer', 'second layer']);
    const place = new StreamPlace();
    place.refuses = true;

    const view = await compressedImage(image.content, image.root, {
      scratch: async () => scratch.path,
      platform,
      remembered: memory(),
      destination: place,
      concurrency: 1,
    });
    await copyImage(view.content, place, view.root);

    expect(place.asked).toBe(1);
    expect(await readdir(scratch.path)).toHaveLength(2);
    const { layers } = await openImage(place, view.root, { platform });
    const bytes = await Promise.all(layers.map(({ descriptor }) => readVerified(place, descriptor)));
    expect(bytes.map((layer) => gunzipSync(layer).toString())).toEqual(['first layer', 'second layer']);
  });

  it('packs the same layer once, and again after a failure that may pass', async () => {
    const image = await sampleImage('one', ['same', 'same', 'other']);
    const place = new StreamPlace();
    place.failures = 1;

    const view = await compressedImage(image.content, image.root, {
      scratch: noScratch,
      platform,
      remembered: memory(),
      destination: place,
    });

    expect(place.ingested).toHaveLength(2);
    const { layers } = await openImage(view.content, view.root, { platform });
    expect(layers[0]).toEqual(layers[1]);
  });

  it('takes a layer over from where the place says it is', async () => {
    const image = await sampleImage('one', ['a layer']);
    const remembered = memory();
    const elsewhere = new StreamPlace();
    await compressedImage(image.content, image.root, {
      scratch: noScratch,
      platform,
      remembered,
      destination: elsewhere,
    });
    const place = Object.assign(new StreamPlace(), { mount: async (_: Descriptor, from: string) => from === 'other' });
    const events: string[] = [];

    await compressedImage(image.content, image.root, {
      scratch: noScratch,
      platform,
      remembered,
      destination: place,
      mountSources: async () => ['wrong', 'other'],
      onEvent: ({ type }) => events.push(type),
    });

    expect(events).toEqual(['mount']);
    expect(place.asked).toBe(0);
  });
});

const noScratch = async (): Promise<string> => {
  throw new TypeError('no file is needed');
};

function decompressForTest(blob: Readable): Readable {
  return blob.pipe(createGunzip());
}

/** A place in memory that takes streams. */
class StreamPlace implements LayerDestination {
  readonly #target = memoryTarget();
  readonly ingested: Digest[] = [];
  refuses = false;
  failures = 0;
  asked = 0;

  async ingest(content: Readable): Promise<IngestedBlob> {
    this.asked += 1;
    if (this.refuses) throw new ToolError('REGISTRY_CHUNKS_REFUSED', 'no parts');
    if (this.failures > 0) {
      this.failures -= 1;
      throw new ToolError('REGISTRY_UPLOAD_LOST', 'gone');
    }
    const bytes = await buffer(content);
    const descriptor = describeBytes('application/octet-stream', bytes);
    await this.#target.write(descriptor, streamOf(bytes));
    this.ingested.push(descriptor.digest);
    return { digest: descriptor.digest, size: descriptor.size };
  }

  has = (descriptor: Descriptor) => this.#target.has(descriptor);
  read = (descriptor: Descriptor, options?: ReadOptions) => this.#target.read(descriptor, options);
  resolve = (reference: string) => this.#target.resolve(reference);
  write = (descriptor: Descriptor, content: Readable) => this.#target.write(descriptor, content);
  tag = (descriptor: Descriptor, reference: string) => this.#target.tag(descriptor, reference);
}

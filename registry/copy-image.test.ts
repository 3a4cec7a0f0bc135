import { describe, expect, it } from 'vitest';
import { type Descriptor, describe as describeBytes, mediaTypes, streamOf, type Target } from '../core/index.ts';
import { json, sampleImage } from './content-suite.ts';
import { type CopyEvent, copyImage } from './copy-image.ts';
import { memoryTarget } from './memory.ts';

interface Traced {
  readonly target: Target;
  readonly written: Descriptor[];
}

function traced(before: (descriptor: Descriptor) => Promise<void> = async () => undefined): Traced {
  const inner = memoryTarget();
  const written: Descriptor[] = [];
  const target: Target = {
    has: (descriptor) => inner.has(descriptor),
    read: (descriptor) => inner.read(descriptor),
    resolve: (reference) => inner.resolve(reference),
    tag: (descriptor, reference) => inner.tag(descriptor, reference),
    async write(descriptor, content, options) {
      await before(descriptor);
      await inner.write(descriptor, content, options);
      written.push(descriptor);
    },
  };
  return { target, written };
}

async function sampleIndex(): Promise<{ content: Target; root: Descriptor; images: Descriptor[] }> {
  const content = memoryTarget();
  const images: Descriptor[] = [];
  for (const architecture of ['amd64', 'arm64']) {
    const image = await sampleImage(architecture, ['shared layer', `own layer of ${architecture}`]);
    await copyImage(image.content, content, image.root);
    images.push({ ...image.root, platform: { os: 'linux', architecture } });
  }
  const bytes = json({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: images });
  const root = describeBytes(mediaTypes.index, bytes);
  await content.write(root, streamOf(bytes));
  return { content, root, images };
}

describe('copyImage', () => {
  it('writes children before parents, and the same blob once', async () => {
    const { content, root, images } = await sampleIndex();
    const { target, written } = traced();

    const copied = await copyImage(content, target, root);

    expect(copied).toEqual(root);
    const digests = written.map((descriptor) => descriptor.digest);
    expect(new Set(digests).size).toBe(digests.length);
    expect(digests).toHaveLength(1 + 2 + 2 + 3);
    expect(digests.at(-1)).toBe(root.digest);
    expect(digests.slice(-3, -1).sort()).not.toEqual(digests.slice(0, 2).sort());
    for (const image of images) expect(digests.indexOf(image.digest)).toBeGreaterThan(1);
  });

  it('takes only one image out of an index when a platform is given', async () => {
    const { content, root, images } = await sampleIndex();
    const { target, written } = traced();

    const copied = await copyImage(content, target, root, { platform: { os: 'linux', architecture: 'arm64' } });

    expect(copied).toEqual(images[1]);
    expect(written).toHaveLength(4);
    expect(await target.has(root)).toBe(false);
  });

  it('skips what is there', async () => {
    const image = await sampleImage('one', ['a', 'b']);
    const { target, written } = traced();
    const layer = image.blobs[0] as Descriptor;
    await target.write(layer, await image.content.read(layer));
    const events: CopyEvent[] = [];

    await copyImage(image.content, target, image.root, { onEvent: (event) => events.push(event) });
    await copyImage(image.content, target, image.root);

    expect(written).toHaveLength(4);
    expect(events.filter(({ type }) => type === 'skip').map(({ descriptor }) => descriptor)).toEqual([layer]);
  });

  it('tells how far it is', async () => {
    const image = await sampleImage('one', ['x'.repeat(300_000)]);
    const layer = image.blobs[0] as Descriptor;
    const events: CopyEvent[] = [];

    await copyImage(image.content, memoryTarget(), image.root, { onEvent: (event) => events.push(event) });

    const ofLayer = events.filter(({ descriptor }) => descriptor.digest === layer.digest);
    expect(ofLayer.map(({ type }) => type)).toEqual(['start', 'progress', 'done']);
    expect(ofLayer[1]).toMatchObject({ bytes: 300_000 });
  });

  it('keeps to its concurrency', async () => {
    const image = await sampleImage(
      'one',
      Array.from({ length: 12 }, (_, index) => `layer ${index}`),
    );
    let [running, most] = [0, 0];
    const { target } = traced(async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
    });

    await copyImage(image.content, target, image.root, { concurrency: 3 });

    expect(most).toBe(3);
  });

  it('tries again what failed in passing, and only that', async () => {
    const image = await sampleImage('one');
    const failures = [Object.assign(new Error('reset'), { code: 'REGISTRY_UNREACHABLE' })];
    const { target } = traced(async () => {
      const failure = failures.pop();
      if (failure !== undefined) throw failure;
    });

    await copyImage(image.content, target, image.root);
    expect(await target.has(image.root)).toBe(true);

    failures.push(Object.assign(new Error('no'), { code: 'REGISTRY_DENIED' }));
    const other = await sampleImage('two');
    await expect(copyImage(other.content, target, other.root)).rejects.toMatchObject({ code: 'REGISTRY_DENIED' });
  });

  it('does not write the manifest when a layer failed, and is over when it fails', async () => {
    const image = await sampleImage('one', ['a', 'b', 'c']);
    const { target, written } = traced(async (descriptor) => {
      if (descriptor.digest === image.blobs[1]?.digest) throw new Error('disk full');
    });

    await expect(copyImage(image.content, target, image.root, { concurrency: 2 })).rejects.toThrow('disk full');
    const count = written.length;
    await new Promise((resolve) => setTimeout(resolve, 20));

    expect(written).toHaveLength(count);
    expect(await target.has(image.root)).toBe(false);
  });

  it('stops when it is aborted', async () => {
    const image = await sampleImage('one');
    const controller = new AbortController();
    const { target } = traced(async () => controller.abort(new Error('enough')));

    const copying = copyImage(image.content, target, image.root, { signal: controller.signal });

    await expect(copying).rejects.toThrow('enough');
    expect(await target.has(image.root)).toBe(false);
  });

  it('fails on what is missing in the source', async () => {
    const image = await sampleImage('one');
    const source = memoryTarget();
    await source.write(image.root, await image.content.read(image.root));

    await expect(copyImage(source, memoryTarget(), image.root)).rejects.toMatchObject({ code: 'BLOB_NOT_FOUND' });
  });

  it('leaves layers alone that must not be distributed', async () => {
    const foreign = {
      ...describeBytes('application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', Buffer.from('elsewhere')),
      urls: ['https://example.com/layer'],
    };
    const config = describeBytes(mediaTypes.config, Buffer.from('{}'));
    const bytes = json({ schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers: [foreign] });
    const [source, destination] = [memoryTarget(), memoryTarget()];
    await source.write(config, streamOf(Buffer.from('{}')));
    const root = describeBytes(mediaTypes.manifest, bytes);
    await source.write(root, streamOf(bytes));

    await copyImage(source, destination, root);

    expect(await destination.has(root)).toBe(true);
  });

  it('does not follow indexes in indexes without end', async () => {
    const content = memoryTarget();
    let root = (await sampleImage('one')).root;
    for (let depth = 0; depth < 8; depth++) {
      const bytes = json({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: [root] });
      root = describeBytes(mediaTypes.index, bytes);
      await content.write(root, streamOf(bytes));
    }

    await expect(copyImage(content, memoryTarget(), root)).rejects.toMatchObject({ code: 'MANIFEST_INVALID' });
  });
});

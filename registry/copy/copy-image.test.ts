import { describe, expect, it } from 'vitest';
import {
  type Descriptor,
  type Digest,
  describe as describeBytes,
  mediaTypes,
  type ReadableContent,
  type ReferrerLister,
  streamOf,
  type Target,
} from '../../core/index.ts';
import { blobOf, json, sampleImage } from '../content-suite.ts';
import { memoryTarget } from '../memory.ts';
import { type CopyEvent, copyImage } from './copy-image.ts';
import { traced } from './traced-target.testing.ts';

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

function withReferrers(
  content: Target,
  referrers: (subject: Digest) => Promise<readonly Descriptor[]>,
): ReadableContent & ReferrerLister {
  return {
    has: (descriptor) => content.has(descriptor),
    read: (descriptor, options) => content.read(descriptor, options),
    referrers,
  };
}

async function extra(into: Target): Promise<{ root: Descriptor }> {
  const artifact = await sampleImage('another signature');
  await copyImage(artifact.content, into, artifact.root);
  return artifact;
}

/** An image whose only layer is elsewhere. */
async function foreignImage(layer: Descriptor, urls: string[]): Promise<{ content: Target; root: Descriptor }> {
  const content = memoryTarget();
  const config = blobOf('{}', mediaTypes.config);
  await content.write(config.descriptor, streamOf(config.bytes));
  const layers = [{ ...layer, urls }];
  const bytes = json({ schemaVersion: 2, mediaType: mediaTypes.manifest, config: config.descriptor, layers });
  const root = describeBytes(mediaTypes.manifest, bytes);
  await content.write(root, streamOf(bytes));
  return { content, root };
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

  it('fetches layers that may not be redistributed where that is allowed, and only by https', async () => {
    const elsewhere = blobOf('foreign bytes', mediaTypes.foreignLayer);
    const { content, root } = await foreignImage(elsewhere.descriptor, [
      'http://plain.example/layer',
      'https://user:secret@mirror.example/layer',
      'https://publisher.example/layer',
    ]);
    const asked: string[] = [];
    const publisher = {
      open: async (url: URL) => {
        asked.push(url.href);
        return streamOf(elsewhere.bytes);
      },
    };
    const [refusing, fetching, cheated] = [memoryTarget(), memoryTarget(), memoryTarget()];

    await expect(copyImage(content, refusing, root, { foreignLayers: 'refuse' })).rejects.toMatchObject({
      code: 'LAYER_FOREIGN',
      message: expect.stringMatching(/publisher\.example/),
    });
    await copyImage(content, fetching, root, { foreignLayers: publisher });
    const liar = { open: async () => streamOf(Buffer.from('another thing')) };
    await expect(copyImage(content, cheated, root, { foreignLayers: liar })).rejects.toMatchObject({
      code: 'BLOB_DIGEST_MISMATCH',
    });

    expect(asked).toEqual(['https://publisher.example/layer']);
    expect(await fetching.has(elsewhere.descriptor)).toBe(true);
    expect(await cheated.has(root)).toBe(false);
  });

  it('keeps an index and copies only the images for some platforms, with what attests to them', async () => {
    const { content, root, images } = await sampleIndex();
    const [amd64, arm64] = images as [Descriptor, Descriptor];
    const attestation = {
      ...(await sampleImage('attestation of amd64')),
      platform: { os: 'unknown', architecture: 'unknown' },
    };
    await copyImage(attestation.content, content, attestation.root);
    const about = { 'vnd.docker.reference.digest': amd64.digest };
    const entry = { ...attestation.root, platform: attestation.platform, annotations: about };
    const bytes = json({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: [amd64, arm64, entry] });
    const index = describeBytes(mediaTypes.index, bytes);
    await content.write(index, streamOf(bytes));
    const target = memoryTarget();

    const copied = await copyImage(content, target, index, { platforms: [{ os: 'linux', architecture: 'amd64' }] });

    expect(copied).toEqual(index);
    const there = await Promise.all([index, amd64, arm64, attestation.root].map((each) => target.has(each)));
    expect(there).toEqual([true, true, false, true]);
    const none = copyImage(content, target, root, { platforms: [{ os: 'linux', architecture: 's390x' }] });
    await expect(none).rejects.toMatchObject({
      code: 'PLATFORM_NOT_FOUND',
      message: expect.stringMatching(/s390x.*linux\/amd64, linux\/arm64/),
    });
  });

  it('completes an index that is there without all of its images', async () => {
    const { content, root, images } = await sampleIndex();
    const target = memoryTarget();
    await copyImage(content, target, root, { platforms: [{ os: 'linux', architecture: 'amd64' }] });

    await copyImage(content, target, root);

    expect(await Promise.all(images.map((image) => target.has(image)))).toEqual([true, true]);
  });

  it('takes what refers to the image along when asked, and what refers to that', async () => {
    const image = await sampleImage('one');
    const [signature, sbom] = [await sampleImage('signature'), await sampleImage('sbom of the signature')];
    for (const artifact of [signature, sbom]) await copyImage(artifact.content, image.content, artifact.root);
    const lists = new Map<string, Descriptor[]>([
      [image.root.digest, [signature.root]],
      // The last refers to each other, which must not go on for ever.
      [signature.root.digest, [sbom.root]],
      [sbom.root.digest, [signature.root]],
    ]);
    const source = withReferrers(image.content, async (subject) => lists.get(subject) ?? []);
    const [with_, without] = [memoryTarget(), memoryTarget()];

    await copyImage(source, with_, image.root, { referrers: true });
    await copyImage(source, without, image.root);
    // The image is there by now; its referrers are looked for all the same.
    lists.set(image.root.digest, [signature.root, (await extra(image.content)).root]);
    await copyImage(source, with_, image.root, { referrers: true });

    expect(await Promise.all([signature.root, sbom.root].map((root) => with_.has(root)))).toEqual([true, true]);
    expect(await with_.has((await extra(memoryTarget())).root)).toBe(true);
    expect(await without.has(signature.root)).toBe(false);
  });

  it('takes an artifact with an empty config, which no place needs to have, and without layers', async () => {
    const content = memoryTarget();
    const config = describeBytes(mediaTypes.empty, Buffer.from('{}'));
    const subject = (await sampleImage('elsewhere')).root;
    const fields = { artifactType: 'example/thing', config, layers: [], subject };
    const bytes = json({ schemaVersion: 2, mediaType: mediaTypes.manifest, ...fields });
    const root = describeBytes(mediaTypes.manifest, bytes);
    await content.write(root, streamOf(bytes));
    const target = memoryTarget();

    await copyImage(content, target, root);

    expect(await Promise.all([root, config, subject].map((each) => target.has(each)))).toEqual([true, true, false]);
  });

  it('refuses what Docker retired, also within an index', async () => {
    const old = {
      ...describeBytes('application/vnd.docker.distribution.manifest.v1+prettyjws', Buffer.from('{}')),
      platform: { os: 'linux', architecture: 'amd64' },
    };
    const content = memoryTarget();
    const bytes = json({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: [old] });
    const index = describeBytes(mediaTypes.index, bytes);
    await content.write(index, streamOf(bytes));

    for (const root of [old, index]) {
      await expect(copyImage(content, memoryTarget(), root)).rejects.toMatchObject({ code: 'MANIFEST_SCHEMA1' });
    }
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

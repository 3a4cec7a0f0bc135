import { describe, expect, it } from 'vitest';
import type { ReadableContent } from './content.ts';
import { type Descriptor, describe as describeBytes, mediaTypes } from './descriptor.ts';
import { sha256 } from './digest.ts';
import { openImage, selectPlatform } from './image.ts';
import { streamOf } from './integrity.ts';
import type { Index } from './manifest.ts';
import { formatPlatform, type Platform, parsePlatform, platformOf, samePlatform } from './platform.ts';

const amd64: Platform = { os: 'linux', architecture: 'amd64' };

class Blobs implements Pick<ReadableContent, 'read'> {
  readonly #bytes = new Map<string, Buffer>();

  put(mediaType: string, value: unknown): Descriptor {
    const bytes = Buffer.from(JSON.stringify(value));
    const descriptor = describeBytes(mediaType, bytes);
    this.#bytes.set(descriptor.digest, bytes);
    return descriptor;
  }

  async read(descriptor: Descriptor) {
    return streamOf(this.#bytes.get(descriptor.digest) ?? Buffer.alloc(0));
  }

  async has() {
    return true;
  }
}

function image(blobs: Blobs, platform: Platform, layers: Descriptor[], diffIds: string[]): Descriptor {
  const config = blobs.put(mediaTypes.config, { ...platform, rootfs: { type: 'layers', diff_ids: diffIds } });
  return blobs.put(mediaTypes.manifest, { schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers });
}

const layer: Descriptor = { mediaType: mediaTypes.layer, digest: sha256('l'), size: 1 };

describe('openImage', () => {
  it('pairs layers with their DiffIds, out of an index too', async () => {
    const blobs = new Blobs();
    const manifest = image(blobs, amd64, [layer], [sha256('l')]);
    const index = blobs.put(mediaTypes.index, {
      schemaVersion: 2,
      manifests: [
        { ...manifest, digest: sha256('other'), platform: { os: 'linux', architecture: 's390x' } },
        { ...manifest, platform: amd64 },
      ],
    });

    const opened = await openImage(blobs, index, { platform: amd64 });

    expect(opened.descriptor.digest).toBe(manifest.digest);
    expect(opened.layers).toEqual([{ descriptor: layer, diffId: sha256('l') }]);
    expect(opened.config.architecture).toBe('amd64');
  });

  it.each([
    ['more layers than diff_ids', [layer, layer], [sha256('l')]],
    ['a layer of an unknown type', [{ ...layer, mediaType: 'application/octet-stream' }], [sha256('l')]],
  ])('refuses %s', async (_what, layers, diffIds) => {
    const blobs = new Blobs();
    const manifest = image(blobs, amd64, layers, diffIds);

    await expect(openImage(blobs, manifest, { platform: amd64 })).rejects.toMatchObject({ code: 'MANIFEST_INVALID' });
  });

  it('refuses a config that is not what the manifest names', async () => {
    const blobs = new Blobs();
    const manifest = image(blobs, amd64, [], []);
    const lying = {
      has: blobs.has,
      read: async (wanted: Descriptor) => (wanted === manifest ? blobs.read(wanted) : streamOf(Buffer.from('{}'))),
    };

    await expect(openImage(lying, manifest, { platform: amd64 })).rejects.toMatchObject({ code: 'BLOB_SIZE_MISMATCH' });
  });
});

describe('selectPlatform', () => {
  const index = (...platforms: (Platform | undefined)[]): Index => ({
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    manifests: platforms.map((platform, position) => ({
      mediaType: mediaTypes.manifest,
      digest: sha256(String(position)),
      size: 1,
      ...(platform === undefined ? {} : { platform }),
    })),
  });

  it('takes the image for the platform, and an only one that names none', () => {
    const arm = parsePlatform('linux/arm64');

    expect(selectPlatform(index(amd64, { ...arm, variant: 'v8' }), arm).digest).toBe(sha256('1'));
    expect(selectPlatform(index(undefined), arm).digest).toBe(sha256('0'));
  });

  it('names what there is when there is none', () => {
    const select = () => selectPlatform(index(amd64, parsePlatform('linux/arm/v7')), parsePlatform('linux/riscv64'));

    expect(select).toThrow('linux/amd64, linux/arm/v7');
    expect(select).toThrow(expect.objectContaining({ code: 'PLATFORM_NOT_FOUND' }));
  });
});

describe('platforms', () => {
  it.each([
    ['linux/amd64', 'linux/amd64'],
    ['linux/x86_64', 'linux/amd64'],
    ['linux/aarch64', 'linux/arm64'],
    ['linux/arm/v7', 'linux/arm/v7'],
  ])('%s is %s', (text, formatted) => {
    expect(formatPlatform(parsePlatform(text))).toBe(formatted);
  });

  it.each(['', 'linux', 'linux/', '/amd64', 'a/b/c/d', 'linux/am d64', 'linux/../x'])('refuses %j', (text) => {
    expect(() => parsePlatform(text)).toThrow(expect.objectContaining({ code: 'PLATFORM_INVALID' }));
  });

  it('knows arm64 with and without its variant as one, and arm’s as different', () => {
    expect(samePlatform(parsePlatform('linux/arm64'), parsePlatform('linux/arm64/v8'))).toBe(true);
    expect(samePlatform(parsePlatform('linux/arm/v6'), parsePlatform('linux/arm/v7'))).toBe(false);
    expect(platformOf('x64')).toEqual(amd64);
  });
});

import { existsSync, readFileSync } from 'node:fs';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { describe as describeBytes, type Image, mediaTypes, parseDiffId, sha256, streamOf } from '../../core/index.ts';
import { missing } from '../../test/requirements.ts';
import { openTestWorkshop, type TestWorkshop } from '../../test/workshop.ts';
import { openLayerFiles } from './layer-files.ts';

const tar = Buffer.alloc(700_000, 'a layer');
const diffId = parseDiffId(sha256(tar));

async function stored({ workshop }: TestWorkshop, mediaType: string, bytes: Buffer): Promise<Image['layers'][number]> {
  const descriptor = describeBytes(mediaType, bytes);
  await workshop.content.write(descriptor, streamOf(bytes));
  return { descriptor, diffId };
}

describe.skipIf(missing('root', 'busybox'))('openLayerFiles', () => {
  it('gives the tar of every layer, however it is stored, and cleans up', async () => {
    await using bench = await openTestWorkshop();
    const layers = [
      await stored(bench, mediaTypes.layer, tar),
      await stored(bench, mediaTypes.layerGzip, gzipSync(tar)),
      await stored(bench, mediaTypes.layerZstd, zstdCompressSync(tar)),
    ];

    const opened = await openLayerFiles(bench.workshop, layers);

    expect(opened.files.map((file) => readFileSync(file).equals(tar))).toEqual([true, true, true]);
    await opened[Symbol.asyncDispose]();
    expect(opened.files.map((file) => existsSync(file))).toEqual([true, false, false]);
  });

  it.each([
    [
      'a compressed layer with other bytes',
      mediaTypes.layerGzip,
      gzipSync(Buffer.from('other')),
      'LAYER_DIFFID_MISMATCH',
    ],
    ['a plain layer with other bytes', mediaTypes.layer, Buffer.from('other'), 'MANIFEST_INVALID'],
    ['what is not compressed at all', mediaTypes.layerGzip, tar, 'LAYER_COMPRESSION_INVALID'],
    ['one that is cut off', mediaTypes.layerGzip, gzipSync(tar).subarray(0, -20), 'LAYER_TRUNCATED'],
  ])('refuses %s', async (_what, mediaType, bytes, code) => {
    await using bench = await openTestWorkshop();
    const layer = await stored(bench, mediaType, bytes);

    await expect(openLayerFiles(bench.workshop, [layer])).rejects.toMatchObject({ code });
  });
});

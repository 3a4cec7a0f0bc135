import { Readable } from 'node:stream';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { decompressed } from './decompress.ts';

const first = Buffer.alloc(300_000, 'first ');
const second = Buffer.from('second');

function inChunks(bytes: Buffer, size: number): Readable {
  const count = Math.ceil(bytes.length / size);
  const chunks = Array.from({ length: count }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
  return Readable.from(chunks, { objectMode: false });
}

async function read(bytes: Buffer, compression: 'none' | 'gzip' | 'zstd', size = 7): Promise<Buffer> {
  return Buffer.concat(await decompressed(inChunks(bytes, size), compression).toArray());
}

describe('decompressed', () => {
  it('passes on what is not compressed', async () => {
    expect((await read(first, 'none', 65_536)).equals(first)).toBe(true);
  });

  it('reads every member of a gzip file', async () => {
    const blob = Buffer.concat([gzipSync(first), gzipSync(second)]);

    expect((await read(blob, 'gzip')).equals(Buffer.concat([first, second]))).toBe(true);
  });

  it.each([1, 3, 4096])('reads every frame of a zstd file, and skips metadata, in chunks of %i', async (size) => {
    const skippable = Buffer.concat([Buffer.from('5a2a4d1803000000', 'hex'), Buffer.from('abc')]);
    const stored = zstdCompressSync(Buffer.from('x'));
    const blob = Buffer.concat([skippable, zstdCompressSync(first), skippable, stored, zstdCompressSync(second)]);

    const found = await read(blob, 'zstd', size);

    expect(found.equals(Buffer.concat([first, Buffer.from('x'), second]))).toBe(true);
  });

  it.each(['gzip', 'zstd'] as const)('tells a truncated %s file from a damaged one', async (compression) => {
    const blob = compression === 'gzip' ? gzipSync(first) : zstdCompressSync(first);
    const junk = Buffer.from('this is no archive');

    await expect(read(blob.subarray(0, -5), compression)).rejects.toMatchObject({ code: 'LAYER_TRUNCATED' });
    await expect(read(junk, compression)).rejects.toMatchObject({ code: 'LAYER_COMPRESSION_INVALID' });
  });

  it.each([7, 65_536])('goes by what the bytes are where they are not what was said, in chunks of %i', async (size) => {
    const tar = Buffer.alloc(2048, 'content');
    tar.write('ustar', 257);

    expect((await read(gzipSync(tar), 'zstd', size)).equals(tar)).toBe(true);
    expect((await read(zstdCompressSync(tar), 'gzip', size)).equals(tar)).toBe(true);
    expect((await read(tar, 'gzip', size)).equals(tar)).toBe(true);
  });

  it('throws what the source throws', async () => {
    async function* failing() {
      yield gzipSync(first).subarray(0, 100);
      throw new TypeError('source');
    }

    const reading = decompressed(Readable.from(failing(), { objectMode: false }), 'gzip').toArray();

    await expect(reading).rejects.toThrow('source');
  });
});

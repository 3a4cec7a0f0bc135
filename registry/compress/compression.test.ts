import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Compression, checkCompression, compress, settingsText } from './compression.ts';

const mebibyte = 1024 * 1024;

function cut(bytes: Buffer, sizes: readonly number[]): Readable {
  const pieces: Buffer[] = [];
  for (let start = 0, turn = 0; start < bytes.byteLength; turn++) {
    const end = start + (sizes[turn % sizes.length] ?? mebibyte);
    pieces.push(bytes.subarray(start, end));
    start = end;
  }
  return Readable.from(pieces);
}

function packed(bytes: Buffer, compression: Compression, sizes: readonly number[] = [65_536]): Promise<Buffer> {
  return buffer(Readable.from(compress(cut(bytes, sizes), compression)));
}

function unpacked(bytes: Buffer, { algorithm }: Compression): Buffer {
  return { gzip: gunzipSync, zstd: zstdDecompressSync, none: (same: Buffer) => same }[algorithm](bytes);
}

/** Half of it can be compressed, and the same is made every time. */
function mixed(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let index = 0, state = 1; index < size; index++) {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    bytes[index] = index % 8192 < 4096 ? state >> 16 : (index >> 3) % 61;
  }
  return bytes;
}

describe('compress', () => {
  it.each<Compression>([
    { algorithm: 'gzip' },
    { algorithm: 'gzip', level: 1 },
    { algorithm: 'zstd' },
    { algorithm: 'zstd', level: 9 },
    { algorithm: 'none' },
  ])('gives the same bytes however the tar arrives, and they hold the tar: $algorithm $level', async (compression) => {
    const bytes = mixed(2 * mebibyte + 12_345);
    const expected = await packed(bytes, compression);

    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 500, max: 2 * mebibyte }), { minLength: 1, maxLength: 5 }),
        async (sizes) => {
          expect((await packed(bytes, compression, sizes)).equals(expected)).toBe(true);
        },
      ),
      { numRuns: 8 },
    );
    expect(unpacked(expected, compression).equals(bytes)).toBe(true);
  });

  it('packs any bytes so that they come out again', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 5000 }),
        fc.constantFrom('gzip' as const, 'zstd' as const, 'none' as const),
        async (array, algorithm) => {
          const bytes = Buffer.from(array);
          expect(unpacked(await packed(bytes, { algorithm }, [700]), { algorithm }).equals(bytes)).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('makes zstd of one frame: what the first ends with is the end', async () => {
    const bytes = mixed(5 * mebibyte);

    const frame = await packed(bytes, { algorithm: 'zstd' });

    // Node 24 stops after the first frame, and so would lose what a second one held.
    expect(zstdDecompressSync(frame).byteLength).toBe(bytes.byteLength);
    expect(frame.indexOf(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), 4)).toBe(-1);
  });

  it.each(['gzip', 'zstd', 'none'] as const)('fails with its source: %s', async (algorithm) => {
    async function* breaking() {
      yield mixed(mebibyte);
      throw new TypeError('the layer is gone');
    }

    const packing = buffer(Readable.from(compress(breaking(), { algorithm })));

    await expect(packing).rejects.toThrow('the layer is gone');
  });
});

describe('checkCompression', () => {
  it('knows which levels there are', () => {
    expect(() => checkCompression({ algorithm: 'gzip', level: 9 })).not.toThrow();
    expect(() => checkCompression({ algorithm: 'zstd', level: 19 })).not.toThrow();
    for (const wrong of [
      { algorithm: 'gzip', level: 10 },
      { algorithm: 'zstd', level: 0 },
      { algorithm: 'none', level: 1 },
    ] as const) {
      expect(() => checkCompression(wrong)).toThrow(expect.objectContaining({ code: 'USAGE_COMPRESSION' }));
    }
  });

  it('tells settings apart that give other bytes', () => {
    const texts = [
      settingsText({ algorithm: 'gzip' }),
      settingsText({ algorithm: 'gzip', level: 1 }),
      settingsText({ algorithm: 'zstd' }),
      settingsText({ algorithm: 'none' }),
    ];

    expect(new Set(texts).size).toBe(4);
    expect(settingsText({ algorithm: 'gzip', level: 6, force: true })).toBe(settingsText({ algorithm: 'gzip' }));
  });
});

import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gzipped } from './deflate.ts';

const block = 512 * 1024;

async function compress(bytes: Buffer, chunkBytes = 65_536): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let start = 0; start < bytes.byteLength; start += chunkBytes) {
    chunks.push(bytes.subarray(start, start + chunkBytes));
  }
  return buffer(Readable.from(gzipped(Readable.from(chunks))));
}

/** Compressible, the same every time, and with matches that reach across blocks. */
function prose(length: number): Buffer {
  const words = Array.from({ length: 4000 }, (_, index) =>
    createHash('md5')
      .update(String(index % 977))
      .digest('hex'),
  );
  const text = Buffer.from(words.join(' '));
  return Buffer.concat(Array.from({ length: Math.ceil(length / text.byteLength) }, () => text)).subarray(0, length);
}

describe('gzipped', () => {
  it.each([0, 1, block - 1, block, block + 1, 2 * block, 3 * block + 17])(
    'is read back by gunzip: %d bytes',
    async (size) => {
      const bytes = prose(size);

      expect(gunzipSync(await compress(bytes)).equals(bytes)).toBe(true);
    },
  );

  it('is read back when nothing can be compressed', async () => {
    const bytes = randomBytes(block + 1000);

    expect(gunzipSync(await compress(bytes)).equals(bytes)).toBe(true);
  });

  it('stores noise between what can be compressed, wherever it begins and ends', async () => {
    const pieces = [
      prose(100_000),
      randomBytes(700_000),
      prose(65_536),
      randomBytes(131_072),
      prose(10),
      randomBytes(block),
    ];
    for (let count = 1; count <= pieces.length; count++) {
      const bytes = Buffer.concat(pieces.slice(0, count));

      const packed = await compress(bytes);

      expect(gunzipSync(packed).equals(bytes)).toBe(true);
      expect(packed.byteLength).toBeLessThan(bytes.byteLength);
    }
  });

  it('holds no time, no name and no operating system', async () => {
    expect((await compress(Buffer.from('x'))).subarray(0, 10).toString('hex')).toBe('1f8b08000000000000ff');
  });

  it('gives the same bytes however the input is cut', async () => {
    const bytes = prose(2 * block + 5000);
    const expected = await compress(bytes);

    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1000, max: 3 * block }), async (chunkBytes) => {
        expect((await compress(bytes, chunkBytes)).equals(expected)).toBe(true);
      }),
      { numRuns: 10 },
    );
  });

  it('fails with its source', async () => {
    const source = async function* () {
      yield prose(2 * block);
      throw new Error('the layer is gone');
    };

    await expect(buffer(Readable.from(gzipped(source())))).rejects.toThrow('the layer is gone');
  });
});

import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Descriptor, describe as describeBytes, mediaTypes } from './descriptor.ts';
import { parseDigest } from './digest.ts';
import { readVerified, streamOf, verifying } from './integrity.ts';

async function pass(descriptor: Descriptor, chunks: readonly Buffer[]): Promise<Buffer> {
  const seen: Buffer[] = [];
  await pipeline(Readable.from(chunks), verifying(descriptor), async (verified: AsyncIterable<Buffer>) => {
    for await (const chunk of verified) seen.push(chunk);
  });
  return Buffer.concat(seen);
}

describe('verifying', () => {
  it('passes on the right bytes, however they are cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 8 }), async (parts) => {
        const chunks = parts.map((part) => Buffer.from(part));
        const bytes = Buffer.concat(chunks);

        expect((await pass(describeBytes(mediaTypes.layer, bytes), chunks)).equals(bytes)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it('verifies sha512 as well', async () => {
    const bytes = Buffer.from('some bytes');
    const digest = parseDigest(`sha512:${createHash('sha512').update(bytes).digest('hex')}`);
    const descriptor = { mediaType: mediaTypes.layer, digest, size: bytes.byteLength };

    expect((await pass(descriptor, [bytes])).toString()).toBe('some bytes');
    await expect(pass(descriptor, [Buffer.from('Some bytes')])).rejects.toMatchObject({ code: 'BLOB_DIGEST_MISMATCH' });
  });

  it('fails on any one bit that changed', async () => {
    const bytes = Buffer.from('0123456789abcdef');
    const descriptor = describeBytes(mediaTypes.layer, bytes);
    await fc.assert(
      fc.asyncProperty(fc.nat(15), fc.nat(7), async (position, bit) => {
        const changed = Buffer.from(bytes);
        changed[position] = (changed[position] ?? 0) ^ (1 << bit);

        await expect(pass(descriptor, [changed])).rejects.toMatchObject({ code: 'BLOB_DIGEST_MISMATCH' });
      }),
      { numRuns: 20 },
    );
  });

  it.each([
    ['nothing', ''],
    ['too few', 'some'],
    ['too many', 'some bytes more'],
  ])('fails on %s', async (_what, text) => {
    const descriptor = describeBytes(mediaTypes.layer, Buffer.from('some bytes'));

    await expect(pass(descriptor, [Buffer.from(text)])).rejects.toMatchObject({ code: 'BLOB_SIZE_MISMATCH' });
  });

  it('fails at once on too many, and not at the end of an endless body', async () => {
    const descriptor = describeBytes(mediaTypes.layer, Buffer.from('some bytes'));
    let pulled = 0;
    const endless = Readable.from(
      (function* () {
        for (;;) {
          pulled += 1;
          yield Buffer.alloc(1024);
        }
      })(),
    );

    await expect(pipeline(endless, verifying(descriptor), devNull)).rejects.toMatchObject({
      code: 'BLOB_SIZE_MISMATCH',
    });

    expect(pulled).toBeLessThan(100);
  });
});

describe('readVerified', () => {
  it('gives the bytes, an empty blob included', async () => {
    for (const text of ['', 'some bytes']) {
      const bytes = Buffer.from(text);

      const read = await readVerified({ read: async () => streamOf(bytes) }, describeBytes(mediaTypes.config, bytes));

      expect(read.toString()).toBe(text);
    }
  });

  it('does not begin to read what claims to be too large', async () => {
    const descriptor = { ...describeBytes(mediaTypes.config, Buffer.from('x')), size: 11 };
    const read = () => Promise.reject(new Error('was read'));

    await expect(readVerified({ read }, descriptor, { maxBytes: 10 })).rejects.toMatchObject({
      code: 'BLOB_TOO_LARGE',
    });
  });
});

async function devNull(chunks: AsyncIterable<Buffer>): Promise<void> {
  for await (const _chunk of chunks) {
    // Only the end matters.
  }
}

import { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { errorCode, ToolError } from '../../core/index.ts';
import { forEachEntry } from './decode.ts';
import { encodeLayer } from './encode.ts';
import { type ByteString, byteStringOf, type Entry } from './entry.ts';

/** Any bytes that can be a file's name in a layer. */
const name = fc
  .uint8Array({ minLength: 1, maxLength: 40 })
  .map((bytes) => byteStringOf(Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x61 : byte)))))
  .filter((text) => text !== '.' && text !== '..' && !text.startsWith('.wh.'));
const path = fc.array(name, { minLength: 1, maxLength: 12 }).map((names) => names.join('/') as ByteString);
const xattrs = fc
  .uniqueArray(fc.tuple(fc.stringMatching(/^user\.[a-z.]{1,20}$/), fc.uint8Array({ maxLength: 300 })), {
    selector: ([key]) => key,
    maxLength: 4,
  })
  .map((pairs) => new Map(pairs.map(([key, value]): [string, Buffer] => [key, Buffer.from(value)])))
  .filter((map) => [...map.keys()].every((key) => !key.startsWith('user.overlay.')));
const metadata = fc.record({
  path,
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.oneof(fc.integer({ min: 0, max: 70_000 }), fc.integer({ min: 0, max: 0xfffffffe })),
  gid: fc.oneof(fc.integer({ min: 0, max: 70_000 }), fc.integer({ min: 0, max: 0xfffffffe })),
  mtime: fc.integer({ min: -(2 ** 33), max: 2 ** 34 }).map((seconds) => ({ seconds, nanoseconds: 0 })),
});
const withXattrs = fc
  .tuple(metadata, xattrs)
  .map(([data, map]) => ({ ...data, ...(map.size === 0 ? {} : { xattrs: map }) }));
const target = fc
  .uint8Array({ minLength: 1, maxLength: 200 })
  .map((bytes) => byteStringOf(Buffer.from(bytes.map((byte) => byte || 0x62))));
const number = fc.integer({ min: 1, max: 0xfffff });
const entry: fc.Arbitrary<Entry> = fc.oneof(
  fc.tuple(withXattrs, fc.uint8Array({ maxLength: 3000 })).map(([data, content]): Entry => {
    const bytes = Buffer.from(content);
    return { ...data, type: 'file', size: bytes.length, content: { kind: 'bytes', bytes } };
  }),
  withXattrs.map((data): Entry => ({ ...data, type: 'directory' })),
  fc.tuple(withXattrs, target).map(([data, link]): Entry => ({ ...data, type: 'symlink', target: link })),
  fc.tuple(metadata, path).map(([data, link]): Entry => ({ ...data, type: 'hardlink', target: link })),
  fc.tuple(metadata, number, number).map(([data, major, minor]): Entry => ({ ...data, type: 'block', major, minor })),
  fc
    .tuple(metadata, number, number)
    .map(([data, major, minor]): Entry => ({ ...data, type: 'character', major, minor })),
  metadata.map((data): Entry => ({ ...data, type: 'fifo' })),
  path.map((hidden): Entry => ({ type: 'whiteout', path: hidden })),
  path.map((hidden): Entry => ({ type: 'opaque', path: hidden })),
);

async function encode(entries: readonly Entry[]): Promise<Buffer> {
  return Buffer.concat(await encodeLayer(Readable.from(entries)).toArray());
}

/** The entries of a tar, with what streams gave as bytes at hand. */
async function decode(tar: Buffer, chunkBytes = 65_536): Promise<Entry[]> {
  const chunks = Array.from({ length: Math.ceil(tar.length / chunkBytes) }, (_, i) =>
    tar.subarray(i * chunkBytes, (i + 1) * chunkBytes),
  );
  const entries: Entry[] = [];
  await forEachEntry(Readable.from(chunks, { objectMode: false }), async (found) => {
    if (found.type !== 'file' || found.content.kind !== 'stream') {
      entries.push(found);
      return;
    }
    const content: Buffer[] = [];
    for await (const chunk of found.content.stream) content.push(Buffer.from(chunk));
    entries.push({ ...found, content: { kind: 'bytes', bytes: Buffer.concat(content) } });
  });
  return entries;
}

describe('the layer codec', () => {
  it('gives back every entry as it was', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { maxLength: 12 }), fc.integer({ min: 1, max: 5000 }), async (entries, size) => {
        expect(await decode(await encode(entries), size)).toEqual(entries);
      }),
      { numRuns: 150 },
    );
  });

  it('gives equal bytes for equal entries, whatever the order of their attributes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { maxLength: 8 }), async (entries) => {
        const reordered = entries.map((item) =>
          'xattrs' in item && item.xattrs ? { ...item, xattrs: new Map([...item.xattrs].reverse()) } : item,
        );

        expect((await encode(reordered)).equals(await encode(entries))).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it('never fails otherwise than by a ToolError on damaged archives, and never gives an unclean path', async () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { minLength: 1, maxLength: 6 }), damage, fc.boolean(), async (...args) => {
        const [entries, hits, repairs] = args;
        const tar = await encode(entries);
        for (const [at, byte] of hits) tar[at % tar.length] = byte;
        if (repairs) for (let at = 0; at < tar.length; at += 512) writeChecksum(tar, at);

        const found = await decode(tar).catch((error: unknown) => {
          expect(error).toBeInstanceOf(ToolError);
          expect(errorCode(error)).toMatch(/^LAYER_(INVALID|UNSUPPORTED|TRUNCATED)$/);
          return [];
        });

        for (const { path: shown } of found) expect(shown).not.toMatch(/(^|\/)(\.\.?)?(\/|$)(?<!^)|\0|^\//);
      }),
      { numRuns: 300 },
    );
  });

  it('notices an archive that was cut anywhere but between entries', async () => {
    const bytes = Buffer.alloc(1500, 1);
    const file: Entry = {
      type: 'file',
      path: 'a' as ByteString,
      mode: 0o644,
      uid: 3_000_000,
      gid: 0,
      mtime: { seconds: 0, nanoseconds: 0 },
      size: bytes.length,
      content: { kind: 'bytes', bytes },
    };
    const tar = await encode([file]);

    for (const length of [1, 511, 513, 1023, 1024, 1025, 1536, 2000, 3071]) {
      await expect(decode(tar.subarray(0, length), 100), String(length)).rejects.toMatchObject({
        code: 'LAYER_TRUNCATED',
      });
    }
  });
});

function writeChecksum(tar: Buffer, at: number): void {
  if (tar.subarray(at, at + 512).every((byte) => byte === 0) || tar.length < at + 512) return;
  tar.fill(0x20, at + 148, at + 156);
  const sum = tar.subarray(at, at + 512).reduce((total, byte) => total + byte, 0);
  tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1');
}

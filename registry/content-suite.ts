import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import {
  type Descriptor,
  describe as describeBytes,
  mediaTypes,
  sha256,
  streamOf,
  type Target,
} from '../core/index.ts';
import { copyImage } from './copy/copy-image.ts';
import { memoryTarget } from './memory.ts';

export interface OpenedTarget extends AsyncDisposable {
  readonly target: Target;
  /** A name the target can give to an image. */
  readonly reference: string;
}

/** What every Target promises, whatever it is. */
export function contentSuite(name: string, open: () => Promise<OpenedTarget>): void {
  describe(`${name}, as a Target`, () => {
    it('gives back the bytes that were written', async () => {
      await using opened = await open();
      const blob = blobOf('some bytes');

      await opened.target.write(blob.descriptor, streamOf(blob.bytes));

      expect(await opened.target.has(blob.descriptor)).toBe(true);
      expect(await text(await opened.target.read(blob.descriptor))).toBe('some bytes');
    });

    it('takes an empty blob', async () => {
      await using opened = await open();
      const blob = blobOf('');

      await opened.target.write(blob.descriptor, streamOf(blob.bytes));

      expect(await opened.target.has(blob.descriptor)).toBe(true);
    });

    it('takes a blob of many chunks', async () => {
      await using opened = await open();
      const blob = blobOf('0123456789abcdef'.repeat(200_000));

      await opened.target.write(blob.descriptor, inChunks(blob.bytes, 50_001));

      expect(sha256(await text(await opened.target.read(blob.descriptor)))).toBe(blob.descriptor.digest);
    });

    it.each([
      [1, 'ome bytes'],
      [9, 's'],
      [10, ''],
    ])('leaves out the first %d bytes where they are not wanted', async (from, rest) => {
      await using opened = await open();
      const blob = blobOf('some bytes');
      await opened.target.write(blob.descriptor, streamOf(blob.bytes));

      expect(await text(await opened.target.read(blob.descriptor, { from }))).toBe(rest);
    });

    it('reads a blob of many chunks from its middle', async () => {
      await using opened = await open();
      const blob = blobOf('0123456789abcdef'.repeat(200_000));
      await opened.target.write(blob.descriptor, inChunks(blob.bytes, 50_001));

      const rest = await text(await opened.target.read(blob.descriptor, { from: 1_234_567 }));

      expect(sha256(rest)).toBe(sha256(blob.bytes.subarray(1_234_567)));
    });

    it('does not have, and does not read, what nobody wrote', async () => {
      await using opened = await open();
      const { descriptor } = blobOf('never written');

      expect(await opened.target.has(descriptor)).toBe(false);
      await expect(opened.target.read(descriptor)).rejects.toMatchObject({ code: 'BLOB_NOT_FOUND' });
    });

    it.each([
      ['other bytes of the same length', 'Some bytes', 'BLOB_DIGEST_MISMATCH'],
      ['too few bytes', 'some', 'BLOB_SIZE_MISMATCH'],
      ['too many bytes', 'some bytes and more', 'BLOB_SIZE_MISMATCH'],
    ])('refuses %s, and does not have the blob then', async (_what, sent, code) => {
      await using opened = await open();
      const { descriptor } = blobOf('some bytes');

      await expect(opened.target.write(descriptor, streamOf(Buffer.from(sent)))).rejects.toMatchObject({ code });

      expect(await opened.target.has(descriptor)).toBe(false);
    });

    it('fails with the error of the stream it is given, and does not have the blob then', async () => {
      await using opened = await open();
      const { descriptor } = blobOf('some bytes');

      await expect(opened.target.write(descriptor, failing('the disk is gone'))).rejects.toThrow('the disk is gone');

      expect(await opened.target.has(descriptor)).toBe(false);
    });

    it('takes what it has already, and lets go of the stream', async () => {
      await using opened = await open();
      const blob = blobOf('some bytes');
      await opened.target.write(blob.descriptor, streamOf(blob.bytes));
      const again = streamOf(blob.bytes);

      await opened.target.write(blob.descriptor, again);

      expect(again.destroyed).toBe(true);
    });

    it('takes the same blob from many at once', async () => {
      await using opened = await open();
      const blob = blobOf('0123456789'.repeat(100_000));

      await Promise.all(
        Array.from({ length: 5 }, () => opened.target.write(blob.descriptor, inChunks(blob.bytes, 65_536))),
      );

      expect(sha256(await text(await opened.target.read(blob.descriptor)))).toBe(blob.descriptor.digest);
    });

    it('stops when it is aborted', async () => {
      await using opened = await open();
      const { descriptor } = blobOf('some bytes');
      const signal = AbortSignal.abort();

      await expect(opened.target.write(descriptor, endless(), { signal })).rejects.toMatchObject({
        name: 'AbortError',
      });

      expect(await opened.target.has(descriptor)).toBe(false);
    });

    it('resolves an image by its name once it is tagged, and by its digest', async () => {
      await using opened = await open();
      const image = await sampleImage('one');
      await copyImage(image.content, opened.target, image.root);

      await opened.target.tag(image.root, opened.reference);

      expect(await opened.target.resolve(opened.reference)).toEqual(image.root);
    });

    it('gives a name to another image', async () => {
      await using opened = await open();
      const [first, second] = [await sampleImage('one'), await sampleImage('two')];
      for (const image of [first, second]) {
        await copyImage(image.content, opened.target, image.root);
        await opened.target.tag(image.root, opened.reference);
      }

      expect(await opened.target.resolve(opened.reference)).toEqual(second.root);
      expect(await opened.target.has(first.root)).toBe(true);
    });

    it('does not resolve a name that was never given', async () => {
      await using opened = await open();

      await expect(opened.target.resolve(opened.reference)).rejects.toMatchObject({ code: 'REFERENCE_NOT_FOUND' });
    });

    it('does not tag what it does not have', async () => {
      await using opened = await open();
      const image = await sampleImage('one');

      await expect(opened.target.tag(image.root, opened.reference)).rejects.toMatchObject({ code: 'BLOB_NOT_FOUND' });
    });
  });
}

export function blobOf(
  content: string,
  mediaType: string = mediaTypes.layer,
): { descriptor: Descriptor; bytes: Buffer } {
  const bytes = Buffer.from(content);
  return { descriptor: describeBytes(mediaType, bytes), bytes };
}

/** A small image in memory; `mark` makes it differ from others. Its "layers" are no real tars. */
export async function sampleImage(
  mark: string,
  layers: readonly string[] = [`layer of ${mark}`],
): Promise<{ content: Target; root: Descriptor; blobs: readonly Descriptor[] }> {
  const content = memoryTarget();
  const put = async (mediaType: string, bytes: Buffer): Promise<Descriptor> => {
    const descriptor = describeBytes(mediaType, bytes);
    await content.write(descriptor, streamOf(bytes));
    return descriptor;
  };
  const layerBlobs: Descriptor[] = [];
  for (const layer of layers) layerBlobs.push(await put(mediaTypes.layer, Buffer.from(layer)));
  const config = await put(
    mediaTypes.config,
    json({
      architecture: 'amd64',
      os: 'linux',
      config: { Labels: { mark } },
      rootfs: { type: 'layers', diff_ids: layerBlobs.map((layer) => layer.digest) },
    }),
  );
  const root = await put(
    mediaTypes.manifest,
    json({ schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers: layerBlobs }),
  );
  return { content, root, blobs: [...layerBlobs, config] };
}

export function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

export function inChunks(bytes: Buffer, size: number): Readable {
  const chunks = Array.from({ length: Math.ceil(bytes.byteLength / size) }, (_, index) =>
    bytes.subarray(index * size, (index + 1) * size),
  );
  return Readable.from(chunks, { objectMode: false });
}

function failing(message: string): Readable {
  return Readable.from(
    (async function* () {
      yield Buffer.from('some');
      throw new Error(message);
    })(),
    { objectMode: false },
  );
}

function endless(): Readable {
  return new Readable({
    read() {
      this.push(Buffer.alloc(1024));
    },
  });
}

import { mkdtempDisposable, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import {
  type Descriptor,
  LockFolder,
  mediaTypes,
  type ReadableContent,
  type ReadOptions,
  streamOf,
} from '../../core/index.ts';
import { blobOf, json } from '../content-suite.ts';
import { resumableBytes } from '../copy/copy-blob.ts';
import { copyImage } from '../copy/copy-image.ts';
import { memoryTarget } from '../memory.ts';
import { OciLayout } from './oci-layout.ts';

const size = 3 * resumableBytes;
const big = blobOf(
  Buffer.from(Array.from({ length: size / 8 }, (_, at) => at.toString(16).padStart(8, '0')).join('')).toString(),
);

interface Opened extends AsyncDisposable {
  readonly layout: OciLayout;
  readonly folder: string;
  /** What lies in the folder for blobs on their way in. */
  incoming(): Promise<string[]>;
}

async function openLayout(): Promise<Opened> {
  const folder = await mkdtempDisposable(path.join(tmpdir(), 'kiln-partial-'));
  const layout = await OciLayout.open(path.join(folder.path, 'content'), {
    locks: new LockFolder(path.join(folder.path, 'locks')),
  });
  return {
    layout,
    folder: path.join(folder.path, 'content'),
    incoming: () => readdir(path.join(folder.path, 'content', '.incoming')).catch(() => []),
    [Symbol.asyncDispose]: () => folder.remove(),
  };
}

/** Gives the bytes up to `until`, then fails. */
function broken(bytes: Buffer, from: number, until: number, code = 'REGISTRY_DENIED'): Readable {
  return Readable.from(
    (async function* () {
      for (let at = from; at < until; at += 65_536) yield bytes.subarray(at, Math.min(at + 65_536, until));
      throw Object.assign(new Error('broken off'), { code });
    })(),
    { objectMode: false },
  );
}

/** An image whose layer is `big`, and what was asked of it. */
async function bigImage(read: (options: ReadOptions) => Readable): Promise<{
  source: ReadableContent;
  root: Descriptor;
  asked: number[];
}> {
  const content = memoryTarget();
  const config = blobOf('{}', mediaTypes.config);
  await content.write(config.descriptor, streamOf(config.bytes));
  const bytes = json({
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: config.descriptor,
    layers: [big.descriptor],
  });
  const root = blobOf(bytes.toString(), mediaTypes.manifest);
  await content.write(root.descriptor, streamOf(root.bytes));
  const asked: number[] = [];
  const source: ReadableContent = {
    has: (descriptor) => content.has(descriptor),
    async read(descriptor, options = {}) {
      if (descriptor.digest !== big.descriptor.digest) return content.read(descriptor, options);
      asked.push(options.from ?? 0);
      return read(options);
    },
  };
  return { source, root: root.descriptor, asked };
}

const whole = ({ from = 0 }: ReadOptions): Readable => streamOf(big.bytes.subarray(from));

describe('a blob that came in part', () => {
  it('is kept when its transfer breaks off, and the next copy asks for the rest only', async () => {
    await using opened = await openLayout();
    const cut = 2 * resumableBytes;
    const first = await bigImage(({ from = 0 }) => broken(big.bytes, from, cut));
    await expect(copyImage(first.source, opened.layout, first.root)).rejects.toMatchObject({ code: 'REGISTRY_DENIED' });
    expect(await opened.layout.has(big.descriptor)).toBe(false);

    const second = await bigImage(whole);
    await copyImage(second.source, opened.layout, second.root);

    expect(second.asked).toEqual([cut]);
    expect(await text(await opened.layout.read(big.descriptor))).toBe(big.bytes.toString());
    expect(await opened.incoming()).toEqual([]);
  });

  it('goes on in the same copy after what may pass', async () => {
    await using opened = await openLayout();
    const cuts = [resumableBytes, 2 * resumableBytes, size];
    const image = await bigImage(({ from = 0 }) => {
      const until = cuts.shift() ?? size;
      return until === size ? whole({ from }) : broken(big.bytes, from, until, 'REGISTRY_UNREACHABLE');
    });

    await copyImage(image.source, opened.layout, image.root);

    expect(image.asked).toEqual([0, resumableBytes, 2 * resumableBytes]);
    expect(await opened.layout.has(image.root)).toBe(true);
  });

  it('is fetched once more from its beginning when what lay here was something else', async () => {
    await using opened = await openLayout();
    const first = await bigImage(({ from = 0 }) => broken(big.bytes, from, resumableBytes));
    await expect(copyImage(first.source, opened.layout, first.root)).rejects.toThrow();
    const [name = ''] = await opened.incoming();
    const file = path.join(opened.folder, '.incoming', name);
    const bytes = await readFile(file);
    bytes[5000] = 0;
    await writeFile(file, bytes);

    const second = await bigImage(whole);
    await copyImage(second.source, opened.layout, second.root);

    expect(second.asked).toEqual([resumableBytes, 0]);
    expect(await opened.layout.has(second.root)).toBe(true);
  });

  it('fails, and keeps nothing, when the source itself lies', async () => {
    await using opened = await openLayout();
    const lies = Buffer.from(big.bytes);
    lies[100] = 0;
    const image = await bigImage(({ from = 0 }) => streamOf(lies.subarray(from)));

    await expect(copyImage(image.source, opened.layout, image.root)).rejects.toMatchObject({
      code: 'BLOB_DIGEST_MISMATCH',
    });

    expect(image.asked).toEqual([0]);
    expect(await opened.incoming()).toEqual([]);
    expect(await opened.layout.has(big.descriptor)).toBe(false);
  });

  it('needs nothing more when all of it had come', async () => {
    await using opened = await openLayout();
    const first = await bigImage(({ from = 0 }) => broken(big.bytes, from, size));
    await expect(copyImage(first.source, opened.layout, first.root)).rejects.toThrow();

    const second = await bigImage(whole);
    await copyImage(second.source, opened.layout, second.root);

    expect(second.asked).toEqual([]);
    expect(await opened.layout.has(second.root)).toBe(true);
  });

  it('has one writer at a time: another process waits, and then has the blob', async () => {
    await using opened = await openLayout();
    // Another object, as another process would have.
    const other = await OciLayout.open(opened.folder, {
      locks: new LockFolder(path.join(opened.folder, '..', 'locks')),
    });
    const gate = Promise.withResolvers<void>();
    const slow = await bigImage(() =>
      Readable.from(
        (async function* () {
          yield big.bytes.subarray(0, 1000);
          await gate.promise;
          yield big.bytes.subarray(1000);
        })(),
        { objectMode: false },
      ),
    );
    const quick = await bigImage(whole);

    const first = copyImage(slow.source, opened.layout, slow.root);
    while (slow.asked.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const second = copyImage(quick.source, other, quick.root);
    gate.resolve();
    await Promise.all([first, second]);

    expect([slow.asked, quick.asked]).toEqual([[0], []]);
    expect(await other.has(quick.root)).toBe(true);
  });

  it('is not one where a link lies in its place', async () => {
    await using opened = await openLayout();
    const first = await bigImage(({ from = 0 }) => broken(big.bytes, from, resumableBytes));
    await expect(copyImage(first.source, opened.layout, first.root)).rejects.toThrow();
    const [name = ''] = await opened.incoming();
    const file = path.join(opened.folder, '.incoming', name);
    const victim = path.join(opened.folder, '..', 'victim');
    await writeFile(victim, 'precious');
    await rm(file);
    await symlink(victim, file);

    const second = await bigImage(whole);
    await copyImage(second.source, opened.layout, second.root);

    expect(second.asked).toEqual([0]);
    expect(await readFile(victim, 'utf8')).toBe('precious');
  });

  it('is garbage that can be listed and removed, unless it grew since', async () => {
    await using opened = await openLayout();
    const first = await bigImage(({ from = 0 }) => broken(big.bytes, from, resumableBytes));
    await expect(copyImage(first.source, opened.layout, first.root)).rejects.toThrow();

    const [item] = await opened.layout.incoming();
    expect(item?.bytes).toBeGreaterThanOrEqual(resumableBytes);
    const name = item?.name ?? '';
    expect(await opened.layout.removeIncoming(name, { usedBeforeMs: (item?.lastUsedMs ?? 0) - 1000 })).toBe(0);
    expect(await opened.layout.removeIncoming(name, { usedBeforeMs: Number.POSITIVE_INFINITY })).toBe(item?.bytes);
    expect(await opened.layout.incoming()).toEqual([]);
  });
});

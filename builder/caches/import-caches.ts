import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type CallOptions, formatPlatform, parsePlatform, ToolError } from '../../core/index.ts';
import { applyLayer, decompressed, displayPath, type Entry, forEachEntry } from '../../runtime/index.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { type CacheName, CacheStore } from './cache-store.ts';
import { archiveFormat, archiveVersion, manifestName } from './export-caches.ts';

export interface ImportOptions extends CallOptions {
  /** Of what all of them take on disk, about. */
  readonly maxBytes?: number;
  /** A cache that will be replaced is in use, and is waited for. */
  readonly onWait: (cache: CacheName) => void;
  /** What messages call the archive. */
  readonly shown: string;
}

interface ArchivedCache extends CacheName {
  readonly folder: string;
}

const maxManifestBytes = 1024 * 1024;
const maxCaches = 1000;
/** What a file takes on most file systems. */
const blockBytes = 4096;
/** What an entry counts for that holds nothing. */
const entryBytes = 512;
/** An archive has headers besides: up to four times as much as is counted. */
const framingFactor = 4;
const gzipMagic = Buffer.from([0x1f, 0x8b]);
const zstdMagic = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/**
 * Takes caches out of an archive that `exportCaches` made, compressed by gzip or zstd or not, each in place of the one
 * that was there. The whole archive is checked before anything is unpacked, and unpacked before anything is replaced.
 * @throws ToolError CACHE_ARCHIVE_INVALID, CACHE_ARCHIVE_TOO_LARGE, LAYER_*
 */
export async function importCaches(
  workshop: Workshop,
  archive: Readable,
  options: ImportOptions,
): Promise<readonly CacheName[]> {
  try {
    return await importArchive(workshop, archive, options);
  } catch (error) {
    throw error instanceof InvalidArchive ? error.of(options.shown) : error;
  }
}

async function importArchive(
  workshop: Workshop,
  archive: Readable,
  { maxBytes = Number.POSITIVE_INFINITY, onWait, signal }: Omit<ImportOptions, 'shown'>,
): Promise<readonly CacheName[]> {
  const { launcher, userXattrs } = workshop.options;
  await using scratch = await (await workshop.scratch()).make('import');
  const file = path.join(scratch.path, 'archive');
  const limit = maxBytes * framingFactor + maxManifestBytes;
  await pipeline(archive, atMost(limit), createWriteStream(file, { mode: 0o600 }), { signal });
  const compression = await compressionOf(file);
  const tar = () => {
    const blob = createReadStream(file, { highWaterMark: 1 << 20 });
    return Readable.from(atMost(limit)(decompressed(blob, compression, { signal })), { objectMode: false });
  };
  const { caches, sha256 } = await checkArchive(tar(), maxBytes, { signal });

  await using unpacked = await (await workshop.scratch()).make('imported');
  const applied = await applyLayer(launcher, tar(), unpacked.path, { signal, userXattrs });
  if (applied.diffId !== sha256) throw invalid('it changed while it was read');
  for (const { folder, id } of caches) {
    const found = await lstat(path.join(unpacked.path, folder)).catch(() => undefined);
    if (!found?.isDirectory()) throw invalid(`it has no folder for the cache ${JSON.stringify(id)}`);
  }
  const store = new CacheStore(workshop);
  for (const { folder, ...name } of caches) {
    await store.replace(name, path.join(unpacked.path, folder), { signal, onWait: () => onWait(name) });
  }
  return caches.map(({ id, platform }) => ({ id, platform }));
}

/** Reads all of it: every entry lies in the folder of a cache that the manifest names, and is a plain file of some kind. */
async function checkArchive(
  tar: Readable,
  maxBytes: number,
  options: CallOptions,
): Promise<{ readonly caches: readonly ArchivedCache[]; readonly sha256: string }> {
  const hash = createHash('sha256');
  let caches: readonly ArchivedCache[] | undefined;
  let folders: ReadonlySet<string> = new Set();
  let bytes = 0;
  const check = async (entry: Entry): Promise<void> => {
    if (caches === undefined) {
      caches = await readManifest(entry);
      folders = new Set(caches.map(({ folder }) => folder));
      return;
    }
    checkEntry(entry, folders);
    bytes += entry.type === 'file' ? Math.ceil(entry.size / blockBytes) * blockBytes : entryBytes;
    if (bytes > maxBytes) throw tooLarge();
  };
  try {
    await forEachEntry(Readable.from(hashed(tar, hash), { objectMode: false }), check, options);
  } catch (cause) {
    // What reads archives speaks of layers and images, and this is neither.
    if (!(cause instanceof ToolError) || !cause.code.startsWith('LAYER_')) throw cause;
    throw invalid(caches === undefined ? `it does not begin with ${manifestName}` : 'it is damaged or cut off', cause);
  }
  if (caches === undefined) throw invalid('it is empty');
  return { caches, sha256: `sha256:${hash.digest('hex')}` };
}

function checkEntry(entry: Entry, folders: ReadonlySet<string>): void {
  const folder = folderOf(entry.path);
  if (!folders.has(folder)) throw invalid(`${displayPath(entry.path)} belongs to no cache`);
  switch (entry.type) {
    case 'file':
    case 'symlink':
      if (entry.path === folder) throw invalid(`${displayPath(entry.path)} is no folder`);
      return;
    case 'directory':
      return;
    case 'hardlink':
      if (folderOf(entry.target) !== folder || entry.path === folder)
        throw invalid(`${displayPath(entry.path)} is a link into another cache`);
      return;
    default:
      throw invalid(`${displayPath(entry.path)} is no file, folder or link`);
  }
}

function folderOf(entryPath: string): string {
  return entryPath.split('/').slice(0, 2).join('/');
}

async function readManifest(entry: Entry): Promise<readonly ArchivedCache[]> {
  if (entry.type !== 'file' || entry.path !== manifestName) throw invalid(`it does not begin with ${manifestName}`);
  if (entry.size > maxManifestBytes) throw invalid(`its ${manifestName} is too large`);
  const chunks: Buffer[] = [];
  if (entry.content.kind === 'stream') for await (const chunk of entry.content.stream) chunks.push(chunk);
  let manifest: unknown;
  try {
    manifest = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (cause) {
    throw invalid(`its ${manifestName} is no JSON`, cause);
  }
  const { format, version, caches } = fieldsOf(manifest);
  if (format !== archiveFormat || !Array.isArray(caches)) throw invalid(`its ${manifestName} describes no caches`);
  if (version !== archiveVersion) {
    throw new ToolError('CACHE_ARCHIVE_INVALID', `this archive of caches has the version ${JSON.stringify(version)}`, {
      hint: 'a newer Kiln made it: use one of that age here too',
    });
  }
  if (caches.length > maxCaches) throw invalid(`it has more than ${maxCaches} caches`);
  const parsed = caches.map(parseCache);
  const names = parsed.map(({ id, platform }) => JSON.stringify([id, platform]));
  if (new Set(names).size < names.length) throw invalid('it has a cache twice');
  return parsed;
}

function parseCache(value: unknown, index: number): ArchivedCache {
  const { id, platform, folder } = fieldsOf(value);
  if (typeof id !== 'string' || !/^[^\x00-\x1f\x7f]{1,4096}$/.test(id)) throw invalid('a cache in it has no usable id');
  if (folder !== `caches/${index}`) throw invalid('a cache in it has no folder');
  if (typeof platform !== 'string') throw invalid('a cache in it has no platform');
  return { id, platform: formatPlatform(parsePlatform(platform)), folder };
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

async function compressionOf(file: string): Promise<'none' | 'gzip' | 'zstd'> {
  await using handle = await open(file);
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
  const start = buffer.subarray(0, bytesRead);
  if (start.subarray(0, 2).equals(gzipMagic)) return 'gzip';
  return start.equals(zstdMagic) ? 'zstd' : 'none';
}

/** A small archive may unpack to a large one. */
function atMost(limit: number): (bytes: AsyncIterable<Buffer>) => AsyncGenerator<Buffer, void> {
  return async function* limited(bytes) {
    let seen = 0;
    for await (const chunk of bytes) {
      seen += chunk.length;
      if (seen > limit) throw tooLarge();
      yield chunk;
    }
  };
}

async function* hashed(tar: Readable, hash: ReturnType<typeof createHash>): AsyncGenerator<Buffer, void> {
  for await (const chunk of tar as AsyncIterable<Buffer>) {
    hash.update(chunk);
    yield chunk;
  }
}

function tooLarge(): ToolError {
  return new ToolError('CACHE_ARCHIVE_TOO_LARGE', 'the archive holds more than --max-size allows', {
    hint: 'nothing was changed; allow more, or export fewer caches',
  });
}

function invalid(problem: string, cause?: unknown): InvalidArchive {
  return new InvalidArchive(problem, { cause });
}

/** What is wrong with an archive, begun with "it", before it is known what messages call the archive. */
class InvalidArchive extends Error {
  of(shown: string): ToolError {
    const message = `${shown} is not an archive that kiln cache export wrote: ${this.message}`;
    return new ToolError('CACHE_ARCHIVE_INVALID', message, {
      cause: this.cause,
      hint: 'nothing was changed; make one with kiln cache export -o FILE',
    });
  }
}

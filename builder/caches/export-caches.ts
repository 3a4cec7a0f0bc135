import { lstat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { type CallOptions, canonicalJson, diskUseOf } from '../../core/index.ts';
import { type ByteString, byteString, type Entry, encodeLayer, type Launcher, treeOf } from '../../runtime/index.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { CacheStore, type StoredCache } from './cache-store.ts';

/** First in an archive of caches, and what it says. */
export const manifestName = 'kiln-caches.json';
export const archiveFormat = 'kiln-caches';
export const archiveVersion = 1;

export interface ExportOptions extends CallOptions {
  /** Of what the caches take on disk together; those that were not used for longest are left out. */
  readonly maxBytes?: number;
  /** A cache is in use, and is waited for. */
  readonly onWait: (cache: StoredCache) => void;
}

export interface CacheExport extends AsyncDisposable {
  readonly caches: readonly StoredCache[];
  /** Left out, since the rest has the size that was allowed. */
  readonly leftOut: readonly StoredCache[];
  /** The tar; to be read before this is disposed. How many files could not be in it is known at its end. */
  readonly tar: Readable;
  readonly skipped: () => number;
}

/**
 * Caches as one tar: a manifest and then a folder for each, with the ids of files as a container sees them. Nobody may
 * use the caches until it is disposed. Devices, pipes and sockets are left out, and names that layers cannot hold.
 */
export async function exportCaches(
  workshop: Workshop,
  caches: readonly StoredCache[],
  { maxBytes = Number.POSITIVE_INFINITY, onWait, signal }: ExportOptions,
): Promise<CacheExport> {
  await using held = new AsyncDisposableStack();
  const store = new CacheStore(workshop);
  const taken: StoredCache[] = [];
  const leftOut: StoredCache[] = [];
  let bytes = 0;
  for (const cache of caches.toSorted((a, b) => b.lastUsedMs - a.lastUsedMs)) {
    const size = (await diskUseOf(cache.folder, { signal })).bytes;
    if (bytes + size > maxBytes) leftOut.push(cache);
    else taken.push(cache);
    if (!leftOut.includes(cache)) bytes += size;
  }
  // In the order of their locks, as steps take them.
  taken.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : a.platform < b.platform ? -1 : 1));
  for (const cache of taken) held.use(await store.hold(cache, { signal, onWait: () => onWait(cache) }));
  const counter = { skipped: 0 };
  const tar = encodeLayer(archiveEntries(workshop.options.launcher, taken, counter, { signal }), { signal });
  held.defer(() => void tar.destroy());
  const undo = held.move();
  return {
    caches: taken,
    leftOut,
    tar,
    skipped: () => counter.skipped,
    [Symbol.asyncDispose]: () => undo.disposeAsync(),
  };
}

async function* archiveEntries(
  launcher: Launcher,
  caches: readonly StoredCache[],
  counter: { skipped: number },
  options: CallOptions,
): AsyncGenerator<Entry> {
  const made = { uid: 0, gid: 0, mtime: { seconds: 1, nanoseconds: 0 } };
  const listed = caches.map(({ id, platform }, index) => ({ id, platform, folder: folderInArchive(index) }));
  const manifest = { format: archiveFormat, version: archiveVersion, caches: listed };
  const bytes = Buffer.from(`${canonicalJson(manifest)}\n`);
  const content = { kind: 'bytes', bytes } as const;
  yield { ...made, type: 'file', path: byteString(manifestName), mode: 0o644, size: bytes.length, content };
  for (const [index, { folder }] of caches.entries()) {
    const top = byteString(folderInArchive(index));
    const { mode, uid, gid, mtimeMs } = await lstat(folder);
    const mtime = { seconds: Math.floor(mtimeMs / 1000), nanoseconds: 0 };
    yield { type: 'directory', path: top, mode: mode & 0o7777, uid, gid, mtime };
    yield* treeEntries(launcher, folder, top, counter, options);
  }
}

function folderInArchive(index: number): string {
  return `caches/${index}`;
}

async function* treeEntries(
  launcher: Launcher,
  folder: string,
  top: ByteString,
  counter: { skipped: number },
  options: CallOptions,
): AsyncGenerator<Entry> {
  /** Files that are left out may have other names: the first of these is the file then. By their first names. */
  const standIns = new Map<ByteString, Entry>();
  for await (const found of treeOf(launcher, folder, options)) {
    const entry = found.type === 'hardlink' ? standIn(found, standIns) : found;
    const isHeld = entry.type === 'file' || entry.type === 'directory' || entry.type === 'symlink';
    if ((isHeld || entry.type === 'hardlink') && !hasReservedName(entry.path)) yield moved(plain(entry), top);
    else {
      counter.skipped += 1;
      if (found.type !== 'hardlink') standIns.set(found.path, found);
    }
  }
}

function standIn(link: Extract<Entry, { type: 'hardlink' }>, standIns: Map<ByteString, Entry>): Entry {
  const file = standIns.get(link.target);
  if (file === undefined) return link;
  if (file.path !== link.target) return { ...link, target: file.path };
  const first = { ...file, path: link.path };
  if (!hasReservedName(link.path)) standIns.set(link.target, first);
  return first;
}

/** image-spec, layer.md#whiteouts */
function hasReservedName(entryPath: ByteString): boolean {
  return entryPath.split('/').some((name) => name.startsWith('.wh.'));
}

/** Without attributes that only some users may set. */
function plain(entry: Entry): Entry {
  if (entry.type === 'whiteout' || entry.type === 'opaque' || entry.xattrs === undefined) return entry;
  const xattrs = new Map(
    [...entry.xattrs].filter(([name]) => name.startsWith('user.') || name === 'security.capability'),
  );
  const { xattrs: _, ...rest } = entry;
  return xattrs.size === 0 ? rest : { ...rest, xattrs };
}

function moved(entry: Entry, top: ByteString): Entry {
  const below = (relative: ByteString) => `${top}/${relative}` as ByteString;
  const at = { ...entry, path: below(entry.path) };
  return at.type === 'hardlink' ? { ...at, target: below(at.target) } : at;
}

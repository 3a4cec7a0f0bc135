import { rm, rmdir, truncate, utimes } from 'node:fs/promises';
import {
  type ActiveSnapshot,
  type ByteString,
  bytesOf,
  type Entry,
  type FileEntry,
  type FileTime,
  type RootView,
} from '../../runtime/index.ts';
import { emptiedFile, isLeftover } from './leftovers.ts';

export interface TidyOptions {
  /** The root before the install. */
  readonly before: RootView;
  /** What times that the install made have become. */
  readonly madeTime: FileTime;
}

/**
 * The changes of an install without what tells one run from another, in the same order. What is left out is removed
 * from the upper directory too, so that it equals the layer, and what the parent had there shows again. Folders in
 * which nothing else changed go with it.
 */
export async function tidyChanges(
  changes: AsyncIterable<Entry>,
  active: Pick<ActiveSnapshot, 'upper'>,
  options: TidyOptions,
): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  for await (const entry of changes) entries.push(entry);
  const isDropped = (entry: Entry) => isLeftover(entry, isNew(entry, options.madeTime));
  const kept = relinked(entries, isDropped);
  const touched = await touchedFolders(kept, options.before);
  const removed = [
    ...entries.filter((entry) => isDropped(entry) && entry.type !== 'opaque'),
    ...kept.filter((entry) => touched.has(entry.path)),
  ];
  await removeAll(active.upper, removed);
  const result = await emptied(
    kept.filter((entry) => !touched.has(entry.path)),
    active.upper,
    options,
  );
  await restoreTimes(active.upper, result, new Set(removed.map((entry) => parentOf(entry.path))));
  return result;
}

/** A name of a file whose first name goes takes its place. */
function relinked(entries: readonly Entry[], isDropped: (entry: Entry) => boolean): Entry[] {
  const lost = new Map<ByteString, FileEntry>();
  const moved = new Map<ByteString, ByteString>();
  return entries.flatMap((entry): Entry[] => {
    if (isDropped(entry)) {
      if (entry.type === 'file') lost.set(entry.path, entry);
      return [];
    }
    if (entry.type !== 'hardlink') return [entry];
    const target = moved.get(entry.target);
    if (target !== undefined) return [{ ...entry, target }];
    const content = lost.get(entry.target);
    if (content === undefined) return [entry];
    moved.set(entry.target, entry.path);
    return [{ ...content, path: entry.path, content: { kind: 'disk', file: diskFile(content, entry.path) } }];
  });
}

/** The file on disk by its other name, as the first one is removed. */
function diskFile({ content, path }: FileEntry, name: ByteString): Buffer {
  if (content.kind !== 'disk') throw new TypeError('a changed file is on disk');
  const folder = content.file.subarray(0, content.file.length - bytesOf(path).length);
  return Buffer.concat([folder, bytesOf(name)]);
}

/** Folders that are in the changes only because something that is left out was written in them. */
async function touchedFolders(entries: readonly Entry[], before: RootView): Promise<ReadonlySet<ByteString>> {
  const needed = new Set<string>();
  const touched = new Set<ByteString>();
  // From the end: what is in a folder comes after it.
  for (const entry of entries.toReversed()) {
    const isSame = entry.type === 'directory' && !needed.has(entry.path) && (await isFolderAsBefore(entry, before));
    if (isSame) touched.add(entry.path);
    else for (let path = parentOf(entry.path); path !== ''; path = parentOf(path)) needed.add(path);
    if (entry.type === 'opaque') needed.add(entry.path);
  }
  return touched;
}

async function isFolderAsBefore(entry: Extract<Entry, { type: 'directory' }>, before: RootView): Promise<boolean> {
  if ((entry.xattrs?.size ?? 0) > 0) return false;
  const found = await before.lookup(entry.path);
  return found?.type === 'directory' && found.mode === entry.mode && found.uid === entry.uid && found.gid === entry.gid;
}

/** machine-id that the install made or filled. */
async function emptied(entries: readonly Entry[], upper: string, options: TidyOptions): Promise<readonly Entry[]> {
  const found = entries.find((entry) => entry.path === emptiedFile);
  if (found?.type !== 'file' || found.size === 0) return entries;
  const file = upperFile(upper, found.path);
  await truncate(file);
  const bytes: FileEntry = {
    ...found,
    mtime: options.madeTime,
    size: 0,
    content: { kind: 'bytes', bytes: Buffer.alloc(0) },
  };
  await utimes(file, options.madeTime.seconds, options.madeTime.seconds);
  return entries.map((entry) => (entry === found ? bytes : entry));
}

/** What is in a folder comes before it. */
async function removeAll(upper: string, entries: readonly Entry[]): Promise<void> {
  for (const entry of entries.toSorted((a, b) => (a.path < b.path ? 1 : -1))) {
    const file = upperFile(upper, entry.path);
    if (entry.type === 'directory') await rmdir(file);
    else await rm(file);
  }
}

/** Removing a file changed its folder. */
async function restoreTimes(upper: string, entries: readonly Entry[], changed: ReadonlySet<string>): Promise<void> {
  for (const entry of entries) {
    if (entry.type !== 'directory' || !changed.has(entry.path)) continue;
    // Whole seconds: the file that was made here and is gone gave the folder a time of the install's own.
    await utimes(upperFile(upper, entry.path), entry.mtime.seconds, entry.mtime.seconds);
  }
}

function upperFile(upper: string, path: ByteString): Buffer {
  return Buffer.concat([Buffer.from(`${upper}/`), bytesOf(path)]);
}

function isNew(entry: Entry, madeTime: FileTime): boolean {
  if (entry.type === 'whiteout' || entry.type === 'opaque') return true;
  return entry.mtime.seconds === madeTime.seconds && entry.mtime.nanoseconds === madeTime.nanoseconds;
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

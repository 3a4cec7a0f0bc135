import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { errorCode, ToolError } from '../../core/index.ts';
import type { ChunkBuffers } from './chunk-buffers.ts';
import { byteStringOf, displayPath, type FileContent, type FileEntry } from './entry.ts';

type DiskContent = Extract<FileContent, { kind: 'disk' }>;

/**
 * Reads the content of an entry that is at hand into a buffer, which has room for it.
 * @throws ToolError LAYER_FILE_CHANGED, LAYER_FILE_UNREADABLE
 */
export function readWholeFile(entry: FileEntry, into: Buffer, at: number): void {
  const { content } = entry;
  if (content.kind === 'stream') throw new TypeError('a stream is not at hand');
  if (content.kind === 'bytes') {
    if (content.bytes.length !== entry.size) throw changed(entry, content.bytes.length);
    content.bytes.copy(into, at);
    return;
  }
  // An empty file that nobody has to vouch for.
  if (entry.size === 0 && content.stamp === undefined) return;
  const fd = openFile(entry, content.file);
  try {
    for (let read = 0; read < entry.size; ) {
      const count = readSome(entry, fd, into, at + read, entry.size - read);
      if (count === 0) throw changed(entry, read);
      read += count;
    }
    requireSame(entry, content, fd);
  } finally {
    closeSync(fd);
  }
}

/** Reads a file into chunks; gives those that get full. @throws ToolError LAYER_FILE_CHANGED, LAYER_FILE_UNREADABLE */
export function* readDiskContent(
  entry: FileEntry,
  content: DiskContent,
  chunks: ChunkBuffers,
): Generator<Buffer, void> {
  if (entry.size === 0) return readWholeFile(entry, chunks.buffer, chunks.used);
  const fd = openFile(entry, content.file);
  try {
    for (let left = entry.size; left > 0; ) {
      if (chunks.free === 0) yield chunks.turn();
      const count = readSome(entry, fd, chunks.buffer, chunks.used, Math.min(left, chunks.free));
      if (count === 0) throw changed(entry, entry.size - left);
      chunks.used += count;
      left -= count;
    }
    requireSame(entry, content, fd);
  } finally {
    closeSync(fd);
  }
}

/** Content that is not on disk, checked to be as long as announced. @throws ToolError LAYER_FILE_CHANGED */
export async function* streamContent(
  entry: FileEntry,
  content: Exclude<FileContent, { kind: 'disk' }>,
): AsyncGenerator<Buffer, void> {
  let seen = 0;
  for await (const chunk of content.kind === 'bytes' ? [content.bytes] : content.stream) {
    seen += chunk.length;
    if (seen > entry.size) break;
    yield chunk;
  }
  if (seen !== entry.size) throw changed(entry, seen);
}

function openFile(entry: FileEntry, file: Buffer): number {
  try {
    // O_NONBLOCK: a FIFO put in the file's place must not hang the build.
    return openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    const code = errorCode(cause);
    if (code === 'ENOENT' || code === 'ELOOP' || code === 'ENOTDIR' || code === 'ENXIO')
      throw changed(entry, undefined, cause);
    throw unreadable(file, cause);
  }
}

function readSome(entry: FileEntry, fd: number, into: Buffer, at: number, count: number): number {
  try {
    return readSync(fd, into, at, count, null);
  } catch (cause) {
    if (errorCode(cause) === 'EISDIR') throw changed(entry, undefined, cause);
    throw unreadable(entry.content.kind === 'disk' ? entry.content.file : Buffer.alloc(0), cause);
  }
}

/** Asked after reading: what was read is then what was announced, however often it changed before. */
function requireSame(entry: FileEntry, { stamp }: DiskContent, fd: number): void {
  const stats = fstatSync(fd);
  if (!stats.isFile()) throw changed(entry, undefined);
  if (stats.size !== entry.size) throw changed(entry, stats.size);
  if (stamp !== undefined && !hasStamp(stats, stamp)) throw changed(entry, stats.size);
}

function hasStamp(stats: Stats, stamp: NonNullable<DiskContent['stamp']>): boolean {
  return (
    stats.ino === stamp.ino &&
    stats.dev === stamp.dev &&
    stats.mtimeMs === stamp.mtimeMs &&
    stats.ctimeMs === stamp.ctimeMs
  );
}

function unreadable(file: Buffer, cause: unknown): ToolError {
  const shown = displayPath(byteStringOf(file));
  return new ToolError('LAYER_FILE_UNREADABLE', `${shown} cannot be read (${errorCode(cause)})`, { cause });
}

function changed(entry: FileEntry, found: number | undefined, cause?: unknown): ToolError {
  const now =
    found === undefined
      ? 'is no longer a file'
      : found === entry.size
        ? 'was written to'
        : `had ${entry.size} bytes and now has ${found}`;
  return new ToolError('LAYER_FILE_CHANGED', `${displayPath(entry.path)} changed while it was being read: it ${now}`, {
    cause,
    hint: 'build again when nothing writes to it',
  });
}

import { createHash, hash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { type CallOptions, type Digest, errorCode, parseDigest, ToolError } from '../../core/index.ts';
import { byteStringOf, displayPath, type FileContent, type FileEntry } from '../../runtime/index.ts';
import { fileChanged } from './context-errors.ts';

type DiskContent = Extract<FileContent, { kind: 'disk' }>;

const chunkBytes = 1024 * 1024;
/** Chunks between two looks at what else there is to do. */
const breathEvery = 16;
/** One for all: it is never in use across a wait. */
const buffer = Buffer.allocUnsafeSlow(chunkBytes);

/**
 * Reads a file; a small one at once, since a promise would take longer than that.
 * @throws ToolError COPY_FILE_CHANGED when it is no longer what it was when it was listed, COPY_SOURCE_UNREADABLE
 */
export function digestOfFile(
  entry: FileEntry,
  content: DiskContent,
  options: CallOptions = {},
): Digest | Promise<Digest> {
  if (entry.size > chunkBytes) return digestOfBigFile(entry, content, options);
  const fd = open(content.file);
  try {
    const read = readInto(content.file, fd, Math.max(1, entry.size));
    requireSame(entry, content, fd);
    if (read !== entry.size) throw changed(content.file);
    return parseDigest(`sha256:${hash('sha256', buffer.subarray(0, read), 'hex')}`);
  } finally {
    closeSync(fd);
  }
}

async function digestOfBigFile(entry: FileEntry, content: DiskContent, { signal }: CallOptions): Promise<Digest> {
  const fd = open(content.file);
  try {
    const digest = createHash('sha256');
    let size = 0;
    for (let chunks = 1; size < entry.size; chunks++) {
      const read = readInto(content.file, fd, Math.min(chunkBytes, entry.size - size));
      if (read === 0) throw changed(content.file);
      digest.update(buffer.subarray(0, read));
      size += read;
      if (chunks % breathEvery === 0) await setImmediate(undefined, { signal });
    }
    requireSame(entry, content, fd);
    return parseDigest(`sha256:${digest.digest('hex')}`);
  } finally {
    closeSync(fd);
  }
}

/** Fewer bytes than asked only at the end of the file. */
function readInto(file: Buffer, fd: number, size: number): number {
  try {
    let done = 0;
    for (let read = -1; read !== 0 && done < size; done += read) read = readSync(fd, buffer, done, size - done, null);
    return done;
  } catch (error) {
    throw unreadable(file, error);
  }
}

function open(file: Buffer): number {
  try {
    // O_NONBLOCK: a FIFO put in the file's place must not hang the build.
    return openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = errorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP' || code === 'ENXIO') throw changed(file);
    throw unreadable(file, error);
  }
}

function requireSame(entry: FileEntry, { file, stamp }: DiskContent, fd: number): void {
  const stats = fstatSync(fd);
  const isSame =
    stats.isFile() &&
    stats.size === entry.size &&
    (stamp === undefined ||
      (stats.dev === stamp.dev &&
        stats.ino === stamp.ino &&
        stats.mtimeMs === stamp.mtimeMs &&
        stats.ctimeMs === stamp.ctimeMs));
  if (!isSame) throw changed(file);
}

function changed(file: Buffer): ToolError {
  return fileChanged(displayPath(byteStringOf(file)));
}

function unreadable(file: Buffer, cause: unknown): ToolError {
  const shown = displayPath(byteStringOf(file));
  return new ToolError('COPY_SOURCE_UNREADABLE', `${shown} cannot be read (${errorCode(cause)})`, {
    cause,
    hint: 'make it readable, or name it in the ignore file',
  });
}

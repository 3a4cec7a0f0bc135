import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { Readable } from 'node:stream';
import { type CallOptions, errorCode, ToolError } from '../../core/index.ts';
import { encodeHeader } from './encode-header.ts';
import { byteStringOf, displayPath, type Entry, type FileContent, type FileEntry } from './entry.ts';
import { TarWriter } from './framing.ts';

const chunkBytes = 1024 * 1024;

/**
 * Entries to tar bytes: the one deterministic encoding of Kiln. Times are whole seconds, owners have no names, pax
 * headers are there only for what ustar cannot say, and two blocks of zeros end it. docs/decisions/0002-layer-codec.md
 * @throws (through the stream) ToolError LAYER_FILE_CHANGED, LAYER_NAME_RESERVED, LAYER_XATTR_UNSUPPORTED
 */
export function encodeLayer(entries: AsyncIterable<Entry>, options: CallOptions = {}): Readable {
  return Readable.from(layerBytes(entries, options), {
    objectMode: false,
    highWaterMark: chunkBytes,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
}

async function* layerBytes(entries: AsyncIterable<Entry>, options: CallOptions): AsyncGenerator<Buffer, void> {
  const writer = new TarWriter();
  const written = writeAll(writer, entries, options).catch((error: unknown) => writer.destroy(error));
  try {
    yield* inBigChunks(writer.bytes);
  } finally {
    writer.destroy();
    await written;
  }
}

async function writeAll(writer: TarWriter, entries: AsyncIterable<Entry>, options: CallOptions): Promise<void> {
  for await (const entry of entries) {
    options.signal?.throwIfAborted();
    const header = encodeHeader(entry);
    if (entry.type !== 'file') await writer.add(header);
    else await writeFile(writer, header, entry);
  }
  writer.end();
}

async function writeFile(writer: TarWriter, header: Buffer, entry: FileEntry): Promise<void> {
  const chunks = chunksOf(entry, entry.content);
  if (entry.size > chunkBytes || entry.content.kind === 'stream') {
    await writer.addFile(header, entry.size, chunks);
    return;
  }
  const content: Buffer[] = [];
  for (const chunk of chunks as Iterable<Buffer>) content.push(chunk);
  if (entry.size === 0) await writer.add(header);
  else await writer.addBytes(header, content.length === 1 && content[0] ? content[0] : Buffer.concat(content));
}

function chunksOf(entry: FileEntry, content: FileContent): Iterable<Buffer> | AsyncIterable<Buffer> {
  switch (content.kind) {
    case 'disk':
      return diskChunks(entry, content.file);
    case 'bytes':
      if (content.bytes.length !== entry.size) throw changed(entry, content.bytes.length);
      return [content.bytes];
    case 'stream':
      return streamChunks(entry, content.stream);
  }
}

/** Reads synchronously: several times faster than streams for the many small files of a layer. */
function* diskChunks(entry: FileEntry, file: Buffer): Generator<Buffer, void> {
  const fd = openFile(entry, file);
  try {
    expectSize(entry, fd);
    for (let left = entry.size; left > 0; ) {
      const chunk = Buffer.allocUnsafeSlow(Math.min(left, chunkBytes));
      const count = readSync(fd, chunk);
      if (count === 0) throw changed(entry, entry.size - left);
      left -= count;
      yield count === chunk.length ? chunk : chunk.subarray(0, count);
    }
    expectSize(entry, fd);
  } finally {
    closeSync(fd);
  }
}

function openFile(entry: FileEntry, file: Buffer): number {
  try {
    return openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    const code = errorCode(cause);
    if (code === 'ENOENT' || code === 'ELOOP' || code === 'ENOTDIR') throw changed(entry, undefined, cause);
    const shown = displayPath(byteStringOf(file));
    throw new ToolError('LAYER_FILE_UNREADABLE', `${shown} cannot be read (${code})`, { cause });
  }
}

function expectSize(entry: FileEntry, fd: number): void {
  const stat = fstatSync(fd);
  if (!stat.isFile()) throw changed(entry, undefined);
  if (stat.size !== entry.size) throw changed(entry, stat.size);
}

async function* streamChunks(entry: FileEntry, stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  let seen = 0;
  for await (const chunk of stream) {
    seen += chunk.length;
    if (seen > entry.size) break;
    yield chunk;
  }
  if (seen !== entry.size) throw changed(entry, seen);
}

function changed(entry: FileEntry, found: number | undefined, cause?: unknown): ToolError {
  const now = found === undefined ? 'is no longer a file' : `had ${entry.size} bytes and now has ${found}`;
  return new ToolError('LAYER_FILE_CHANGED', `${displayPath(entry.path)} changed while it was being read: it ${now}`, {
    cause,
    hint: 'build again when nothing writes to it',
  });
}

/** Fewer, larger chunks: hashing and writing cost by the call. */
async function* inBigChunks(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  let pending: Buffer[] = [];
  let size = 0;
  for await (const chunk of bytes) {
    pending.push(chunk);
    size += chunk.length;
    if (size < chunkBytes / 4) continue;
    yield Buffer.concat(pending, size);
    pending = [];
    size = 0;
  }
  if (size > 0) yield Buffer.concat(pending, size);
}

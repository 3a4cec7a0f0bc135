import { Readable } from 'node:stream';
import type { CallOptions } from '../../core/index.ts';
import { ChunkBuffers } from './chunk-buffers.ts';
import { readDiskContent, readWholeFile, streamContent } from './encode-content.ts';
import { blockBytes, encodeHeader, writeHeader } from './encode-header.ts';
import type { Entry, FileEntry } from './entry.ts';

/** Two blocks of zeros end an archive. */
const endBytes = 2 * blockBytes;

/**
 * Entries to tar bytes: the one deterministic encoding of Kiln. Times are whole seconds, owners have no names, pax
 * headers are there only for what ustar cannot say, and two blocks of zeros end it. docs/decisions/0002-layer-codec.md
 * @throws (through the stream) ToolError LAYER_FILE_CHANGED, LAYER_FILE_UNREADABLE, LAYER_NAME_RESERVED, LAYER_XATTR_UNSUPPORTED
 */
export function encodeLayer(entries: Iterable<Entry> | AsyncIterable<Entry>, options: CallOptions = {}): Readable {
  return Readable.from(keptChunks(entries, options), {
    objectMode: false,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
}

async function* keptChunks(
  entries: Iterable<Entry> | AsyncIterable<Entry>,
  options: CallOptions,
): AsyncGenerator<Buffer, void> {
  for await (const chunk of layerChunks(entries, options)) yield Buffer.from(chunk);
}

/**
 * The same bytes without a copy for the reader: a chunk is good until the one after the next is asked for. Reads files
 * synchronously, which is several times faster than streams for the many small files of a layer.
 */
export async function* layerChunks(
  entries: Iterable<Entry> | AsyncIterable<Entry>,
  { signal }: CallOptions = {},
): AsyncGenerator<Buffer, void> {
  signal?.throwIfAborted();
  const chunks = new ChunkBuffers();
  // What is at hand is not waited for: a promise for each of many entries would cost more than to encode it.
  const parts =
    Symbol.asyncIterator in entries ? entriesInParts(chunks, entries) : entriesAtHandInParts(chunks, entries);
  for await (const chunk of parts) {
    yield chunk;
    signal?.throwIfAborted();
  }
  if (chunks.free < endBytes) yield chunks.turn();
  chunks.addZeros(endBytes);
  yield chunks.turn();
}

async function* entriesInParts(chunks: ChunkBuffers, entries: AsyncIterable<Entry>): AsyncGenerator<Buffer, void> {
  for await (const entry of entries) {
    if (!addWhole(chunks, entry)) yield* inParts(chunks, entry);
  }
}

async function* entriesAtHandInParts(chunks: ChunkBuffers, entries: Iterable<Entry>): AsyncGenerator<Buffer, void> {
  for (const entry of entries) {
    if (!addWhole(chunks, entry)) yield* inParts(chunks, entry);
  }
}

/** Adds an entry that needs no waiting: its header is one block, its content is small and at hand, and there is room. */
function addWhole(chunks: ChunkBuffers, entry: Entry): boolean {
  const size = entry.type === 'file' ? entry.size : 0;
  const padded = paddedTo(blockBytes, size);
  if (chunks.free < blockBytes + padded || (size > 0 && !isAtHand(entry))) return false;
  const start = chunks.used;
  chunks.addZeros(blockBytes);
  if (!writeHeader(chunks.buffer, start, entry)) {
    chunks.used = start;
    return false;
  }
  if (entry.type !== 'file') return true;
  readWholeFile(entry, chunks.buffer, chunks.used);
  chunks.used += size;
  chunks.addZeros(padded - size);
  return true;
}

/** Gives the chunks that get full on the way. */
async function* inParts(chunks: ChunkBuffers, entry: Entry): AsyncGenerator<Buffer, void> {
  yield* added(chunks, encodeHeader(entry));
  if (entry.type !== 'file') return;
  switch (entry.content.kind) {
    case 'disk':
      yield* readDiskContent(entry, entry.content, chunks);
      break;
    case 'bytes':
    case 'stream':
      for await (const bytes of streamContent(entry, entry.content)) yield* added(chunks, bytes);
      break;
  }
  const padding = paddedTo(blockBytes, entry.size) - entry.size;
  yield* added(chunks, Buffer.alloc(padding));
}

function* added(chunks: ChunkBuffers, bytes: Buffer): Generator<Buffer, void> {
  for (let at = 0; at < bytes.length; ) {
    if (chunks.free === 0) yield chunks.turn();
    at += chunks.add(bytes, at);
  }
}

function isAtHand(entry: Entry): entry is FileEntry {
  return entry.type === 'file' && entry.content.kind !== 'stream';
}

function paddedTo(unit: number, size: number): number {
  return Math.ceil(size / unit) * unit;
}

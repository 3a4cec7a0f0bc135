import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-stream';
import { type CallOptions, errorCode, ToolError } from '../../core/index.ts';
import { type TarHeader, TarHeaderReader } from './tar-header.ts';

// tar-stream moves the bytes: it cuts members to size, and keeps back-pressure. What a header means is
// ours, because its own codec loses metadata; the members named here are private to it and pinned by framing.test.ts.
// docs/decisions/0002-layer-codec.md

const blockBytes = 512;

interface ExtractFrames {
  _locked: boolean;
  _finished: boolean;
  _longHeader: boolean;
  _missing: number;
  _header: object;
  _stream: AsyncIterable<Buffer> | null;
  readonly _buffer: { readonly buffered: number; shift(size: number): Buffer };
  readonly _unlockBound: () => void;
  _unlock(error?: unknown): void;
  _createStream(): AsyncIterable<Buffer>;
  _continueWrite(error: unknown): void;
  _consumeHeader(): boolean;
  _decodeLongHeader(body: Buffer): void;
  _final(callback: (error: Error | null) => void): void;
  emit(event: 'entry', header: object, stream: AsyncIterable<Buffer>, next: () => void): void;
}

/** The content of one member, to be read while it is visited. */
export class MemberContent implements AsyncIterable<Buffer> {
  /** All of it, where that is at hand: who takes it so is spared the streams, which cost more than most files do. */
  readonly whole: Buffer | undefined;
  readonly #chunks: AsyncIterator<Buffer>;

  constructor(stream: AsyncIterable<Buffer> | Buffer) {
    this.whole = Buffer.isBuffer(stream) ? stream : undefined;
    this.#chunks = Buffer.isBuffer(stream) ? oneChunk(stream) : stream[Symbol.asyncIterator]();
  }

  // Leaving the loop early must not end the stream: tar-stream would end the whole archive with it.
  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void> {
    for (;;) {
      const next = await this.#chunks.next();
      if (next.done === true) return;
      yield next.value;
    }
  }

  async drain(): Promise<void> {
    while ((await this.#chunks.next()).done !== true);
  }
}

async function* oneChunk(bytes: Buffer): AsyncGenerator<Buffer, void> {
  yield bytes;
}

type Visit = (header: TarHeader, content: MemberContent | undefined) => void | Promise<void>;

/**
 * Visits the members one after the other; content that the visitor leaves is skipped. Reads the stream to its end.
 * @throws ToolError LAYER_INVALID, LAYER_UNSUPPORTED, LAYER_TRUNCATED; what the stream or the visitor throws
 */
export async function forEachMember(tar: Readable, visit: Visit, options: CallOptions = {}): Promise<void> {
  options.signal?.throwIfAborted();
  const extractor = extract();
  const atHand = new MembersAtHand(visit);
  decodeWith(new TarHeaderReader(), extractor as unknown as ExtractFrames, atHand);

  // Neither side may be left running, nor its rejection unheard: both are awaited, then the first cause is thrown.
  const [fed, visited] = await Promise.allSettled([
    pipeline(tar, extractor as unknown as NodeJS.WritableStream, { signal: options.signal }),
    visitAll(extractor as unknown as AsyncIterable<AsyncIterable<Buffer>>, visit),
  ]);
  // The last member may be visited still when everything has been read.
  const [last] = await Promise.allSettled([atHand.visiting]);
  options.signal?.throwIfAborted();
  if (fed.status === 'rejected' && errorCode(fed.reason) !== 'ERR_STREAM_PREMATURE_CLOSE') throw fed.reason;
  if (visited.status === 'rejected') throw visited.reason;
  if (last.status === 'rejected') throw last.reason;
  if (fed.status === 'rejected') throw truncated();
}

async function visitAll(members: AsyncIterable<AsyncIterable<Buffer>>, visit: Visit): Promise<void> {
  for await (const stream of members) {
    const { header } = stream as unknown as { readonly header: TarHeader };
    const content = header.size === 0 ? undefined : new MemberContent(stream);
    const visiting = visit(header, content);
    if (visiting !== undefined) await visiting;
    if (content !== undefined) await content.drain();
  }
}

/** Visits members whose content has come already at once, where tar-stream would make a stream for each. */
class MembersAtHand {
  readonly #visit: Visit;
  /** The visit that is under way, or was last. */
  visiting: Promise<void> | undefined;

  constructor(visit: Visit) {
    this.#visit = visit;
  }

  /** False when its content has yet to come. */
  take(frames: ExtractFrames, header: TarHeader): boolean {
    const { size } = header;
    if (size > frames._buffer.buffered) return false;
    const content = size === 0 ? undefined : new MemberContent(frames._buffer.shift(size));
    frames._header = header;
    frames._missing = (blockBytes - (size % blockBytes)) % blockBytes;
    const visiting = this.#visit(header, content);
    if (visiting === undefined) return true;
    frames._locked = true;
    this.visiting = visiting;
    visiting.then(
      () => frames._unlock(),
      (error: unknown) => frames._unlock(error),
    );
    return true;
  }
}

/** Replaces tar-stream's understanding of headers by ours. */
function decodeWith(headers: TarHeaderReader, frames: ExtractFrames, atHand: MembersAtHand): void {
  frames._consumeHeader = () => {
    if (frames._locked) return false;
    try {
      const block = headers.block(frames._buffer.shift(512));
      if (block.kind === 'entry') {
        if (!atHand.take(frames, block.header)) startMember(frames, block.header);
      }
      if (block.kind === 'extension') startExtension(frames, headers, block.size);
      return true;
    } catch (error) {
      frames._continueWrite(error);
      return false;
    }
  };
  frames._decodeLongHeader = (body) => headers.extension(body);
  frames._final = (callback) => {
    const isWhole = frames._missing === 0 && frames._buffer.buffered === 0 && !headers.isIncomplete;
    frames._finished = isWhole || headers.hasEnded;
    callback(frames._finished ? null : truncated());
  };
}

function startExtension(frames: ExtractFrames, headers: TarHeaderReader, size: number): void {
  if (size === 0) {
    headers.extension(Buffer.alloc(0));
    return;
  }
  frames._header = { size };
  frames._longHeader = true;
  frames._missing = size;
}

function startMember(frames: ExtractFrames, header: TarHeader): void {
  frames._locked = true;
  frames._header = header;
  const stream = frames._createStream();
  if (header.size > 0) {
    frames._stream = stream;
    frames._missing = header.size;
  }
  frames.emit('entry', header, stream, frames._unlockBound);
}

function truncated(): ToolError {
  return new ToolError('LAYER_TRUNCATED', 'the layer ends in the middle of a file', {
    hint: 'the image is damaged; pull it again or tell who published it',
  });
}

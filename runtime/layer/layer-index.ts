import { type FileHandle, open } from 'node:fs/promises';
import { type CallOptions, ToolError } from '../../core/index.ts';
import type { TarHeader } from './tar-header.ts';
import { TarHeaderReader } from './tar-header.ts';

/** Headers lie close together where files are small; where they are large, little is read in vain. */
const windowBytes = 256 * 1024;
const blockBytes = 512;

/** A member of a tar on disk, and where its content begins. */
export interface IndexedMember {
  readonly header: TarHeader;
  readonly offset: number;
}

/**
 * The members of an uncompressed tar on disk in its order; their content is passed over, not read.
 * @throws ToolError LAYER_INVALID, LAYER_UNSUPPORTED, LAYER_TRUNCATED
 */
export async function* membersOfFile(file: string, options: CallOptions = {}): AsyncGenerator<IndexedMember, void> {
  await using handle = await open(file, 'r');
  const { size } = await handle.stat();
  const window = new Window(handle, size);
  const headers = new TarHeaderReader();
  let at = 0;
  while (at + blockBytes <= size && !headers.hasEnded) {
    options.signal?.throwIfAborted();
    const block = headers.block(window.holds(at, blockBytes) ?? (await window.read(at, blockBytes)));
    at += blockBytes;
    if (block.kind === 'nothing') continue;
    const length = block.kind === 'extension' ? block.size : block.header.size;
    const end = at + Math.ceil(length / blockBytes) * blockBytes;
    // Some writers leave the padding of the last member away.
    if (at + length > size) throw truncated();
    if (block.kind === 'entry') yield { header: block.header, offset: at };
    else headers.extension(Buffer.from(window.holds(at, length) ?? (await window.read(at, length))));
    at = end;
  }
  if (!headers.hasEnded && (headers.isIncomplete || at < size)) throw truncated();
}

/** What was read last of a file. */
class Window {
  readonly #handle: FileHandle;
  readonly #size: number;
  #buffer = Buffer.alloc(0);
  /** What of it is filled. */
  #bytes = this.#buffer;
  #start = 0;

  constructor(handle: FileHandle, size: number) {
    this.#handle = handle;
    this.#size = size;
  }

  /** The bytes, when they are at hand; valid until the next read. */
  holds(at: number, length: number): Buffer | undefined {
    const from = at - this.#start;
    if (from < 0 || from + length > this.#bytes.length) return undefined;
    return this.#bytes.subarray(from, from + length);
  }

  async read(at: number, length: number): Promise<Buffer> {
    const wanted = Math.min(Math.max(length, windowBytes), this.#size - at);
    if (this.#buffer.length < wanted) this.#buffer = Buffer.allocUnsafeSlow(wanted);
    const bytes = this.#buffer.subarray(0, wanted);
    for (let done = 0; done < wanted; ) {
      const { bytesRead } = await this.#handle.read(bytes, done, wanted - done, at + done);
      if (bytesRead === 0) throw truncated();
      done += bytesRead;
    }
    this.#bytes = bytes;
    this.#start = at;
    return bytes.subarray(0, length);
  }
}

export function truncated(): ToolError {
  return new ToolError('LAYER_TRUNCATED', 'the layer ends in the middle of a file', {
    hint: 'the image is damaged; pull it again or tell who published it',
  });
}

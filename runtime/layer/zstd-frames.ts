import { ToolError } from '../../core/index.ts';

const frameMagic = 0xfd2fb528;
const skippableMagic = 0x184d2a50;

/**
 * Cuts a zstd blob into its frames, without decompressing: Node 24 stops silently after the first one, so each frame
 * is given to a decompressor of its own. RFC 8878, section 3.1
 */
export class ZstdFrames {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(blob: AsyncIterable<Buffer>) {
    this.#chunks = blob[Symbol.asyncIterator]();
  }

  /** True when another frame follows; frames that only carry metadata are skipped. @throws ToolError */
  async hasNext(): Promise<boolean> {
    for (;;) {
      if (!(await this.#fill(1))) return false;
      const magic = (await this.#peek(4)).readUInt32LE(0);
      if (magic === frameMagic) return true;
      if ((magic & 0xfffffff0) >>> 0 !== skippableMagic) throw invalid('it holds something that is no zstd frame');
      const size = (await this.#take(8)).readUInt32LE(4);
      for await (const _ of this.#bytes(size));
    }
  }

  /** The bytes of the next frame; to be read to the end before anything else is asked. */
  async *next(): AsyncGenerator<Buffer, void> {
    const descriptor = (await this.#peek(5))[4] ?? 0;
    yield await this.#take(5 + frameHeaderBytes(descriptor));
    for (let isLast = false; !isLast; ) {
      const header = await this.#take(3);
      const bits = header.readUIntLE(0, 3);
      isLast = (bits & 1) === 1;
      const type = (bits >> 1) & 3;
      if (type === 3) throw invalid('a block has a reserved type');
      yield header;
      // A run-length block stores one byte, whatever its size.
      yield* this.#bytes(type === 1 ? 1 : bits >> 3);
    }
    if ((descriptor & 0x04) !== 0) yield await this.#take(4);
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async *#bytes(count: number): AsyncGenerator<Buffer, void> {
    for (let left = count; left > 0; ) {
      if (!(await this.#fill(1))) throw truncated();
      const chunk = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(chunk.length);
      left -= chunk.length;
      yield chunk;
    }
  }

  async #take(count: number): Promise<Buffer> {
    const bytes = await this.#peek(count);
    this.#rest = this.#rest.subarray(count);
    return bytes;
  }

  async #peek(count: number): Promise<Buffer> {
    if (!(await this.#fill(count))) throw truncated();
    return this.#rest.subarray(0, count);
  }

  async #fill(count: number): Promise<boolean> {
    while (this.#rest.length < count) {
      const next = await this.#chunks.next();
      if (next.done === true) return false;
      this.#rest = this.#rest.length === 0 ? next.value : Buffer.concat([this.#rest, next.value]);
    }
    return true;
  }
}

/** What follows the descriptor byte: window, dictionary id, content size. */
function frameHeaderBytes(descriptor: number): number {
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const dictionary = [0, 1, 2, 4][descriptor & 3] ?? 0;
  const contentSize = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0;
  return (isSingleSegment ? 0 : 1) + dictionary + contentSize;
}

function invalid(why: string): ToolError {
  return new ToolError('LAYER_COMPRESSION_INVALID', `the layer cannot be decompressed: ${why}`);
}

function truncated(): ToolError {
  return new ToolError('LAYER_TRUNCATED', 'the compressed layer ends too early', { hint: 'pull the image again' });
}

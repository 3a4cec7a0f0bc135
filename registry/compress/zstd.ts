import { pipeline } from 'node:stream';
import { constants, createZstdCompress } from 'node:zlib';
import { blocksOf } from './blocks.ts';

const blockBytes = 1024 * 1024;

/**
 * zstd, one frame: Node 24 stops reading after the first. The engine gets blocks of one size, each once it is done with
 * the one before, and its end alone: how the input is cut leaves no trace in the bytes. RFC 8878
 */
export async function* zstdCompressed(tar: AsyncIterable<Buffer>, level: number): AsyncGenerator<Buffer> {
  const options = {
    chunkSize: blockBytes,
    // One write is under way at most, and none when the end is announced. Node's types do not have it.
    writableHighWaterMark: 1,
    params: { [constants.ZSTD_c_compressionLevel]: level },
  };
  const engine = createZstdCompress(options);
  // A failing source destroys the engine with its error, which the loop then throws.
  yield* pipeline(blocksOf(tar, { blockBytes, buffers: 2 }), engine, () => undefined) as AsyncIterable<Buffer>;
}

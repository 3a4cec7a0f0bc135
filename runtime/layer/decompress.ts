import { pipeline, Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { type CallOptions, errorCode, ToolError } from '../../core/index.ts';
import { ZstdFrames } from './zstd-frames.ts';

const chunkSize = 1024 * 1024;

/**
 * The tar in a layer blob. All members of a gzip file and all frames of a zstd one are read. That it is the right tar
 * is for the caller to check by its DiffId.
 * @throws (through the stream) ToolError LAYER_COMPRESSION_INVALID, LAYER_TRUNCATED; what the blob throws
 */
export function decompressed(
  blob: Readable,
  compression: 'none' | 'gzip' | 'zstd',
  options: CallOptions = {},
): Readable {
  const bytes = compression === 'none' ? blob : compression === 'gzip' ? gunzipped(blob) : unzstd(blob);
  return Readable.from(bytes, {
    objectMode: false,
    highWaterMark: chunkSize,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
}

async function* gunzipped(blob: Readable): AsyncGenerator<Buffer, void> {
  yield* through(blob, createGunzip({ chunkSize }));
}

async function* unzstd(blob: Readable): AsyncGenerator<Buffer, void> {
  const frames = new ZstdFrames(blob as AsyncIterable<Buffer>);
  try {
    while (await frames.hasNext()) {
      yield* through(Readable.from(frames.next(), { objectMode: false }), createZstdDecompress({ chunkSize }));
    }
  } finally {
    await frames.close();
  }
}

async function* through(
  source: Readable,
  engine: ReturnType<typeof createGunzip> | ReturnType<typeof createZstdDecompress>,
): AsyncGenerator<Buffer, void> {
  try {
    // A failing source destroys the engine with its error, which the loop then throws.
    yield* pipeline(source, engine, () => undefined) as AsyncIterable<Buffer>;
  } catch (error) {
    throw asToolError(error);
  }
}

function asToolError(error: unknown): unknown {
  const code = errorCode(error);
  if (code === 'Z_BUF_ERROR') {
    return new ToolError('LAYER_TRUNCATED', 'the compressed layer ends too early', {
      cause: error,
      hint: 'pull the image again',
    });
  }
  if (code === undefined || !/^(?:Z_|ZSTD_)/.test(code)) return error;
  return new ToolError('LAYER_COMPRESSION_INVALID', `the layer cannot be decompressed (${code})`, {
    cause: error,
    hint: 'the image is damaged; pull it again or tell who published it',
  });
}

import { pipeline, Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { type CallOptions, errorCode, ToolError } from '../../core/index.ts';
import { ZstdFrames } from './zstd-frames.ts';

const chunkSize = 1024 * 1024;

/** Up to behind `ustar` in the header of a tar's first member. */
const headBytes = 262;

/**
 * The tar in a layer blob. All members of a gzip file and all frames of a zstd one are read. That it is the right tar
 * is for the caller to check by its DiffId. What is said to be compressed may be so in the other way, or not at all:
 * podman and Skopeo before 1.10 write such manifests when a registry has the layer in another form already.
 * @throws (through the stream) ToolError LAYER_COMPRESSION_INVALID, LAYER_TRUNCATED; what the blob throws
 */
export function decompressed(
  blob: Readable,
  compression: 'none' | 'gzip' | 'zstd',
  options: CallOptions = {},
): Readable {
  return Readable.from(compression === 'none' ? blob : unpacked(blob, compression), {
    objectMode: false,
    highWaterMark: chunkSize,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
}

async function* unpacked(blob: Readable, stated: 'gzip' | 'zstd'): AsyncGenerator<Buffer, void> {
  const chunks: AsyncIterator<Buffer> = blob[Symbol.asyncIterator]();
  try {
    let head: Buffer = Buffer.alloc(0);
    while (head.length < headBytes) {
      const next = await chunks.next();
      if (next.done === true) break;
      head = head.length === 0 ? next.value : Buffer.concat([head, next.value]);
    }
    const whole = Readable.from(startingWith(head, chunks), { objectMode: false, highWaterMark: chunkSize });
    const found = compressionOf(head) ?? stated;
    yield* found === 'none' ? (whole as AsyncIterable<Buffer>) : found === 'gzip' ? gunzipped(whole) : unzstd(whole);
  } finally {
    await chunks.return?.();
  }
}

async function* startingWith(head: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer, void> {
  if (head.length > 0) yield head;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
}

/** As the first bytes tell; undefined when they do not. */
function compressionOf(head: Buffer): 'none' | 'gzip' | 'zstd' | undefined {
  if (head.length < 4) return undefined;
  if (head.readUInt16BE(0) === 0x1f8b) return 'gzip';
  const magic = head.readUInt32LE(0);
  if (magic === 0xfd2fb528 || (magic & 0xfffffff0) >>> 0 === 0x184d2a50) return 'zstd';
  return head.toString('latin1', headBytes - 5, headBytes) === 'ustar' ? 'none' : undefined;
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

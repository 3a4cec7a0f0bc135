import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { constants, crc32, deflateRaw } from 'node:zlib';
import { limiter } from '../../core/index.ts';
import { blocksOf } from './blocks.ts';
import { isNoise } from './noise.ts';

const deflateBlock = promisify<Buffer, object, Buffer>(deflateRaw);

const blockBytes = 512 * 1024;
const dictionaryBytes = 32 * 1024;
/** Told apart by whether deflate can do anything for them. */
const segmentBytes = 32 * 1024;
const maxStoredBytes = 65_535;
const partsUnderWay = 2 * availableParallelism() + 6;
/** Of all layers together. One thread of the pool is left for reading, which would otherwise wait for whole parts. */
const inPool = limiter(availableParallelism() + 1);
/** mtime 0, no name, unknown operating system: nothing of the machine gets in. RFC 1952 §2.3 */
const header = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);

/**
 * gzip over several cores: parts are compressed side by side in libuv's pool, each with the end of the one before as its
 * dictionary, and joined to one deflate stream. What cannot be compressed is stored. Where parts begin depends on the
 * bytes alone: not on the machine's cores, nor on how the input is cut.
 */
export async function* gzipped(source: AsyncIterable<Buffer>, level = 6): AsyncGenerator<Buffer> {
  const underWay: Promise<Buffer>[] = [];
  let crc = 0;
  let size = 0;
  let before: Part | undefined;
  let dictionary: Buffer | undefined;
  const start = ({ bytes, isNoise: stored }: Part, last: boolean): void => {
    underWay.push(stored ? Promise.resolve(storedPart(bytes, last)) : deflatedPart(bytes, { level, dictionary, last }));
    // The part's own buffer is filled again.
    dictionary = Buffer.from(bytes.subarray(-dictionaryBytes));
  };
  try {
    yield header;
    for await (const block of blocksOf(source, { blockBytes, buffers: partsUnderWay + 2 })) {
      crc = crc32(block, crc);
      size += block.byteLength;
      for (const part of partsOf(block)) {
        if (before !== undefined) start(before, false);
        before = part;
        while (underWay.length >= partsUnderWay) yield await taken(underWay);
      }
    }
    start(before ?? { bytes: Buffer.alloc(0), isNoise: false }, true);
    while (underWay.length > 0) yield await taken(underWay);
    const trailer = Buffer.alloc(8);
    trailer.writeUInt32LE(crc, 0);
    trailer.writeUInt32LE(size % 2 ** 32, 4);
    yield trailer;
  } finally {
    await Promise.allSettled(underWay);
  }
}

interface Part {
  readonly bytes: Buffer;
  readonly isNoise: boolean;
}

/** Neighbouring segments of one kind are one part. */
function partsOf(block: Buffer): Part[] {
  const parts: Part[] = [];
  for (let start = 0; start < block.byteLength; start += segmentBytes) {
    const kind = isNoise(block.subarray(start, start + segmentBytes));
    const end = Math.min(start + segmentBytes, block.byteLength);
    const before = parts.at(-1);
    if (before?.isNoise !== kind) parts.push({ bytes: block.subarray(start, end), isNoise: kind });
    else parts[parts.length - 1] = { bytes: block.subarray(start - before.bytes.byteLength, end), isNoise: kind };
  }
  return parts;
}

interface DeflateOptions {
  readonly level: number;
  readonly dictionary: Buffer | undefined;
  readonly last: boolean;
}

function deflatedPart(bytes: Buffer, { level, dictionary, last }: DeflateOptions): Promise<Buffer> {
  const compressed = inPool(() =>
    deflateBlock(bytes, {
      level,
      // What does not fit takes a second turn in the pool.
      chunkSize: Math.ceil(bytes.byteLength * 0.75) + 128,
      finishFlush: last ? constants.Z_FINISH : constants.Z_SYNC_FLUSH,
      ...(dictionary === undefined ? {} : { dictionary }),
    }),
  );
  // It is awaited later, in turn; until then a failure is not unhandled.
  compressed.catch(() => undefined);
  return compressed;
}

/** Stored blocks; what comes before ends at a byte's end. RFC 1951 §3.2.4 */
function storedPart(bytes: Buffer, last: boolean): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.byteLength; at += maxStoredBytes) {
    const stored = bytes.subarray(at, at + maxStoredBytes);
    const head = Buffer.alloc(5);
    head[0] = last && at + maxStoredBytes >= bytes.byteLength ? 1 : 0;
    head.writeUInt16LE(stored.byteLength, 1);
    head.writeUInt16LE(0xffff - stored.byteLength, 3);
    pieces.push(head, stored);
  }
  return Buffer.concat(pieces);
}

async function taken(queue: Promise<Buffer>[]): Promise<Buffer> {
  const first = await queue[0];
  queue.shift();
  if (first === undefined) throw new TypeError('no block is under way');
  return first;
}

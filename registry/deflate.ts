import { promisify } from 'node:util';
import { constants, crc32, deflateRaw } from 'node:zlib';

const deflateBlock = promisify<Buffer, object, Buffer>(deflateRaw);

const blockBytes = 512 * 1024;
const dictionaryBytes = 32 * 1024;
const blocksUnderWay = 6;
const level = 6;
/** mtime 0, no name, unknown operating system: nothing of the machine gets in. RFC 1952 §2.3 */
const header = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);

/**
 * gzip over several cores: blocks are compressed side by side in libuv's pool, each with the end of the one before as
 * its dictionary, and joined to one deflate stream. Block size is fixed, so the bytes do not depend on the machine's
 * cores, nor on how the input is cut.
 */
export async function* gzipped(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const underWay: Promise<Buffer>[] = [];
  let crc = 0;
  let size = 0;
  try {
    yield header;
    for await (const { bytes, dictionary, last } of blocks(source)) {
      crc = crc32(bytes, crc);
      size += bytes.byteLength;
      underWay.push(started(bytes, dictionary, last));
      if (underWay.length >= blocksUnderWay) yield await taken(underWay);
    }
    while (underWay.length > 0) yield await taken(underWay);
    const trailer = Buffer.alloc(8);
    trailer.writeUInt32LE(crc, 0);
    trailer.writeUInt32LE(size % 2 ** 32, 4);
    yield trailer;
  } finally {
    await Promise.allSettled(underWay);
  }
}

function started(bytes: Buffer, dictionary: Buffer | undefined, last: boolean): Promise<Buffer> {
  const compressed = deflateBlock(bytes, {
    level,
    finishFlush: last ? constants.Z_FINISH : constants.Z_SYNC_FLUSH,
    ...(dictionary === undefined ? {} : { dictionary }),
  });
  // It is awaited later, in turn; until then a failure is not unhandled.
  compressed.catch(() => undefined);
  return compressed;
}

async function taken(queue: Promise<Buffer>[]): Promise<Buffer> {
  const first = await queue[0];
  queue.shift();
  if (first === undefined) throw new TypeError('no block is under way');
  return first;
}

interface Block {
  readonly bytes: Buffer;
  readonly dictionary: Buffer | undefined;
  readonly last: boolean;
}

async function* blocks(source: AsyncIterable<Buffer>): AsyncGenerator<Block> {
  let dictionary: Buffer | undefined;
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  for await (const chunk of source) {
    pending.push(chunk);
    pendingBytes += chunk.byteLength;
    // A full block waits for the next byte: only then is it known not to be the last.
    if (pendingBytes <= blockBytes) continue;
    const joined = Buffer.concat(pending, pendingBytes);
    let start = 0;
    for (; joined.byteLength - start > blockBytes; start += blockBytes) {
      const bytes = joined.subarray(start, start + blockBytes);
      yield { bytes, dictionary, last: false };
      dictionary = bytes.subarray(-dictionaryBytes);
    }
    pending = [joined.subarray(start)];
    pendingBytes = joined.byteLength - start;
  }
  yield { bytes: Buffer.concat(pending, pendingBytes), dictionary, last: true };
}

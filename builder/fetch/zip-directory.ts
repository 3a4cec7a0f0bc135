import type { FileHandle } from 'node:fs/promises';
import { ToolError } from '../../core/index.ts';
import { type ByteString, byteStringOf } from '../../runtime/index.ts';

/** One member of a zip file, as its central directory has it. APPNOTE.TXT 6.3.10, section 4.3.12 */
export interface ZipMember {
  /** Raw bytes; a directory's ends with `/`. */
  readonly name: ByteString;
  /** 0 is stored, 8 is deflated. */
  readonly method: 0 | 8;
  readonly crc32: number;
  readonly compressedSize: number;
  readonly size: number;
  /** Of the member's own header. */
  readonly offset: number;
  /** File type and permissions; 0 where a system without them wrote it. */
  readonly unixMode: number;
  /** Modification time since the epoch; one of the DOS kind is taken as UTC, since it does not say. */
  readonly seconds: number;
}

const endBytes = 22;
const maxCommentBytes = 0xffff;
const maxDirectoryBytes = 256 * 1024 * 1024;
const unixHost = 3;
const darwinHost = 19;

/** @throws ToolError FETCH_ARCHIVE_INVALID, FETCH_ARCHIVE_UNSUPPORTED */
export async function readZipDirectory(handle: FileHandle, fileSize: number): Promise<readonly ZipMember[]> {
  const { count, size, offset } = await findDirectory(handle, fileSize);
  if (size > maxDirectoryBytes || offset + size > fileSize) throw invalid('its directory lies outside of it');
  const directory = await readAt(handle, offset, size);
  const members: ZipMember[] = [];
  for (let at = 0; members.length < count; ) {
    const { member, bytes } = memberAt(directory, at);
    members.push(member);
    at += bytes;
  }
  return members;
}

interface DirectoryPlace {
  readonly count: number;
  readonly size: number;
  readonly offset: number;
}

async function findDirectory(handle: FileHandle, fileSize: number): Promise<DirectoryPlace> {
  const tailBytes = Math.min(fileSize, endBytes + maxCommentBytes);
  const tail = await readAt(handle, fileSize - tailBytes, tailBytes);
  const at = tail.lastIndexOf(Buffer.from([0x50, 0x4b, 0x05, 0x06]));
  if (at === -1 || at + endBytes > tail.length) throw invalid('it ends too early');
  const end = tail.subarray(at);
  if (end.readUInt16LE(4) !== 0 && end.readUInt16LE(4) !== 0xffff) throw unsupported('it is one of several volumes');
  const place = { count: end.readUInt16LE(10), size: end.readUInt32LE(12), offset: end.readUInt32LE(16) };
  if (place.count !== 0xffff && place.size !== 0xffffffff && place.offset !== 0xffffffff) return place;
  const locator = at >= 20 ? tail.subarray(at - 20, at) : Buffer.alloc(0);
  if (locator.length < 20 || locator.readUInt32LE(0) !== 0x07064b50) return place;
  const wide = await readAt(handle, numberOf(locator.readBigUInt64LE(8)), 56);
  if (wide.readUInt32LE(0) !== 0x06064b50) throw invalid('its directory is not where it should be');
  return {
    count: numberOf(wide.readBigUInt64LE(32)),
    size: numberOf(wide.readBigUInt64LE(40)),
    offset: numberOf(wide.readBigUInt64LE(48)),
  };
}

function memberAt(directory: Buffer, at: number): { readonly member: ZipMember; readonly bytes: number } {
  if (at + 46 > directory.length || directory.readUInt32LE(at) !== 0x02014b50)
    throw invalid('its directory is damaged');
  const nameEnd = at + 46 + directory.readUInt16LE(at + 28);
  const extraEnd = nameEnd + directory.readUInt16LE(at + 30);
  const end = extraEnd + directory.readUInt16LE(at + 32);
  if (end > directory.length) throw invalid('its directory is damaged');
  const method = directory.readUInt16LE(at + 10);
  if ((directory.readUInt16LE(at + 8) & 1) !== 0) throw unsupported('it is encrypted');
  if (method !== 0 && method !== 8) throw unsupported(`it is compressed by method ${method}`);
  const host = directory[at + 5];
  const extra = extraFields(directory.subarray(nameEnd, extraEnd));
  const sizes = wideSizes(extra.get(0x0001), {
    size: directory.readUInt32LE(at + 24),
    compressedSize: directory.readUInt32LE(at + 20),
    offset: directory.readUInt32LE(at + 42),
  });
  const member = {
    name: byteStringOf(directory.subarray(at + 46, nameEnd)),
    method: method === 0 ? (0 as const) : (8 as const),
    crc32: directory.readUInt32LE(at + 16),
    ...sizes,
    unixMode: host === unixHost || host === darwinHost ? directory.readUInt16LE(at + 40) : 0,
    seconds: unixSeconds(extra.get(0x5455)) ?? dosSeconds(directory.readUInt32LE(at + 12)),
  };
  return { member, bytes: end - at };
}

function extraFields(bytes: Buffer): Map<number, Buffer> {
  const fields = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= bytes.length; ) {
    const end = at + 4 + bytes.readUInt16LE(at + 2);
    fields.set(bytes.readUInt16LE(at), bytes.subarray(at + 4, end));
    at = end;
  }
  return fields;
}

type Sizes = Pick<ZipMember, 'size' | 'compressedSize' | 'offset'>;

/** What does not fit 32 bits is in the zip64 field, in this order. Section 4.5.3 */
function wideSizes(field: Buffer | undefined, narrow: Sizes): Sizes {
  let at = 0;
  const wide = (value: number): number => {
    if (value !== 0xffffffff || field === undefined) return value;
    if (at + 8 > field.length) throw invalid('its directory is damaged');
    at += 8;
    return numberOf(field.readBigUInt64LE(at - 8));
  };
  const size = wide(narrow.size);
  const compressedSize = wide(narrow.compressedSize);
  return { size, compressedSize, offset: wide(narrow.offset) };
}

/** Info-ZIP's extended timestamp. */
function unixSeconds(field: Buffer | undefined): number | undefined {
  return field !== undefined && field.length >= 5 && ((field[0] ?? 0) & 1) === 1 ? field.readInt32LE(1) : undefined;
}

function dosSeconds(stamp: number): number {
  const [date, time] = [stamp >>> 16, stamp & 0xffff];
  const ms = Date.UTC(
    1980 + (date >> 9),
    ((date >> 5) & 15) - 1,
    date & 31,
    time >> 11,
    (time >> 5) & 63,
    (time & 31) * 2,
  );
  return ms / 1000;
}

async function readAt(handle: FileHandle, position: number, size: number): Promise<Buffer> {
  const bytes = Buffer.alloc(size);
  let done = 0;
  for (let read = -1; read !== 0 && done < size; done += read)
    read = (await handle.read(bytes, done, size - done, position + done)).bytesRead;
  if (done < size) throw invalid('it ends too early');
  return bytes;
}

function numberOf(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid('a number in it is too large');
  return Number(value);
}

function invalid(why: string): ToolError {
  return new ToolError('FETCH_ARCHIVE_INVALID', `the zip file is not valid: ${why}`);
}

function unsupported(why: string): ToolError {
  return new ToolError('FETCH_ARCHIVE_UNSUPPORTED', `the zip file cannot be unpacked: ${why}`);
}

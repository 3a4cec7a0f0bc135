import type { FileHandle } from 'node:fs/promises';
import { type CallOptions, ToolError } from '../../core/index.ts';

// Only what image archives need: plain files under short names, in a file that can be read anywhere. What layers need is
// in runtime/layer/, which this part may not use, nor it this one.

export const blockBytes = 512;
/** Of a pax or GNU header; names are all that is wanted of them. */
const maxExtensionBytes = 64 * 1024;
const maxMembers = 200_000;

/** Where a regular file of an archive lies. */
export interface TarMember {
  readonly name: string;
  /** Of its first byte, in the archive. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
}

/** A name that stands for another member. */
export interface TarLink {
  readonly name: string;
  readonly target: string;
  readonly isSymbolic: boolean;
}

/** Header blocks of a member: always the same bytes for the same name and size. POSIX pax, "ustar Interchange Format" */
export function tarHeader(name: string, size: number, type: 'file' | 'directory' = 'file'): Buffer {
  const fits = name.length <= 100 && size < 8 ** 11;
  const block = ustar(name.slice(-100), fits ? size : 0, type === 'file' ? '0' : '5', type === 'file' ? 0o644 : 0o755);
  if (fits) return block;
  const body = Buffer.concat([paxRecord('path', name), paxRecord('size', String(size))]);
  return Buffer.concat([ustar('PaxHeaders.0/blob', body.length, 'x', 0o644), body, padding(body.length), block]);
}

/** The zeros that follow content of `size` bytes. */
export function padding(size: number): Buffer {
  return Buffer.alloc((blockBytes - (size % blockBytes)) % blockBytes);
}

export const endOfArchive = Buffer.alloc(2 * blockBytes);

/**
 * The regular files of an archive that anybody may have written, in its order; links, folders and devices are passed
 * over.
 * @param options.onLink told of hard and symbolic links, as they stand
 * @throws ToolError LAYOUT_INVALID
 */
export async function* tarMembers(
  handle: FileHandle,
  where: string,
  options: CallOptions & { readonly onLink?: (link: TarLink) => void } = {},
): AsyncGenerator<TarMember, void> {
  const { size: archiveSize } = await handle.stat();
  const invalid = (why: string) => new ToolError('LAYOUT_INVALID', `${where} is not an image archive: ${why}`);
  let longName: string | undefined;
  let longLink: string | undefined;
  let longSize: number | undefined;
  let members = 0;
  for (let at = 0; at + blockBytes <= archiveSize; ) {
    options.signal?.throwIfAborted();
    if (++members > maxMembers) throw invalid(`it has more than ${maxMembers} members`);
    const block = Buffer.alloc(blockBytes);
    await readFully(handle, block, at);
    if (block.every((byte) => byte === 0)) return;
    const header = parseHeader(block);
    if (header === undefined) throw invalid('a header has a wrong checksum');
    const size = longSize ?? header.size;
    const offset = at + blockBytes;
    if (!Number.isSafeInteger(size) || size < 0) throw invalid('a member has no usable size');
    if (offset + size > archiveSize) throw invalid('it ends in the middle of a member');
    at = offset + Math.ceil(size / blockBytes) * blockBytes;
    if (header.type === 'S')
      throw invalid(`${shown(longName ?? header.name)} is a sparse file; write it with plain tar`);
    if (header.type === 'x' || header.type === 'L' || header.type === 'K') {
      if (size > maxExtensionBytes) throw invalid(`a header of ${size} bytes is over the limit`);
      const body = Buffer.alloc(size);
      await readFully(handle, body, offset);
      const isPax = header.type === 'x';
      const records = isPax
        ? paxRecords(body)
        : new Map([[header.type === 'L' ? 'path' : 'linkpath', text(body, 0, size)]]);
      if ([...records.keys()].some((key) => key.startsWith('GNU.sparse.')))
        throw invalid('it holds a sparse file; write it with plain tar');
      longName = records.get('path') ?? longName;
      longLink = records.get('linkpath') ?? longLink;
      const stated = records.get('size');
      if (stated !== undefined && !/^\d{1,15}$/.test(stated)) throw invalid('a size is not a number');
      longSize = stated === undefined ? longSize : Number(stated);
      continue;
    }
    const name = longName ?? header.name;
    const target = longLink ?? header.link;
    longName = undefined;
    longLink = undefined;
    longSize = undefined;
    const shortName = name.replace(/^\.\//, '');
    if (header.type === '0') yield { name: shortName, offset, size };
    if (header.type === '1' || header.type === '2') {
      options.onLink?.({ name: shortName, target, isSymbolic: header.type === '2' });
    }
  }
}

/** A name of a stranger's, fit for a message. */
function shown(name: string): string {
  return JSON.stringify(name.slice(0, 200));
}

async function readFully(handle: FileHandle, bytes: Buffer, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await handle.read(bytes, done, bytes.length - done, at + done);
    if (bytesRead === 0) throw new ToolError('LAYOUT_INVALID', 'an image archive became shorter while it was read');
    done += bytesRead;
  }
}

interface Header {
  readonly name: string;
  readonly size: number;
  readonly type: string;
  /** What a link leads to. */
  readonly link: string;
}

/** Undefined where the checksum does not fit. */
function parseHeader(block: Buffer): Header | undefined {
  let sum = 8 * 0x20;
  for (const [index, byte] of block.entries()) if (index < 148 || index >= 156) sum += byte;
  if (octal(block, 148, 8) !== sum) return undefined;
  const type = text(block, 156, 1) || '0';
  const isUstar = text(block, 257, 5) === 'ustar';
  const prefix = isUstar ? text(block, 345, 155) : '';
  const name = text(block, 0, 100);
  const fullName = prefix === '' ? name : `${prefix}/${name}`;
  return { name: fullName, size: numberField(block, 124, 12), type, link: text(block, 157, 100) };
}

function text(bytes: Buffer, at: number, length: number): string {
  const field = bytes.subarray(at, at + length);
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end === -1 ? field.length : end);
}

function octal(block: Buffer, at: number, length: number): number {
  const digits = text(block, at, length).trim();
  return /^[0-7]*$/.test(digits) ? Number.parseInt(digits || '0', 8) : Number.NaN;
}

/** GNU writes large sizes in binary; NaN for what is no size. */
function numberField(block: Buffer, at: number, length: number): number {
  const first = block[at] ?? 0;
  if ((first & 0x80) === 0) return octal(block, at, length);
  // All that is before the last eight bytes would be more than any file has; 0xff begins a negative number.
  if (first !== 0x80 || block.subarray(at + 1, at + length - 8).some((byte) => byte !== 0)) return Number.NaN;
  return Number(block.readBigUInt64BE(at + length - 8));
}

function paxRecord(keyword: string, value: string): Buffer {
  const rest = Buffer.byteLength(` ${keyword}=${value}\n`);
  let length = rest + 1;
  while (String(length).length + rest !== length) length = String(length).length + rest;
  return Buffer.from(`${length} ${keyword}=${value}\n`);
}

function paxRecords(body: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < body.length; ) {
    const length = Number(/^\d{1,6}(?= )/.exec(body.toString('latin1', at, at + 8))?.[0] ?? 0);
    if (length < 4 || at + length > body.length) return records;
    const record = body.toString('utf8', body.indexOf(0x20, at) + 1, at + length - 1);
    const equals = record.indexOf('=');
    records.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  return records;
}

function ustar(name: string, size: number, type: string, mode: number): Buffer {
  const block = Buffer.alloc(blockBytes);
  const number = (value: number, at: number, length: number) =>
    block.write(value.toString(8).padStart(length - 1, '0'), at, length - 1, 'latin1');
  block.write(name, 0, 100, 'utf8');
  number(mode, 100, 8);
  number(0, 108, 8);
  number(0, 116, 8);
  number(size, 124, 12);
  number(0, 136, 12);
  block.fill(0x20, 148, 156);
  block.write(type, 156, 1, 'latin1');
  block.write('ustar\x0000', 257, 8, 'latin1');
  let sum = 0;
  for (const byte of block) sum += byte;
  number(sum, 148, 7);
  block[154] = 0;
  return block;
}

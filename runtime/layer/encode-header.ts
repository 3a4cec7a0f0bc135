import { ToolError } from '../../core/index.ts';
import { type ByteString, displayPath, type Entry, type FileTime } from './entry.ts';
import { encodePax, xattrKeyword } from './pax.ts';
import { opaqueMarker, whiteoutMarker, whiteoutPrefix } from './whiteout.ts';

/** The fields of a ustar header. */
interface Fields {
  readonly name: string;
  readonly link: string;
  readonly flag: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: FileTime;
  readonly major: number;
  readonly minor: number;
  readonly xattrs: ReadonlyMap<string, Buffer>;
}

/** Everything in a tar comes in blocks of this many bytes. */
export const blockBytes = 512;
const ascii = /^[\x01-\x7f]*$/;
const maxOctal7 = 0o7777777;
const maxOctal11 = 0o77777777777;
const noXattrs: ReadonlyMap<string, Buffer> = new Map();

/**
 * The header blocks of an entry: one ustar block where everything fits, else a pax header before it. One entry always
 * gives the same bytes.
 * @throws ToolError LAYER_NAME_RESERVED, LAYER_XATTR_UNSUPPORTED
 */
export function encodeHeader(entry: Entry): Buffer {
  const { ustar, pax, name } = layOut(entry);
  const block = ustarBlock(ustar);
  return pax.size === 0 ? block : Buffer.concat([paxHeader(name, encodePax(pax)), block]);
}

/**
 * Writes the header into the zeros at `at` when one block says all; false, and nothing written, when it does not.
 * @throws ToolError LAYER_NAME_RESERVED, LAYER_XATTR_UNSUPPORTED
 */
export function writeHeader(into: Buffer, at: number, entry: Entry): boolean {
  const { ustar, pax } = layOut(entry);
  if (pax.size > 0) return false;
  writeUstar(into, at, ustar);
  return true;
}

interface LaidOut {
  /** The whole name. */
  readonly name: string;
  readonly ustar: UstarFields;
  /** What ustar cannot say. */
  readonly pax: ReadonlyMap<string, Buffer>;
}

function layOut(entry: Entry): LaidOut {
  const fields = fieldsOf(entry);
  const pax = new Map<string, Buffer>();
  for (const [name, value] of fields.xattrs) pax.set(xattrRecord(name, entry.path), value);

  const { name, prefix } = splitName(fields.name);
  if (name === undefined) pax.set('path', latin1(fields.name));
  const fitsLink = fields.link.length <= 100 && ascii.test(fields.link);
  if (!fitsLink) pax.set('linkpath', latin1(fields.link));
  const number = (keyword: string, value: number, max: number): number => {
    if (value >= 0 && value <= max) return value;
    pax.set(keyword, Buffer.from(String(value)));
    return 0;
  };

  const ustar: UstarFields = {
    name: name ?? legible(fields.name),
    prefix: prefix ?? '',
    link: fitsLink ? fields.link : legible(fields.link),
    flag: fields.flag,
    mode: fields.mode,
    uid: number('uid', fields.uid, maxOctal7),
    gid: number('gid', fields.gid, maxOctal7),
    size: number('size', fields.size, maxOctal11),
    seconds: number('mtime', fields.mtime.seconds, maxOctal11),
    major: fields.major,
    minor: fields.minor,
  };
  return { name: fields.name, ustar, pax };
}

function fieldsOf(entry: Entry): Fields {
  const defaults = { link: '', size: 0, major: 0, minor: 0, xattrs: noXattrs };
  if (entry.type === 'whiteout' || entry.type === 'opaque') {
    const name = entry.type === 'whiteout' ? whiteoutMarker(entry.path) : opaqueMarker(entry.path);
    return { ...defaults, name, flag: '0', mode: 0, uid: 0, gid: 0, mtime: { seconds: 0, nanoseconds: 0 } };
  }
  refuseReserved(entry.path);
  const { path, mode, uid, gid, mtime } = entry;
  const common = { ...defaults, name: path, mode, uid, gid, mtime, xattrs: entry.xattrs ?? noXattrs };
  switch (entry.type) {
    case 'file':
      return { ...common, flag: '0', size: entry.size };
    case 'hardlink':
      // The attributes are those of the file linked to, which carries them.
      return { ...common, flag: '1', link: entry.target, xattrs: noXattrs };
    case 'symlink':
      return { ...common, flag: '2', link: entry.target };
    case 'character':
      return { ...common, flag: '3', major: entry.major, minor: entry.minor };
    case 'block':
      return { ...common, flag: '4', major: entry.major, minor: entry.minor };
    case 'directory':
      return { ...common, flag: '5', name: path === '' ? './' : `${path}/` };
    case 'fifo':
      return { ...common, flag: '6' };
  }
}

function refuseReserved(path: ByteString): void {
  if (!path.includes(whiteoutPrefix)) return;
  if (path.split('/').some((component) => component.startsWith(whiteoutPrefix))) {
    throw new ToolError('LAYER_NAME_RESERVED', `${displayPath(path)} cannot be in a layer: .wh. marks deleted files`, {
      hint: 'give the file another name',
    });
  }
}

function xattrRecord(name: string, path: ByteString): string {
  if (name.includes('=')) {
    throw new ToolError(
      'LAYER_XATTR_UNSUPPORTED',
      `the extended attribute ${name} of ${displayPath(path)} cannot be in a layer: its name contains =`,
      { hint: 'remove it (setfattr -x) in the step that sets it' },
    );
  }
  return xattrKeyword + name;
}

/** Name and prefix for ustar; no name when they do not fit. */
function splitName(whole: string): { name?: string; prefix?: string } {
  if (!ascii.test(whole) || whole.length > 256) return {};
  if (whole.length <= 100) return { name: whole };
  const slash = whole.lastIndexOf('/', Math.min(155, whole.length - 2));
  if (slash <= 0 || whole.length - slash - 1 > 100) return {};
  return { name: whole.slice(slash + 1), prefix: whole.slice(0, slash) };
}

/** For readers that know no pax. */
function legible(text: string): string {
  return text.slice(0, 100).replace(/[^\x20-\x7e]/g, '_');
}

function paxHeader(name: string, body: Buffer): Buffer {
  const base = legible(name.replace(/\/$/, '').split('/').at(-1) ?? '').slice(0, 80);
  const block = ustarBlock({
    name: `PaxHeaders.0/${base}`,
    prefix: '',
    link: '',
    flag: 'x',
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: body.length,
    seconds: 0,
    major: 0,
    minor: 0,
  });
  return Buffer.concat([block, body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
}

type UstarFields = Omit<Fields, 'mtime' | 'xattrs'> & { readonly prefix: string; readonly seconds: number };

function ustarBlock(fields: UstarFields): Buffer {
  const block = Buffer.alloc(blockBytes);
  writeUstar(block, 0, fields);
  return block;
}

/** POSIX pax, "ustar Interchange Format". The 512 bytes at `at` are zeros before. */
function writeUstar(into: Buffer, at: number, fields: UstarFields): void {
  into.write(fields.name, at, 100, 'latin1');
  writeOctal(into, fields.mode & 0o7777, at + 100, 7);
  writeOctal(into, fields.uid, at + 108, 7);
  writeOctal(into, fields.gid, at + 116, 7);
  writeOctal(into, fields.size, at + 124, 11);
  writeOctal(into, fields.seconds, at + 136, 11);
  into.write(fields.flag, at + 156, 1, 'latin1');
  if (fields.link !== '') into.write(fields.link, at + 157, 100, 'latin1');
  into.write('ustar\x0000', at + 257, 8, 'latin1');
  writeOctal(into, fields.major, at + 329, 7);
  writeOctal(into, fields.minor, at + 337, 7);
  if (fields.prefix !== '') into.write(fields.prefix, at + 345, 155, 'latin1');
  // The field of the sum itself counts as eight spaces; what was not written is zeros.
  const written =
    sumOf(into, at, at + fields.name.length) +
    sumOf(into, at + 100, at + 148) +
    sumOf(into, at + 156, at + 157 + fields.link.length) +
    sumOf(into, at + 257, at + 345 + fields.prefix.length);
  writeOctal(into, 8 * 0x20 + written, at + 148, 6);
  into[at + 155] = 0x20;
}

function sumOf(bytes: Buffer, from: number, to: number): number {
  let sum = 0;
  for (let index = from; index < to; index++) sum += bytes[index] ?? 0;
  return sum;
}

/** By hand: a header has eight numbers, a layer many headers. */
function writeOctal(into: Buffer, value: number, at: number, digits: number): void {
  let rest = value;
  for (let index = at + digits - 1; index >= at; index--) {
    into[index] = 0x30 + (rest % 8);
    rest = Math.floor(rest / 8);
  }
}

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

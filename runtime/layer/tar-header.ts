import { ToolError } from '../../core/index.ts';
import type { FileTime } from './entry.ts';
import { type PaxRecords, parsePax, xattrKeyword } from './pax.ts';

/** One member of an archive as it is written there; names are raw bytes as latin1 and not yet judged. */
export interface TarHeader {
  readonly type: 'file' | 'hardlink' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo';
  readonly name: string;
  readonly link: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: FileTime;
  /** Bytes that follow; 0 for all but files. */
  readonly size: number;
  readonly major: number;
  readonly minor: number;
  readonly xattrs: ReadonlyMap<string, Buffer>;
}

/** What 512 bytes turned out to be. */
export type TarBlock =
  | { readonly kind: 'entry'; readonly header: TarHeader }
  | { readonly kind: 'extension'; readonly size: number }
  | { readonly kind: 'nothing' };

/** Names, link targets and attributes of one file; Go's reader, and with it every peer, has the same limit. */
const maxExtensionBytes = 1024 * 1024;
/** Keywords that would change what files are, if a global header were honoured: no peer honours them. */
const unsafeGlobally = /^(?:path|linkpath|size|uid|gid|SCHILY\.xattr\..*|GNU\.sparse\..*)$/s;
const types: Readonly<Record<string, TarHeader['type']>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
  '7': 'file',
};

/**
 * Understands the blocks of a hostile archive: ustar, pax and GNU headers, and those of before ustar. Two blocks of
 * zeros end it, whatever follows. Global pax headers are ignored, as every peer does.
 */
export class TarHeaderReader {
  #extension: 'x' | 'g' | 'L' | 'K' | undefined;
  #pax: PaxRecords | undefined;
  #longName: string | undefined;
  #longLink: string | undefined;
  #zeroBlocks = 0;

  /** True while a header has announced a member that has not come yet. */
  get isIncomplete(): boolean {
    return this.#pax !== undefined || this.#longName !== undefined || this.#longLink !== undefined;
  }

  get hasEnded(): boolean {
    return this.#zeroBlocks >= 2;
  }

  /** @throws ToolError LAYER_INVALID, LAYER_UNSUPPORTED */
  block(block: Buffer): TarBlock {
    if (this.hasEnded) return { kind: 'nothing' };
    if (isZero(block)) {
      this.#zeroBlocks++;
      return { kind: 'nothing' };
    }
    this.#zeroBlocks = 0;
    checkSum(block);
    const flag = block.toString('latin1', 156, 157);
    if (flag === 'x' || flag === 'g' || flag === 'L' || flag === 'K') {
      const size = field(block, 124, 12, 'size');
      if (size > maxExtensionBytes) throw invalid(`a header of ${size} bytes is over the limit`);
      this.#extension = flag;
      return { kind: 'extension', size };
    }
    const type = types[flag];
    if (type === undefined) throw unsupported(flag);
    return { kind: 'entry', header: this.#header(block, type, flag) };
  }

  /** Takes the body that a block announced as an extension. @throws ToolError LAYER_INVALID, LAYER_UNSUPPORTED */
  extension(body: Buffer): void {
    switch (this.#extension) {
      case 'L':
        this.#longName = upToNul(body);
        break;
      case 'K':
        this.#longLink = upToNul(body);
        break;
      case 'x':
        this.#pax = parsePax(body);
        break;
      default:
        for (const keyword of parsePax(body).keys()) {
          if (unsafeGlobally.test(keyword)) throw unsupported(`a global ${keyword}`);
        }
    }
  }

  #header(block: Buffer, type: TarHeader['type'], flag: string): TarHeader {
    const pax = this.#pax ?? new Map<string, Buffer>();
    for (const keyword of pax.keys()) if (keyword.startsWith('GNU.sparse.')) throw unsupported('S');
    const name = text(pax, 'path') ?? this.#longName ?? nameOf(block);
    const link = text(pax, 'linkpath') ?? this.#longLink ?? upToNul(block.subarray(157, 257));
    this.#pax = undefined;
    this.#longName = undefined;
    this.#longLink = undefined;
    const isDevice = type === 'character' || type === 'block';
    return {
      // Before ustar there was no type for directories.
      type: flag === '\0' && name.endsWith('/') ? 'directory' : type,
      name,
      link,
      mode: field(block, 100, 8, 'mode') & 0o7777,
      uid: id(pax, 'uid') ?? field(block, 108, 8, 'uid'),
      gid: id(pax, 'gid') ?? field(block, 116, 8, 'gid'),
      mtime: time(pax) ?? { seconds: signedField(block, 136, 12, 'mtime'), nanoseconds: 0 },
      // Only files have content, whatever the header says.
      size: type === 'file' ? (id(pax, 'size') ?? field(block, 124, 12, 'size')) : 0,
      major: isDevice ? field(block, 329, 8, 'devmajor') : 0,
      minor: isDevice ? field(block, 337, 8, 'devminor') : 0,
      xattrs: xattrs(pax),
    };
  }
}

function nameOf(block: Buffer): string {
  const name = upToNul(block.subarray(0, 100));
  const isUstar = block.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = isUstar ? upToNul(block.subarray(345, 500)) : '';
  return prefix === '' ? name : `${prefix}/${name}`;
}

function xattrs(pax: PaxRecords): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (const [keyword, value] of pax) {
    if (keyword.startsWith(xattrKeyword)) found.set(keyword.slice(xattrKeyword.length), value);
  }
  return found;
}

/** An empty value takes a record back. */
function text(pax: PaxRecords, keyword: string): string | undefined {
  const value = pax.get(keyword)?.toString('latin1');
  return value === '' ? undefined : value;
}

function id(pax: PaxRecords, keyword: string): number | undefined {
  const value = text(pax, keyword);
  if (value === undefined) return undefined;
  const number = Number(value);
  if (!/^[0-9]+$/.test(value) || !Number.isSafeInteger(number)) throw invalid(`${keyword} is not a number`);
  return number;
}

function time(pax: PaxRecords): FileTime | undefined {
  const value = text(pax, 'mtime');
  if (value === undefined) return undefined;
  const match = /^(-?)([0-9]{1,15})(?:\.([0-9]*))?$/.exec(value);
  if (match === null) throw invalid('mtime is not a time');
  const [, sign, whole, fraction = ''] = match;
  const seconds = Number(whole);
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'));
  if (sign !== '-') return { seconds, nanoseconds };
  return nanoseconds === 0
    ? { seconds: seconds === 0 ? 0 : -seconds, nanoseconds }
    : { seconds: -seconds - 1, nanoseconds: 1e9 - nanoseconds };
}

function field(block: Buffer, at: number, length: number, what: string): number {
  const value = signedField(block, at, length, what);
  if (value < 0) throw invalid(`${what} is negative`);
  return value;
}

/** Octal digits, or GNU's two's complement when the first bit is set. */
function signedField(block: Buffer, at: number, length: number, what: string): number {
  const first = block[at] ?? 0;
  if ((first & 0x80) !== 0) {
    let value = BigInt.asIntN(7, BigInt(first & 0x7f));
    for (let i = at + 1; i < at + length; i++) value = value * 256n + BigInt(block[i] ?? 0);
    const number = Number(value);
    if (!Number.isSafeInteger(number)) throw invalid(`${what} is out of range`);
    return number;
  }
  const digits = /^[ \0]*([0-7]*)[ \0]*/.exec(block.toString('latin1', at, at + length));
  if (digits === null || digits[0].length !== length) throw invalid(`${what} is not an octal number`);
  return digits[1] === '' ? 0 : Number.parseInt(digits[1] ?? '', 8);
}

/** Of bytes taken as unsigned, and, from some old writers, as signed. */
function checkSum(block: Buffer): void {
  let unsigned = 8 * 0x20;
  let signed = unsigned;
  for (let i = 0; i < 512; i++) {
    if (i >= 148 && i < 156) continue;
    const byte = block[i] ?? 0;
    unsigned += byte;
    signed += byte < 128 ? byte : byte - 256;
  }
  const stored = field(block, 148, 8, 'checksum');
  if (stored !== unsigned && stored !== signed) throw invalid('a header has a wrong checksum');
}

const zeros = Buffer.alloc(512);
function isZero(block: Buffer): boolean {
  return block.equals(zeros);
}

function upToNul(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end === -1 ? bytes.length : end);
}

function invalid(why: string): ToolError {
  return new ToolError('LAYER_INVALID', `the layer is not a valid tar archive: ${why}`, {
    hint: 'the image is damaged; pull it again or tell who published it',
  });
}

function unsupported(flag: string): ToolError {
  const what = flag === 'S' ? 'a GNU sparse file' : flag.length === 1 ? `type ${JSON.stringify(flag)}` : flag;
  return new ToolError('LAYER_UNSUPPORTED', `the layer holds ${what}, which no layer should`, {
    hint: 'have the image written again with plain tar entries (GNU tar: without --sparse)',
  });
}

import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { type DiffId, parseDiffId } from '../../core/index.ts';
import { encodeLayer } from './encode.ts';
import { type ByteString, byteString, byteStringOf, bytesOf, type Entry } from './entry.ts';

// Every edge case known to have broken a peer, as two layers in bytewise order.

const capNetRaw = Buffer.from('0100000200200000000000000000000000000000', 'hex');
const capByte128 = Buffer.from('0100000280000000000000000000000000000000', 'hex');

type Odd = Partial<Omit<Extract<Entry, { type: 'file' }>, 'path' | 'type' | 'content' | 'size'>>;

function metadata(path: string | ByteString, odd: Odd) {
  return {
    path: path as ByteString,
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime: { seconds: 1_600_000_000, nanoseconds: 0 },
    ...odd,
  };
}

export function file(path: string, text: string | Buffer = path, odd: Odd = {}): Entry {
  const bytes = Buffer.from(text);
  return { ...metadata(path, odd), type: 'file', size: bytes.length, content: { kind: 'bytes', bytes } };
}

export function directory(path: string, odd: Odd = {}): Entry {
  return { ...metadata(path, { mode: 0o755, ...odd }), type: 'directory' };
}

export function symlink(path: string, target: string, odd: Odd = {}): Entry {
  return { ...metadata(path, { mode: 0o777, ...odd }), type: 'symlink', target: byteString(target) };
}

export function hardLink(path: string, target: string, odd: Odd = {}): Entry {
  return { ...metadata(path, odd), type: 'hardlink', target: target as ByteString };
}

export const whiteout = (path: string): Entry => ({ type: 'whiteout', path: path as ByteString });
export const opaque = (path: string): Entry => ({ type: 'opaque', path: path as ByteString });

const long = `long/${'n'.repeat(200)}/${'m'.repeat(200)}`;
const notUtf8 = byteStringOf(Buffer.from([0x62, 0xff, 0xfe]));

export const lowerLayer: readonly Entry[] = inOrder([
  directory('dir'),
  file('dir/gone'),
  file('dir/kept', 'lower'),
  directory('merged', { mode: 0o700, uid: 5 }),
  file('merged/lower'),
  directory('opaque'),
  directory('opaque/below'),
  file('opaque/below/hidden'),
  file('opaque/hidden'),
  file('replaced-by-dir'),
  directory('replaced-by-file'),
  file('replaced-by-file/inside'),
  directory('tree'),
  file('tree.sibling'),
  file('tree/inside'),
  directory('usr'),
  directory('usr/lib'),
  symlink('lib', 'usr/lib'),
]);

export function upperLayer(options: { readonly withDevices: boolean }): readonly Entry[] {
  const devices: Entry[] = [
    { ...metadata('dev-block', { mode: 0o660, gid: 6 }), type: 'block', major: 259, minor: 1_000_000 },
    { ...metadata('dev-null', { mode: 0o666 }), type: 'character', major: 1, minor: 3 },
  ];
  return inOrder([
    ...(options.withDevices ? devices : []),
    { ...file(notUtf8, 'not UTF-8') },
    file('binary-xattr', 'x', { xattrs: new Map([['user.binary', Buffer.from([0, 0xff, 0x0a, 0x3d])]]) }),
    file('capability', 'x', { mode: 0o755, xattrs: new Map([['security.capability', capNetRaw]]) }),
    file('capability-byte-128', 'x', { mode: 0o755, xattrs: new Map([['security.capability', capByte128]]) }),
    directory('dir'),
    whiteout('dir/gone'),
    file('empty', ''),
    { ...metadata('fifo', { mode: 0o622 }), type: 'fifo' },
    file('big', Buffer.alloc(3_000_000, 'kiln')),
    file('link-a', 'linked', { mode: 0o4755, uid: 33, gid: 33 }),
    hardLink('link-b', 'link-a', { mode: 0o4755, uid: 33, gid: 33 }),
    directory('long'),
    directory(`long/${'n'.repeat(200)}`),
    directory(long),
    file(`${long}/${'f'.repeat(200)}`),
    hardLink(`${long}/${'g'.repeat(200)}`, `${long}/${'f'.repeat(200)}`),
    directory('merged', { mode: 0o2775, gid: 7 }),
    file('merged/upper'),
    file('mode-000', 'secret', { mode: 0 }),
    directory('mode-000-dir', { mode: 0 }),
    file('mode-000-dir/inside', 'x', { mode: 0o400 }),
    file('new\nline'),
    directory('opaque'),
    opaque('opaque'),
    directory('opaque/below'),
    file('opaque/below/shown'),
    directory('replaced-by-dir'),
    opaque('replaced-by-dir'),
    file('replaced-by-file'),
    file('setuid', 'x', { mode: 0o6755, uid: 1000, gid: 1000 }),
    file('sparse', Buffer.concat([Buffer.alloc(1_000_000), Buffer.from('end')])),
    directory('sticky', { mode: 0o1777 }),
    symlink('symlink', '../ünïcode', { uid: 12, gid: 34 }),
    symlink('symlink-long', `/${'t'.repeat(300)}`),
    file('time-1960', 'x', { mtime: { seconds: -315_619_200, nanoseconds: 0 } }),
    file('time-2040', 'x', { mtime: { seconds: 2_208_988_800, nanoseconds: 0 } }),
    whiteout('tree'),
    file('uid-high', 'x', { uid: 60_000, gid: 65_000 }),
    ...(options.withDevices ? [file('uid-higher', 'x', { uid: 300_000, gid: 3_000_000 })] : []),
  ]);
}

/** Markers stand where the directory or file they speak of does. */
function inOrder(entries: readonly Entry[]): Entry[] {
  const rank = (entry: Entry) => (entry.type === 'opaque' ? 1 : 0);
  return entries.toSorted((a, b) => Buffer.compare(bytesOf(a.path), bytesOf(b.path)) || rank(a) - rank(b));
}

export async function tarOf(entries: Iterable<Entry> | AsyncIterable<Entry>): Promise<Buffer> {
  return Buffer.concat(await encodeLayer(Readable.from(entries)).toArray());
}

export function diffIdOf(tar: Buffer): DiffId {
  return parseDiffId(`sha256:${createHash('sha256').update(tar).digest('hex')}`);
}

export function streamOfTar(tar: Buffer): Readable {
  return Readable.from([tar], { objectMode: false });
}

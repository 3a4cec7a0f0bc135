import type { Readable } from 'node:stream';
import { type CallOptions, ToolError } from '../../core/index.ts';
import { type ByteString, displayPath, type Entry } from './entry.ts';
import { forEachMember, type MemberContent } from './framing.ts';
import { isOverlayXattr } from './overlay-xattr.ts';
import type { TarHeader } from './tar-header.ts';
import { markerOf } from './whiteout.ts';

const maxPathBytes = 4095;
/** Forty times the largest image known; bounds what a layer of empty files can make us remember. */
const maxEntries = 10_000_000;
/** The kernel has no more than 32 bits for either, and the highest means "unchanged". */
const maxId = 0xfffffffe;

/**
 * Understands a hostile layer: tar bytes, uncompressed, to entries in the archive's order. The visitor must be done
 * with an entry's `stream` content when it returns; what it leaves of it is skipped. The stream is read to its end.
 * Absolute names are taken as relative to the root, `..` is refused, overlayfs' own attributes are dropped.
 * @throws ToolError LAYER_INVALID, LAYER_UNSUPPORTED, LAYER_TRUNCATED; what the stream or the visitor throws
 */
export async function forEachEntry(
  tar: Readable,
  visit: (entry: Entry) => void | Promise<void>,
  options: CallOptions = {},
): Promise<void> {
  let count = 0;
  await forEachMember(
    tar,
    (header, content) => {
      if (++count > maxEntries) throw invalid(`it has more than ${maxEntries} entries`);
      const entry = entryOf(header, content);
      return entry === undefined ? undefined : visit(entry);
    },
    options,
  );
}

/** One member, understood; undefined for what is not a file of the image. @throws ToolError LAYER_INVALID */
export function entryOf(header: TarHeader, content: MemberContent | undefined): Entry | undefined {
  const path = cleanPath(header.name, 'name');
  const marker = markerOf(path);
  switch (marker.kind) {
    case 'aufs':
      return undefined;
    case 'malformed':
      throw invalid(`${displayPath(path)} is not a usable whiteout`);
    case 'opaque':
    case 'whiteout':
      // aufs made its whiteouts as hard links to each other.
      if (header.type !== 'file' && header.type !== 'hardlink') {
        throw invalid(`the whiteout ${displayPath(path)} is a ${header.type}`);
      }
      return { type: marker.kind, path: marker.path };
    case 'none':
      return plainEntry(header, path, content);
  }
}

function plainEntry(header: TarHeader, path: ByteString, content: MemberContent | undefined): Entry {
  const { type, mode, uid, gid, mtime } = header;
  if (uid > maxId || gid > maxId) throw invalid(`${displayPath(path)} has the owner ${uid}:${gid}`);
  if (path === '' && type !== 'directory') throw invalid(`its root is a ${type}`);
  const xattrs = new Map([...header.xattrs].filter(([name]) => isUsableXattr(name)));
  const metadata = { path, mode, uid, gid, mtime, ...(xattrs.size === 0 ? {} : { xattrs }) };
  switch (type) {
    case 'file': {
      const bytes = Buffer.alloc(0);
      return {
        ...metadata,
        type,
        size: header.size,
        content: content === undefined ? { kind: 'bytes', bytes } : { kind: 'stream', stream: content },
      };
    }
    case 'symlink':
      return { ...metadata, type, target: symlinkTarget(header.link, path) };
    case 'hardlink':
      return { ...metadata, type, target: hardLinkTarget(header.link, path) };
    case 'character':
    case 'block':
      if (header.major === 0 && header.minor === 0 && type === 'character') {
        throw invalid(`${displayPath(path)} is a device 0:0, overlayfs' own mark for deleted files`);
      }
      return { ...metadata, type, major: header.major, minor: header.minor };
    default:
      return { ...metadata, type };
  }
}

function isUsableXattr(name: string): boolean {
  return name !== '' && name.length <= 255 && !name.includes('\0') && !isOverlayXattr(name);
}

function symlinkTarget(target: string, path: ByteString): ByteString {
  if (target === '' || target.length > maxPathBytes || target.includes('\0')) {
    throw invalid(`the symbolic link ${displayPath(path)} has no usable target`);
  }
  return target as ByteString;
}

function hardLinkTarget(link: string, path: ByteString): ByteString {
  const target = cleanPath(link, 'hard link target');
  if (target === '' || markerOf(target).kind !== 'none') {
    throw invalid(`the hard link ${displayPath(path)} has no usable target`);
  }
  return target;
}

/** Without leading `/`, without `.` and empty components. */
function cleanPath(name: string, what: string): ByteString {
  if (name === '') throw invalid(`a ${what} is empty`);
  if (name.length > maxPathBytes + 1) throw invalid(`a ${what} has ${name.length} bytes`);
  if (name.includes('\0')) throw invalid(`a ${what} contains a zero byte`);
  const isClean = !/(?:^|\/)(?:\.{0,2})(?:\/|$)/.test(name);
  if (isClean) return name as ByteString;
  const components = name.split('/').filter((component) => component !== '' && component !== '.');
  if (components.includes('..')) {
    throw invalid(`the ${what} ${displayPath(name as ByteString)} leads out of the directory it is in`);
  }
  return components.join('/') as ByteString;
}

function invalid(why: string): ToolError {
  return new ToolError('LAYER_INVALID', `the layer cannot be used: ${why}`, {
    hint: 'the image is damaged or made to do harm; tell who published it',
  });
}

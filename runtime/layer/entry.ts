/**
 * A path or link target as its raw bytes, one character per byte (latin1), because names need not be UTF-8.
 * Paths of entries are relative to the root, without a leading `/`, `./` or trailing `/`, and never contain `.` or
 * `..` components; `''` is the root itself.
 */
export type ByteString = string & { readonly __bytes: true };

/** Seconds and nanoseconds since the epoch; seconds may be negative. */
export interface FileTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

interface Metadata {
  readonly path: ByteString;
  /** Permission bits with setuid, setgid and sticky: 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: FileTime;
  /** Raw values; never holds overlayfs' own marks. Sorted by name when written. */
  readonly xattrs?: ReadonlyMap<string, Buffer>;
}

export interface FileEntry extends Metadata {
  readonly type: 'file';
  /** Bytes. */
  readonly size: number;
  /** Where the bytes are: a file on disk, bytes at hand, or (out of an archive) a stream to be read at once. */
  readonly content: FileContent;
}

export type FileContent =
  | { readonly kind: 'disk'; readonly file: Buffer; readonly stamp?: FileStamp }
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'stream'; readonly stream: AsyncIterable<Buffer> };

/** What the file system said of a file when it was listed: whoever reads it makes sure that it still is that file. */
export interface FileStamp {
  readonly dev: number;
  /** Loses its last digits above 2^53: only together with the path does it tell files apart. */
  readonly ino: number;
  /** Milliseconds since the epoch, with a fraction. */
  readonly mtimeMs: number;
  readonly ctimeMs: number;
}

export interface DirectoryEntry extends Metadata {
  readonly type: 'directory';
}

export interface SymlinkEntry extends Metadata {
  readonly type: 'symlink';
  /** Stored as it is: may be absolute, may dangle. */
  readonly target: ByteString;
}

export interface HardLinkEntry extends Metadata {
  readonly type: 'hardlink';
  /** An earlier entry's path. */
  readonly target: ByteString;
}

export interface DeviceEntry extends Metadata {
  readonly type: 'character' | 'block';
  readonly major: number;
  readonly minor: number;
}

export interface FifoEntry extends Metadata {
  readonly type: 'fifo';
}

/** The path is gone from the layers below. image-spec, layer.md#whiteouts */
export interface WhiteoutEntry {
  readonly type: 'whiteout';
  readonly path: ByteString;
}

/** All that layers below have in this directory is gone. image-spec, layer.md#opaque-whiteout */
export interface OpaqueEntry {
  readonly type: 'opaque';
  readonly path: ByteString;
}

/** One change of a file system. A layer is an ordered `AsyncIterable<Entry>`. */
export type Entry =
  | FileEntry
  | DirectoryEntry
  | SymlinkEntry
  | HardLinkEntry
  | DeviceEntry
  | FifoEntry
  | WhiteoutEntry
  | OpaqueEntry;

/** The bytes of a text as UTF-8, in a ByteString. */
export function byteString(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('latin1') as ByteString;
}

export function byteStringOf(bytes: Buffer): ByteString {
  return bytes.toString('latin1') as ByteString;
}

export function bytesOf(text: ByteString): Buffer {
  return Buffer.from(text, 'latin1');
}

/** For people: invalid UTF-8 shows as U+FFFD, control characters as escapes. */
export function displayPath(path: ByteString): string {
  return bytesOf(path)
    .toString('utf8')
    .replace(/[\u0000-\u001f\u007f]/g, (character) => JSON.stringify(character).slice(1, -1));
}

import { bytesOf, type Entry } from './entry.ts';
import { isOverlayXattr } from './overlay-xattr.ts';
import type { ScanRecord } from './scan.ts';

const typeMask = 0o170000;

export type ScannedType = 'file' | 'directory' | 'symlink' | 'character' | 'block' | 'fifo';

const types: ReadonlyMap<number, ScannedType> = new Map([
  [0o100000, 'file'],
  [0o040000, 'directory'],
  [0o120000, 'symlink'],
  [0o020000, 'character'],
  [0o060000, 'block'],
  [0o010000, 'fifo'],
]);

/** Undefined for sockets. */
export function typeOfMode(mode: number): ScannedType | undefined {
  return types.get(mode & typeMask);
}

/** How overlayfs marks a deleted file. */
export function isWhiteout(record: Pick<ScanRecord, 'mode' | 'major' | 'minor'>): boolean {
  return typeOfMode(record.mode) === 'character' && record.major === 0 && record.minor === 0;
}

/** The entry for a file found in `directory`; overlayfs' own marks are left out. */
export function scannedEntry(record: ScanRecord, type: ScannedType, directory: Buffer): Entry {
  const { path, mode, uid, gid, mtime } = record;
  const xattrs = new Map([...record.xattrs].filter(([name]) => !isOverlayXattr(name)));
  const metadata = { path, mode: mode & 0o7777, uid, gid, mtime, ...(xattrs.size === 0 ? {} : { xattrs }) };
  switch (type) {
    case 'file': {
      const file = Buffer.concat([directory, Buffer.from('/'), bytesOf(path)]);
      return { ...metadata, type, size: record.size, content: { kind: 'disk', file } };
    }
    case 'symlink':
      return { ...metadata, type, target: record.target };
    case 'character':
    case 'block':
      return { ...metadata, type, major: record.major, minor: record.minor };
    default:
      return { ...metadata, type };
  }
}

/** Turns each name of a file after its first into a hard link to that. */
export class HardLinks {
  readonly #first = new Map<string, Entry>();

  entry(record: ScanRecord, entry: Entry, scope = ''): Entry {
    if (record.links < 2 || entry.type === 'directory') return entry;
    const identity = scope + record.identity;
    const first = this.#first.get(identity);
    if (first === undefined) {
      this.#first.set(identity, entry);
      return entry;
    }
    const { path, mode, uid, gid, mtime } = { ...record, mode: record.mode & 0o7777 };
    return { type: 'hardlink', path, mode, uid, gid, mtime, target: first.path };
  }
}

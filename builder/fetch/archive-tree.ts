import { ToolError } from '../../core/index.ts';
import { type ByteString, displayPath, type Entry } from '../../runtime/index.ts';

type Kept = Extract<Entry, { type: 'file' | 'directory' | 'symlink' }>;
type Inode = Exclude<Kept, { type: 'directory' }>;
type Node =
  | { readonly kind: 'directory'; entry: Kept; children: number }
  | { readonly kind: 'leaf'; readonly inode: Inode };

/** What a machine marks files with for itself, such as SELinux labels, says nothing on another one. */
const keptXattrs = /^(?:security\.capability$|user\.)/;

/**
 * The tree that an archive describes, whatever the order and repetitions in it: what unpacking it into an empty folder
 * would give. Nothing is written through a link of the archive's own, so nothing can leave the folder.
 */
export class ArchiveTree {
  readonly #nodes = new Map<ByteString, Node>();
  readonly #maxEntries: number;

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  /** @throws ToolError FETCH_ARCHIVE_INVALID, FETCH_ARCHIVE_DEVICE, FETCH_ARCHIVE_TOO_LARGE */
  add(entry: Entry): void {
    const { path } = entry;
    if (entry.type === 'whiteout' || entry.type === 'opaque') {
      throw invalid(`${displayPath(path)} is marked with a name that begins with .wh., which no layer can hold`);
    }
    if (entry.type !== 'hardlink' && !isKept(entry)) throw device(entry);
    if (path === '') return;
    if (this.#nodes.size >= this.#maxEntries) {
      throw new ToolError('FETCH_ARCHIVE_TOO_LARGE', `it has more than ${this.#maxEntries} entries`);
    }
    this.#makeParents(path);
    if (entry.type === 'hardlink') this.#addLeaf(path, this.#inodeAt(entry.target, path));
    else if (entry.type === 'directory') this.#addDirectory(withoutOdd(entry));
    else this.#addLeaf(path, withoutOdd<Inode>(entry));
  }

  /** Parents before children; the first name of a file carries its content, the others are hard links to it. */
  entries(): Entry[] {
    const named = new Map<Inode, ByteString>();
    const sorted = [...this.#nodes].sort(([a], [b]) => (a < b ? -1 : 1));
    return sorted.map(([path, node]): Entry => {
      if (node.kind === 'directory') return { ...node.entry, path };
      const { inode } = node;
      const first = inode.type === 'file' ? named.get(inode) : undefined;
      if (first === undefined) {
        named.set(inode, path);
        return { ...inode, path };
      }
      const { mode, uid, gid, mtime } = inode;
      return { type: 'hardlink', path, target: first, mode, uid, gid, mtime };
    });
  }

  #makeParents(path: ByteString): void {
    for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) {
      const parent = path.slice(0, at) as ByteString;
      const found = this.#nodes.get(parent);
      if (found === undefined)
        this.#insert(parent, { kind: 'directory', entry: impliedDirectory(parent), children: 0 });
      else if (found.kind !== 'directory') {
        throw invalid(`${displayPath(path)} would be written through ${displayPath(parent)}, which is no directory`);
      }
    }
  }

  #addDirectory(entry: Extract<Kept, { type: 'directory' }>): void {
    const found = this.#nodes.get(entry.path);
    if (found?.kind === 'directory') found.entry = entry;
    else this.#insert(entry.path, { kind: 'directory', entry, children: 0 });
  }

  #addLeaf(path: ByteString, inode: Inode): void {
    const found = this.#nodes.get(path);
    if (found?.kind === 'directory' && found.children > 0) {
      throw invalid(`${displayPath(path)} is a directory with content first, and then a ${inode.type}`);
    }
    this.#insert(path, { kind: 'leaf', inode });
  }

  #insert(path: ByteString, node: Node): void {
    const parent = path.includes('/') ? this.#nodes.get(path.slice(0, path.lastIndexOf('/')) as ByteString) : undefined;
    if (parent?.kind === 'directory' && !this.#nodes.has(path)) parent.children += 1;
    this.#nodes.set(path, node);
  }

  #inodeAt(target: ByteString, path: ByteString): Inode {
    const found = this.#nodes.get(target);
    if (found?.kind === 'leaf') return found.inode;
    throw invalid(`${displayPath(path)} is a hard link to ${displayPath(target)}, which is no file before it`);
  }
}

function withoutOdd<E extends Kept>(entry: E): E {
  const { xattrs, ...rest } = entry;
  const kept = [...(xattrs ?? [])].filter(([name]) => keptXattrs.test(name));
  return { ...rest, ...(kept.length === 0 ? {} : { xattrs: new Map(kept) }) } as E;
}

function impliedDirectory(path: ByteString): Extract<Kept, { type: 'directory' }> {
  return { type: 'directory', path, mode: 0o755, uid: 0, gid: 0, mtime: { seconds: 1, nanoseconds: 0 } };
}

function isKept(entry: Entry): entry is Kept {
  return entry.type === 'file' || entry.type === 'directory' || entry.type === 'symlink';
}

function device({ path, type }: Entry): ToolError {
  const what = type === 'fifo' ? 'a FIFO' : `a ${type} device`;
  return new ToolError('FETCH_ARCHIVE_DEVICE', `${displayPath(path)} in it is ${what}, which is not unpacked`);
}

function invalid(why: string): ToolError {
  return new ToolError('FETCH_ARCHIVE_INVALID', why);
}

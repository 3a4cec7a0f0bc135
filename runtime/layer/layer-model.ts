import { ToolError } from '../../core/index.ts';
import { type ByteString, type DirectoryEntry, displayPath, type Entry, type HardLinkEntry } from './entry.ts';
import { nameOf, parentOf } from './whiteout.ts';

/** Which of the merged files has the content, and where in it. */
export interface ContentPlace {
  readonly file: string;
  readonly offset: number;
}

/** What several names may share: everything of a file but its name. `S` says where its content is, or what. */
export interface Inode<S = ContentPlace> {
  readonly entry: Exclude<Entry, { type: 'directory' | 'hardlink' | 'whiteout' | 'opaque' }>;
  readonly source: S;
}

export interface LeafNode<S = ContentPlace> {
  readonly kind: 'leaf';
  readonly inode: Inode<S>;
}

export interface DirectoryNode<S = ContentPlace> {
  readonly kind: 'directory';
  /** Undefined while no entry described it: it is as the layers below have it. */
  described: DirectoryEntry | undefined;
  /** Hides what the layers below have in it. */
  isOpaque: boolean;
  readonly children: Map<string, LayerNode<S>>;
}

/** What is at a path: of one layer, or of several merged. */
export type LayerNode<S = ContentPlace> = LeafNode<S> | DirectoryNode<S> | { readonly kind: 'whiteout' };

const whiteout = { kind: 'whiteout' } as const;
const maxLinks = 40;
/** PATH_MAX, without its zero. */
const maxPathBytes = 4095;

export function emptyDirectory<S = ContentPlace>(): DirectoryNode<S> {
  return { kind: 'directory', described: undefined, isOpaque: false, children: new Map() };
}

/**
 * What a layer leaves behind when it is applied to an empty directory, by the rules of `applyLayer`, without touching a
 * disk: symbolic links on the way are followed within the layer, missing parents are made, later entries replace
 * earlier ones, whiteouts speak of the layers below only.
 */
export class LayerModel<S = ContentPlace> {
  readonly root = emptyDirectory<S>();
  #cachedPath: ByteString | undefined;
  #cached = this.root;

  /** @throws ToolError LAYER_INVALID */
  add(entry: Entry, source: S): void {
    if (entry.type === 'opaque') {
      this.#directoryAt(entry.path).isOpaque = true;
      return;
    }
    if (entry.path === '') {
      if (entry.type === 'directory') this.root.described = entry;
      return;
    }
    const parent = this.#parent(parentOf(entry.path));
    const name = nameOf(entry.path);
    switch (entry.type) {
      case 'whiteout':
        this.#addWhiteout(parent, name);
        return;
      case 'directory':
        this.#makeDirectory(parent, name).described = entry;
        return;
      case 'hardlink':
        this.#addLink(parent, name, entry);
        return;
      default:
        this.#put(parent, name, { kind: 'leaf', inode: { entry, source } });
    }
  }

  #addWhiteout(parent: DirectoryNode<S>, name: string): void {
    const here = parent.children.get(name);
    if (here === undefined) parent.children.set(name, whiteout);
    else if (here.kind === 'directory') here.isOpaque = true;
  }

  /** What was there before hid the layers below, and a directory in its place still does. */
  #makeDirectory(parent: DirectoryNode<S>, name: string): DirectoryNode<S> {
    const here = parent.children.get(name);
    if (here?.kind === 'directory') return here;
    const made = emptyDirectory<S>();
    made.isOpaque = here !== undefined;
    this.#put(parent, name, made);
    return made;
  }

  #addLink(parent: DirectoryNode<S>, name: string, link: HardLinkEntry): void {
    const found = this.#linked(link);
    const here = parent.children.get(name);
    this.#put(parent, name, found);
    // What was in a directory in its place went away with that.
    if (here?.kind === 'directory' && this.#linked(link) !== found) throw dangling(link);
  }

  #linked(link: HardLinkEntry): LeafNode<S> {
    const found = this.#parent(parentOf(link.target)).children.get(nameOf(link.target));
    if (found?.kind === 'leaf') return found;
    throw dangling(link);
  }

  #put(parent: DirectoryNode<S>, name: string, node: LayerNode<S>): void {
    // A path may lead elsewhere now.
    if (parent.children.has(name)) this.#cachedPath = undefined;
    parent.children.set(name, node);
  }

  /** Neighbours in a layer mostly share their parent. */
  #parent(path: ByteString): DirectoryNode<S> {
    if (path === this.#cachedPath) return this.#cached;
    const found = this.#directoryAt(path);
    this.#cachedPath = path;
    this.#cached = found;
    return found;
  }

  /** Makes what is missing; `..` of a link's target is the real parent, and that of the root the root. */
  #directoryAt(path: ByteString): DirectoryNode<S> {
    const pending = path.split('/').reverse();
    const way: { readonly name: string; readonly node: DirectoryNode<S> }[] = [];
    let length = 0;
    for (let links = 0; pending.length > 0; ) {
      const name = pending.pop() ?? '';
      if (name === '' || name === '.') continue;
      if (name === '..') {
        length -= way.pop()?.name.length ?? 0;
        continue;
      }
      const parent = way.at(-1)?.node ?? this.root;
      const here = parent.children.get(name);
      if (here?.kind === 'leaf') {
        if (here.inode.entry.type !== 'symlink' || ++links > maxLinks) throw notADirectory(path);
        const { target } = here.inode.entry;
        if (target.startsWith('/')) {
          way.length = 0;
          length = 0;
        }
        pending.push(...target.split('/').reverse());
        continue;
      }
      way.push({ name, node: this.#makeDirectory(parent, name) });
      length += name.length;
      if (length + way.length > maxPathBytes) throw notADirectory(path);
    }
    return way.at(-1)?.node ?? this.root;
  }
}

/** Lays a layer over those below it; both change, and `lower` takes parts of `upper` over. */
export function overlay<S>(lower: DirectoryNode<S>, upper: DirectoryNode<S>): void {
  describeDirectories(upper, lower, false);
  merge(lower, upper);
}

/**
 * Directories that a layer needed and did not describe are those of the layers below, hidden or not, as for a snapshot;
 * where there are none, and none can be further below, they are new.
 */
function describeDirectories<S>(upper: DirectoryNode<S>, lower: LayerNode<S> | undefined, isHidden: boolean): void {
  const isCutOff = isHidden || (lower !== undefined && (lower.kind !== 'directory' || lower.isOpaque));
  for (const [name, node] of upper.children) {
    if (node.kind !== 'directory') continue;
    const below = lower?.kind === 'directory' ? lower.children.get(name) : undefined;
    if (below?.kind === 'directory') node.described ??= below.described;
    else if (below !== undefined || isCutOff) node.described ??= undescribed('' as ByteString);
    describeDirectories(node, below, isCutOff);
  }
}

function merge<S>(lower: DirectoryNode<S>, upper: DirectoryNode<S>): void {
  if (upper.isOpaque) {
    lower.children.clear();
    lower.isOpaque = true;
  }
  lower.described = upper.described ?? lower.described;
  for (const [name, node] of upper.children) {
    const below = lower.children.get(name);
    if (node.kind === 'directory' && below?.kind === 'directory') {
      merge(below, node);
      continue;
    }
    // What a file or a whiteout hid stays hidden by the directory that takes its place.
    if (node.kind === 'directory' && below !== undefined) node.isOpaque = true;
    lower.children.set(name, node);
  }
}

/** A directory that no layer describes, as `applyLayer` makes it. */
export function undescribed(path: ByteString): DirectoryEntry {
  return { type: 'directory', path, mode: 0o755, uid: 0, gid: 0, mtime: { seconds: 1, nanoseconds: 0 } };
}

function dangling({ path }: HardLinkEntry): ToolError {
  return new ToolError('LAYER_INVALID', `the hard link ${displayPath(path)} leads to no file of its layer`);
}

function notADirectory(path: ByteString): ToolError {
  return new ToolError(
    'LAYER_INVALID',
    `${displayPath(path)} of the layer is no directory, though files are put there`,
  );
}

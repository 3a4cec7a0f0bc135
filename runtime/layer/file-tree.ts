import { type ByteString, byteString, type Entry } from './entry.ts';
import { type DirectoryNode, emptyDirectory, LayerModel, type LayerNode, overlay, undescribed } from './layer-model.ts';
import type { ListedContent, ListedEntry } from './list-layer.ts';

/** What is at a path. */
export type TreeNode =
  | {
      readonly kind: 'leaf';
      readonly entry: Exclude<Entry, { type: 'whiteout' | 'opaque' }>;
      readonly content?: ListedContent;
    }
  | {
      readonly kind: 'directory';
      /** Undefined where the layers at hand only put something into it. */
      readonly entry: (Entry & { readonly type: 'directory' }) | undefined;
      /** It hides what layers below have in it. */
      readonly isOpaque: boolean;
    }
  /** It hides what layers below have here. */
  | { readonly kind: 'whiteout' };

/** Symbolic links on the way to one file, as in Linux. */
const maxLinks = 40;

/**
 * The file system that layers make, by names and metadata. Without the lowest layers it is what the others say: then
 * there are whiteouts in it, and directories that no entry describes.
 */
export class FileTree {
  readonly #root: DirectoryNode<ListedContent | undefined>;

  private constructor(root: DirectoryNode<ListedContent | undefined>) {
    this.#root = root;
  }

  /**
   * @param layers lowest first
   * @param isComplete nothing lies below
   * @throws ToolError LAYER_INVALID
   */
  static of(layers: Iterable<readonly ListedEntry[]>, { isComplete }: { readonly isComplete: boolean }): FileTree {
    const root = emptyDirectory<ListedContent | undefined>();
    for (const listed of layers) {
      const model = new LayerModel<ListedContent | undefined>();
      for (const { entry, content } of listed) model.add(entry, content);
      overlay(root, model.root);
    }
    if (isComplete) completeDirectory(root);
    return new FileTree(root);
  }

  /** What is at a path, symbolic links on the way and at its end followed; undefined for nothing or a link astray. */
  find(path: string): TreeNode | undefined {
    const found = this.#resolve(byteString(path));
    return found === undefined ? undefined : shown(found);
  }

  /** Names in a directory, sorted; none where there is no directory. */
  names(path: string): string[] {
    const found = this.#resolve(byteString(path));
    return found?.kind === 'directory' ? [...found.children.keys()].sort() : [];
  }

  /** What the layers at hand say of the very path; undefined when they say nothing. */
  at(path: ByteString): TreeNode | undefined {
    let node: Node | undefined = this.#root;
    for (const name of path === '' ? [] : path.split('/')) {
      node = node?.kind === 'directory' ? node.children.get(name) : undefined;
    }
    return node === undefined ? undefined : shown(node);
  }

  /** Two trees side by side, directory by directory, names in bytewise order. The roots come first. */
  *beside(other: FileTree): Generator<PathPair, void> {
    yield* pairs(this.#root, other.#root);
  }

  /** Everything in it, as `beside` orders it. */
  *paths(): Generator<{ readonly path: ByteString; readonly node: TreeNode }, void> {
    for (const { path, before } of pairs(this.#root, undefined)) {
      if (before !== undefined) yield { path, node: before };
    }
  }

  #resolve(path: ByteString): LayerNode<ListedContent | undefined> | undefined {
    const pending = path.split('/').reverse();
    const way: LayerNode<ListedContent | undefined>[] = [];
    for (let links = 0; pending.length > 0; ) {
      const name = pending.pop() ?? '';
      if (name === '' || name === '.') continue;
      if (name === '..') {
        way.pop();
        continue;
      }
      const parent = way.at(-1) ?? this.#root;
      const here = parent.kind === 'directory' ? parent.children.get(name) : undefined;
      if (here === undefined || here.kind === 'whiteout') return undefined;
      if (here.kind === 'leaf' && here.inode.entry.type === 'symlink') {
        if (++links > maxLinks) return undefined;
        const { target } = here.inode.entry;
        if (target.startsWith('/')) way.length = 0;
        pending.push(...target.split('/').reverse());
        continue;
      }
      way.push(here);
    }
    return way.at(-1) ?? this.#root;
  }
}

export interface PathPair {
  readonly path: ByteString;
  readonly before: TreeNode | undefined;
  readonly after: TreeNode | undefined;
}

type Node = LayerNode<ListedContent | undefined>;

/** Without recursion: a stranger's folders may lie two thousand deep. */
function* pairs(before: Node | undefined, after: Node | undefined): Generator<PathPair, void> {
  const pending = [{ path: '' as ByteString, before, after }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { path, before: was, after: is } = next;
    yield { path, before: was && shown(was), after: is && shown(is) };
    const [old, fresh] = [childrenOf(was), childrenOf(is)];
    const prefix = path === '' ? '' : `${path}/`;
    for (const name of [...new Set([...old.keys(), ...fresh.keys()])].sort().reverse()) {
      pending.push({ path: `${prefix}${name}` as ByteString, before: old.get(name), after: fresh.get(name) });
    }
  }
}

const noChildren: ReadonlyMap<string, Node> = new Map();

function childrenOf(node: Node | undefined): ReadonlyMap<string, Node> {
  return node?.kind === 'directory' ? node.children : noChildren;
}

function shown(node: Node): TreeNode {
  switch (node.kind) {
    case 'whiteout':
      return node;
    case 'directory':
      return { kind: 'directory', entry: node.described, isOpaque: node.isOpaque };
    case 'leaf': {
      const { entry, source } = node.inode;
      return { kind: 'leaf', entry, ...(source === undefined ? {} : { content: source }) };
    }
  }
}

/** Marks that hide nothing go, and every directory is described. */
function completeDirectory(directory: DirectoryNode<ListedContent | undefined>): void {
  directory.isOpaque = false;
  directory.described ??= undescribed('' as ByteString);
  for (const [name, node] of directory.children) {
    if (node.kind === 'whiteout') directory.children.delete(name);
    else if (node.kind === 'directory') completeDirectory(node);
  }
}

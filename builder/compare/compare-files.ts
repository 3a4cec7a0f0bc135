import { displayPath, type FileTree, type PathPair, type TreeNode } from '../../runtime/index.ts';
import { type Attributes, entryAttributes } from '../verify/entry-attributes.ts';

/** What is known of one file. */
export interface FileFacts {
  readonly type: string;
  /** Four octal digits. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  /** Bytes; of files. */
  readonly size?: number;
  /** Digest of a file's bytes. */
  readonly content?: string;
  /** Of symbolic links. */
  readonly target?: string;
  /** `major:minor` */
  readonly device?: string;
  /** Seconds since the epoch. */
  readonly mtime: string;
  /** Values in base64, by name. */
  readonly xattrs?: Readonly<Record<string, string>>;
}

/** One path that two images do not have alike. */
export interface FileChange {
  /** Absolute. */
  readonly path: string;
  readonly change: 'added' | 'removed' | 'changed';
  /** Undefined where there was nothing, and for what layers that were not read have. */
  readonly before?: FileFacts;
  readonly after?: FileFacts;
  /** What of a changed file differs: `type mode uid gid size content target device`, `xattr NAME`, `mtime`. */
  readonly attributes?: readonly string[];
}

export interface CompareFilesOptions {
  /** Files that differ in nothing but their time count too. */
  readonly times?: boolean;
  /** Only these paths and what is below them; absolute or not. */
  readonly below?: readonly string[];
}

/**
 * What differs between two trees, directory by directory. Trees of upper layers only: what one of them alone has counts as
 * added or removed, and directories that only lead to something do not count.
 */
export function* changedFiles(
  before: FileTree,
  after: FileTree,
  options: CompareFilesOptions & { readonly isComplete: boolean },
): Generator<FileChange, void> {
  const wanted = (options.below ?? []).map((text) => text.replace(/^\/+|\/+$/g, ''));
  for (const pair of before.beside(after)) {
    const shown = displayPath(pair.path);
    if (
      wanted.length > 0 &&
      !wanted.some((prefix) => prefix === '' || shown === prefix || shown.startsWith(`${prefix}/`))
    )
      continue;
    const change = changeOf(pair, options);
    if (change !== undefined) yield { path: `/${shown}`, ...change };
  }
}

/** Every path of which two trees do not say the same, but for times. */
export function* differingPaths(before: FileTree, after: FileTree, { isComplete }: { readonly isComplete: boolean }) {
  for (const pair of before.beside(after)) {
    const change = changeOf(pair, { isComplete });
    if (change !== undefined) yield { ...pair, change: change.change };
  }
}

/** What of two entries at one path differs, as `FileChange.attributes` has it; times last. */
export function differingAttributes(before: TreeNode, after: TreeNode): readonly string[] {
  const [was, is] = [attributesOf(before), attributesOf(after)];
  if (was === undefined || is === undefined) return was === is ? [] : ['type'];
  const names = [...new Set([...was.keys(), ...is.keys()])].filter((name) => was.get(name) !== is.get(name));
  // Links have no rights of their own: every writer puts there what it likes.
  const areLinks = was.get('type') === 'symlink' && is.get('type') === 'symlink';
  return areLinks ? names.filter((name) => name !== 'mode') : names;
}

function changeOf(
  { before, after }: PathPair,
  { isComplete, times }: CompareFilesOptions & { readonly isComplete: boolean },
): Omit<FileChange, 'path'> | undefined {
  const [was, is] = [factsOf(before), factsOf(after)];
  if (was !== undefined && is !== undefined && before !== undefined && after !== undefined) {
    const attributes = differingAttributes(before, after);
    const counts = attributes.some((name) => times === true || name !== 'mtime');
    return counts ? { change: 'changed', before: was, after: is, attributes } : undefined;
  }
  if (isComplete) {
    if (is !== undefined) return { change: 'added', after: is };
    return was === undefined ? undefined : { change: 'removed', before: was };
  }
  return changeOnTop(before, after, was, is);
}

/** A file or a whiteout on one side, where the other shows what the layers below have. */
function changeOnTop(
  before: TreeNode | undefined,
  after: TreeNode | undefined,
  was: FileFacts | undefined,
  is: FileFacts | undefined,
): Omit<FileChange, 'path'> | undefined {
  const [hidBefore, hidesNow] = [hides(before), hides(after)];
  if (is !== undefined && after?.kind === 'leaf') return { change: 'added', after: is };
  if (was !== undefined && before?.kind === 'leaf') return { change: 'removed', before: was };
  if (hidesNow === hidBefore) return undefined;
  return { change: hidesNow ? 'removed' : 'added' };
}

function hides(node: TreeNode | undefined): boolean {
  return node?.kind === 'whiteout' || (node?.kind === 'directory' && node.isOpaque);
}

function attributesOf(node: TreeNode): Attributes | undefined {
  if (node.kind === 'whiteout' || node.entry === undefined) return undefined;
  return entryAttributes(node.entry, node.kind === 'leaf' ? node.content?.digest : undefined);
}

function factsOf(node: TreeNode | undefined): FileFacts | undefined {
  const attributes = node === undefined ? undefined : attributesOf(node);
  if (attributes === undefined) return undefined;
  const xattrs = [...attributes].filter(([name]) => name.startsWith('xattr '));
  const own = ['content', 'target', 'device'].filter((name) => attributes.has(name));
  const size = attributes.get('size');
  return {
    type: attributes.get('type') ?? '',
    mode: attributes.get('mode') ?? '',
    uid: Number(attributes.get('uid')),
    gid: Number(attributes.get('gid')),
    ...(size === undefined ? {} : { size: Number(size) }),
    ...Object.fromEntries(own.map((name) => [name, attributes.get(name)])),
    mtime: attributes.get('mtime') ?? '',
    ...(xattrs.length === 0
      ? {}
      : { xattrs: Object.fromEntries(xattrs.map(([name, value]) => [name.slice('xattr '.length), value])) }),
  };
}

import { differingAttributes, differingPaths, type TreePair } from '../../builder/index.ts';
import { displayPath, type FileTree, type PathPair, type TreeNode } from '../../runtime/index.ts';
import type { Reason } from './reason.ts';

/** What the new base did to a path of the old one. */
type Differing = PathPair & { readonly change: 'added' | 'removed' | 'changed' };

/** Everything in which two bases differ, for looking paths up. */
export class BaseDifference {
  readonly #at = new Map<string, Differing>();
  /** Folders with something different in them, however deep. */
  readonly #above = new Set<string>();

  constructor({ before, after, isComplete }: TreePair) {
    for (const found of differingPaths(before, after, { isComplete })) {
      this.#at.set(found.path, found);
      for (let end = found.path.lastIndexOf('/'); end !== -1; end = found.path.lastIndexOf('/', end - 1)) {
        const folder = found.path.slice(0, end);
        if (this.#above.has(folder)) break;
        this.#above.add(folder);
        if (end === 0) break;
      }
    }
  }

  at(path: string): Differing | undefined {
    return this.#at.get(path);
  }

  hasBelow(path: string): boolean {
    return path === '' ? this.#at.size > 0 : this.#above.has(path);
  }

  *paths(): Generator<Differing, void> {
    yield* this.#at.values();
  }
}

/**
 * Paths that the image's own layers write or delete and the new base changed: the image would hide the base's change, or
 * mix two states of it. What both made the same is no conflict, nor is a folder that only leads somewhere.
 * @param own the image's layers on top of its base
 */
export function fileConflicts(own: FileTree, difference: BaseDifference): Reason[] {
  const paths: string[] = [];
  for (const { path, node } of own.paths()) {
    const found = difference.at(path);
    if (isConflict(node, found, difference.hasBelow(path))) paths.push(`/${displayPath(path)}`);
  }
  if (paths.length === 0) return [];
  const database = paths.find((path) =>
    /\/(?:dpkg\/status|apk\/db\/installed|rpm\/(?:rpmdb\.sqlite|Packages(?:\.db)?))$/.test(path),
  );
  const what = paths.length === 1 ? 'a file' : `${paths.length} files`;
  const why =
    database === undefined
      ? ''
      : `; with ${database} among them, the image would say that it has the old packages still`;
  return [
    {
      code: 'files',
      message: `the image's own layers write or delete ${what} that the new base changed${why}`,
      items: paths,
    },
  ];
}

function isConflict(node: TreeNode, found: Differing | undefined, isBelow: boolean): boolean {
  if (node.kind === 'directory') {
    if (node.isOpaque && (isBelow || found !== undefined)) return true;
    return found !== undefined && isDirectoryConflict(node, found, isBelow);
  }
  // What takes a folder's place hides all that is in it.
  if (isBelow) return true;
  if (found === undefined) return false;
  return node.kind === 'whiteout' || found.after === undefined || !isAlike(node, found.after);
}

/**
 * A base's folder that is gone with what was in it, or is none any more, under files of the image's; or one with other
 * rights.
 */
function isDirectoryConflict(
  node: TreeNode & { readonly kind: 'directory' },
  { after, change }: Differing,
  isBelow: boolean,
): boolean {
  if (change === 'removed' && after === undefined) return isBelow;
  if (after === undefined || after.kind !== 'directory') return true;
  return node.entry !== undefined && !isAlike(node, after);
}

function isAlike(one: TreeNode, other: TreeNode): boolean {
  return differingAttributes(one, other).every((name) => name === 'mtime');
}

const libraryFolder = /^(?:usr\/(?:local\/)?)?lib(?:64|32)?(?:\/[^/]*-linux-[^/]*)?$/;
/** A name that programs are linked to: `libssl.so.3`, not the file of one version behind it. */
const soname = /^lib.*[^0-9]\.so(?:\.\d+)?$/;

/** Libraries that programs are linked to, when the new base does without them. */
export function removedLibraries(difference: BaseDifference): Reason[] {
  const removed: string[] = [];
  const added = new Set<string>();
  for (const { path, change } of difference.paths()) {
    if (!libraryFolder.test(folderOf(path)) || !soname.test(nameOf(path))) continue;
    if (change === 'removed') removed.push(path);
    else if (change === 'added') added.add(nameOf(path));
  }
  const gone = removed.filter((path) => !added.has(nameOf(path)));
  if (gone.length === 0) return [];
  const items = gone.map((path) => `/${path}`);
  return [{ code: 'removed', message: 'the new base does without libraries that programs may be linked to', items }];
}

/**
 * The program that the image starts, when the new base does without it.
 * @param candidates where it may be, without leading `/`
 */
export function removedProgram(own: FileTree, bases: TreePair, candidates: readonly string[]): Reason[] {
  const isThere = (tree: FileTree, path: string) => {
    const found = tree.find(path);
    return found !== undefined && found.kind !== 'whiteout';
  };
  const wasThere = candidates.some((path) => isThere(bases.before, path));
  const isStill = candidates.some((path) => isThere(own, path) || isThere(bases.after, path));
  // Of several places, one may lie in layers that were not read.
  if (!wasThere || isStill || (!bases.isComplete && candidates.length > 1)) return [];
  const items = candidates.filter((path) => isThere(bases.before, path)).map((path) => `/${path}`);
  return [{ code: 'removed', message: 'the new base does without the program that the image starts', items }];
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

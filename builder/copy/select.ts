import { setImmediate } from 'node:timers/promises';
import type { CallOptions } from '../../core/index.ts';
import type { ByteString, Entry } from '../../runtime/index.ts';
import { ignoreRules } from '../buildfile/ignore.ts';
import { specialFiles } from './context-errors.ts';
import { type FoundPath, findPaths, notFound, pivotOf } from './find-paths.ts';
import { LeftOutFiles } from './left-out-files.ts';
import { joinPath, pathParts } from './path-parts.ts';
import { readable } from './readable-path.ts';
import type { SourceTree } from './source-tree.ts';

/** One thing a pattern named: a directory, whose content is copied, or anything else, which is copied itself. */
export interface Match {
  /** Last component of its path. */
  readonly name: ByteString;
  readonly isDirectory: boolean;
  /** Paths relative to the match; `''` is the match itself. Hard link targets too. */
  readonly entries: readonly Entry[];
  /** As the tree it is from has it. */
  readonly folder?: string;
}

export interface SelectOptions extends CallOptions {
  /**
   * What is found keeps its folders: everything a pattern names becomes one directory, in which paths are relative to
   * what is before `/./` in the pattern, or to the tree's root.
   */
  readonly parents?: boolean;
  /** A pattern that names nothing is no failure. */
  readonly optional?: boolean;
}

/** Entries between two looks at what else there is to do. */
const breathEvery = 4000;

/**
 * Finds what `paths` name in a tree. Patterns are Go's filepath.Match plus `**`; `..` stops at the root.
 * @throws ToolError COPY_SOURCE_NOT_FOUND, COPY_SOURCE_OUTSIDE, COPY_SPECIAL_FILE, COPY_PARENTS_INVALID
 */
export async function selectSources(
  tree: SourceTree,
  paths: readonly string[],
  exclude: readonly string[],
  options: SelectOptions = {},
): Promise<readonly Match[]> {
  const selection = new Selection(tree, exclude, options);
  const matches: Match[] = [];
  for (const pattern of paths) {
    const found = await findPaths(tree, pathParts(pattern));
    if (found.length === 0 && options.optional !== true) throw await notFound(tree, pattern);
    if (options.parents !== true) for (const path of found) matches.push(await selection.match(path));
    else if (found.length > 0) matches.push(await selection.below(pivotOf(pattern), found));
  }
  selection.requireCopyable();
  return matches;
}

class Selection {
  readonly #tree: SourceTree;
  readonly #exclude: readonly string[];
  readonly #options: CallOptions;
  readonly #isExcluded: (path: ByteString) => boolean;
  readonly #isUnwanted: (path: ByteString) => boolean;
  readonly #special: ByteString[] = [];

  constructor(tree: SourceTree, exclude: readonly string[], options: CallOptions) {
    const rules = ignoreRules(exclude);
    this.#tree = tree;
    this.#exclude = exclude;
    this.#options = options;
    this.#isExcluded = (path) => path !== '' && rules.isIgnored(readable(path));
    this.#isUnwanted = (path) => path !== '' && !rules.mayContainIncluded(readable(path));
  }

  async match({ real, shown }: FoundPath): Promise<Match> {
    const isDirectory = (await this.#tree.typeOf(real)) === 'directory';
    const name = lastOf(shown);
    const entries = await this.#entries(real, (relative) => (relative === '' && !isDirectory ? name : relative));
    return this.#asMatch(name, isDirectory, entries);
  }

  /** @param pivot how many components the paths in the match leave away */
  async below(pivot: number, found: readonly FoundPath[]): Promise<Match> {
    const entries: Entry[] = [];
    const parents = new Set<string>();
    for (const { real, shown } of found) {
      const parts = shown.split('/').filter((part) => part !== '');
      const kept = parts.slice(pivot).join('/') as ByteString;
      const inside = await this.#entries(real, (relative) => joinPath(kept, relative));
      // Folders of what is all excluded are not made.
      if (inside.length > 0) entries.push(...(await this.#foldersAbove(parts, pivot, parents)));
      for (const entry of inside) {
        const path = joinPath(kept, entry.path);
        if (entry.type === 'hardlink') entries.push({ ...entry, path, target: joinPath(kept, entry.target) });
        else entries.push({ ...entry, path });
      }
    }
    return this.#asMatch('' as ByteString, true, entries);
  }

  /** @param seen written paths of those that are among the entries already */
  async #foldersAbove(parts: readonly string[], pivot: number, seen: Set<string>): Promise<Entry[]> {
    const folders: Entry[] = [];
    for (let depth = pivot + 1; depth < parts.length; depth++) {
      const written = parts.slice(0, depth).join('/') as ByteString;
      if (seen.has(written)) continue;
      seen.add(written);
      const directory = await this.#tree.directoryAt(await this.#tree.resolve(written));
      const path = parts.slice(pivot, depth).join('/') as ByteString;
      if (directory !== undefined) folders.push({ ...directory, path });
    }
    return folders;
  }

  /** What no archive can hold, or nobody wants in one, was met. */
  requireCopyable(): void {
    if (this.#special.length > 0) throw specialFiles(this.#special, this.#tree.name);
  }

  /**
   * Everything at and below `top` that is not excluded, relative to it.
   * @param asChecked gives the path that patterns to exclude are held against
   */
  async #entries(top: ByteString, asChecked: (relative: ByteString) => ByteString): Promise<Entry[]> {
    const prefix = top === '' ? 0 : top.length + 1;
    const relativeTo = (path: ByteString) => path.slice(prefix) as ByteString;
    const excludes = this.#exclude.length > 0;
    const isUnwanted = excludes && ((path: ByteString) => this.#isUnwanted(asChecked(relativeTo(path))));
    const entries: Entry[] = [];
    const leftOut = new LeftOutFiles();
    const take = (found: Entry): void => {
      const entry = excludes ? leftOut.stoodInFor(found) : found;
      const path = relativeTo(entry.path);
      if (excludes && this.#isExcluded(asChecked(path))) leftOut.add(entry);
      else if (this.#tree.folder !== undefined && isSpecial(entry)) this.#special.push(entry.path);
      else if (prefix === 0) entries.push(entry);
      else if (entry.type === 'hardlink') entries.push({ ...entry, path, target: relativeTo(entry.target) });
      else entries.push({ ...entry, path });
    };
    const walked = this.#tree.walk(top, { ...this.#options, ...(isUnwanted ? { isUnwanted } : {}) });
    if (Symbol.asyncIterator in walked) {
      for await (const entry of walked) take(entry);
      return entries;
    }
    let count = 0;
    for (const entry of walked) {
      take(entry);
      if (++count % breathEvery === 0) await setImmediate(undefined, { signal: this.#options.signal });
    }
    return entries;
  }

  #asMatch(name: ByteString, isDirectory: boolean, entries: readonly Entry[]): Match {
    const { folder } = this.#tree;
    return { name, isDirectory, entries, ...(folder === undefined ? {} : { folder }) };
  }
}

function isSpecial({ type }: Entry): boolean {
  return type === 'fifo' || type === 'character' || type === 'block';
}

function lastOf(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1) as ByteString;
}

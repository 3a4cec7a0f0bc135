import { type CallOptions, nearest, ToolError } from '../../core/index.ts';
import { type ByteString, byteString, bytesOf, displayPath, type Entry } from '../../runtime/index.ts';
import { ignoreRules } from '../buildfile/ignore.ts';
import { compilePattern } from '../buildfile/patterns.ts';
import type { SourceTree } from './source-tree.ts';

/** One thing a pattern named: a directory, whose content is copied, or anything else, which is copied itself. */
export interface Match {
  /** Last component of its path. */
  readonly name: ByteString;
  readonly isDirectory: boolean;
  /** Paths relative to the match; `''` is the match itself. Hard link targets too. */
  readonly entries: readonly Entry[];
}

/**
 * Finds what `paths` name in a tree. Patterns are Go's filepath.Match plus `**`; `..` stops at the root.
 * @throws ToolError COPY_SOURCE_NOT_FOUND, COPY_SOURCE_OUTSIDE, COPY_SPECIAL_FILE
 */
export async function selectSources(
  tree: SourceTree,
  paths: readonly string[],
  exclude: readonly string[],
  options: CallOptions = {},
): Promise<readonly Match[]> {
  const matches: Match[] = [];
  for (const pattern of paths) {
    const found = await matching(tree, components(pattern));
    if (found.length === 0) throw await notFound(tree, pattern);
    for (const path of found) matches.push(await matchAt(tree, path, exclude, options));
  }
  return matches;
}

async function matchAt(
  tree: SourceTree,
  path: ByteString,
  exclude: readonly string[],
  options: CallOptions,
): Promise<Match> {
  const top = await tree.resolve(path);
  const isDirectory = (await tree.typeOf(top)) === 'directory';
  const excluded = ignoreRules(exclude);
  const entries: Entry[] = [];
  const leftOut = new LeftOutFiles();
  for await (const found of tree.walk(top, options)) {
    const entry = leftOut.stoodInFor(found);
    const relative = entry.path.slice(top === '' || entry.path === top ? top.length : top.length + 1) as ByteString;
    const checked = relative === '' && !isDirectory ? lastOf(path) : relative;
    if (checked !== '' && excluded.isIgnored(bytesOf(checked).toString('utf8'))) leftOut.add(entry);
    else entries.push(relativeTo(top, entry, relative));
  }
  return { name: lastOf(path), isDirectory, entries };
}

/** A file that is left out may be there under other names: the first of those that is not is then the file. */
class LeftOutFiles {
  /** By the path that hard links name. */
  readonly #files = new Map<ByteString, Entry>();

  add(entry: Entry): void {
    this.#files.set(entry.path, entry);
  }

  stoodInFor(entry: Entry): Entry {
    const file = entry.type === 'hardlink' ? this.#files.get(entry.target) : undefined;
    if (entry.type !== 'hardlink' || file === undefined) return entry;
    // The stand-in may have been left out too.
    if (file.path !== entry.target) return this.stoodInFor({ ...entry, target: file.path });
    const standIn = { ...file, path: entry.path };
    this.#files.set(entry.target, standIn);
    return standIn;
  }
}

function relativeTo(top: ByteString, entry: Entry, path: ByteString): Entry {
  if (entry.type !== 'hardlink') return { ...entry, path };
  return { ...entry, path, target: entry.target.slice(top === '' ? 0 : top.length + 1) as ByteString };
}

/** Paths that match, sorted; a pattern without wildcards is looked up and nothing is listed. */
async function matching(tree: SourceTree, pattern: readonly string[]): Promise<ByteString[]> {
  const wild = pattern.findIndex((part) => /[*?[\\]/.test(part));
  if (wild === -1) {
    const path = byteString(pattern.join('/'));
    return (await tree.typeOf(await tree.resolve(path))) === undefined ? [] : [path];
  }
  const fixed = byteString(pattern.slice(0, wild).join('/'));
  const top = await tree.resolve(fixed);
  if ((await tree.typeOf(top)) !== 'directory') return [];
  const wanted = compilePattern(pattern.slice(wild).join('/'));
  const found: ByteString[] = [];
  await visit('' as ByteString);
  return found;

  async function visit(below: ByteString): Promise<void> {
    for (const name of await tree.list(join(top, below))) {
      const relative = join(below, name);
      const type = await tree.typeOf(join(top, relative));
      if (type === undefined) continue;
      const readable = bytesOf(relative).toString('utf8');
      if (wanted.matches(readable)) found.push(join(top, relative));
      else if (type === 'directory' && wanted.mayMatchBelow(readable)) await visit(relative);
    }
  }
}

function components(pattern: string): string[] {
  const parts: string[] = [];
  for (const part of pattern.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts;
}

async function notFound(tree: SourceTree, pattern: string): Promise<ToolError> {
  const parts = components(pattern);
  const folder = byteString(parts.slice(0, -1).join('/'));
  const names = (await tree.typeOf(folder)) === 'directory' ? await tree.list(folder) : [];
  const guess = nearest(parts.at(-1) ?? '', names.map(displayPath));
  return new ToolError('COPY_SOURCE_NOT_FOUND', `${tree.name} has nothing that matches ${JSON.stringify(pattern)}`, {
    hint:
      guess === undefined
        ? 'check the path, and whether the ignore file drops it'
        : `did you mean ${JSON.stringify([...parts.slice(0, -1), guess].join('/'))}?`,
  });
}

function lastOf(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1) as ByteString;
}

function join(directory: ByteString, name: ByteString): ByteString {
  if (directory === '' || name === '') return (directory + name) as ByteString;
  return `${directory}/${name}` as ByteString;
}

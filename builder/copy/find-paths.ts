import { nearest, ToolError } from '../../core/index.ts';
import { type ByteString, byteString, displayPath } from '../../runtime/index.ts';
import { compilePattern } from '../buildfile/patterns.ts';
import { joinPath, pathParts } from './path-parts.ts';
import { readable } from './readable-path.ts';
import type { SourceTree } from './source-tree.ts';

/** Something that a pattern names. */
export interface FoundPath {
  /** As the pattern names it. */
  readonly shown: ByteString;
  /** Where it is: symbolic links followed. */
  readonly real: ByteString;
}

const wildcards = /[*?[\\]/;

/** Whether looking for what a pattern names takes listing folders. */
export function hasWildcards(pattern: string): boolean {
  return wildcards.test(pattern);
}

/**
 * How many components are before `/./`: what `parents` leaves away.
 * @throws ToolError COPY_PARENTS_INVALID
 */
export function pivotOf(pattern: string): number {
  const at = pattern.indexOf('/./');
  // `x/.` and `x/./` both mean what is in x.
  const end = at === -1 && pattern.endsWith('/.') ? pattern.length - 2 : at;
  const parts = pathParts(pattern.slice(0, Math.max(0, end)));
  const tail = pattern.slice(Math.max(0, end));
  if (parts.some((part) => part.includes('**')) || (end !== -1 && tail.split('/').includes('..'))) {
    throw new ToolError('COPY_PARENTS_INVALID', `${JSON.stringify(pattern)}: it is not known where /./ is`, {
      hint: 'write no ** before /./ and no .. after it',
    });
  }
  return parts.length;
}

/** Paths that match, sorted; a pattern without wildcards is looked up and nothing is listed. */
export async function findPaths(tree: SourceTree, pattern: readonly string[]): Promise<readonly FoundPath[]> {
  const wild = pattern.findIndex((part) => wildcards.test(part));
  if (wild === -1) {
    const shown = byteString(pattern.join('/'));
    const real = await tree.resolve(shown);
    return (await tree.typeOf(real)) === undefined ? [] : [{ shown, real }];
  }
  const fixed = byteString(pattern.slice(0, wild).join('/'));
  const top = await tree.resolve(fixed);
  if ((await tree.typeOf(top)) !== 'directory') return [];
  const wanted = compilePattern(pattern.slice(wild).join('/'));
  const found: FoundPath[] = [];
  await visit('' as ByteString);
  return found;

  async function visit(below: ByteString): Promise<void> {
    for (const name of await tree.list(joinPath(top, below))) {
      const relative = joinPath(below, name);
      const text = readable(relative);
      const isWanted = wanted.matches(text);
      if (!isWanted && !wanted.mayMatchBelow(text)) continue;
      const real = joinPath(top, relative);
      const type = await tree.typeOf(real);
      if (type === undefined) continue;
      if (isWanted)
        found.push({ shown: joinPath(fixed, relative), real: type === 'symlink' ? await target(real) : real });
      else if (type === 'directory') await visit(relative);
    }
  }

  /** A link that is matched is followed, as one that is named; one that leads to nothing is copied as it is. */
  async function target(link: ByteString): Promise<ByteString> {
    const resolved = await tree.resolve(link);
    return (await tree.typeOf(resolved)) === undefined ? link : resolved;
  }
}

export async function notFound(tree: SourceTree, pattern: string): Promise<ToolError> {
  const parts = pathParts(pattern);
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

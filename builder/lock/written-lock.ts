import { isDigest } from '../../core/index.ts';
import type { PinKind, PinnedPackage } from './pins.ts';

/** The tables of a lock file, not yet checked beyond their shape. */
export interface WrittenLock {
  readonly strings: ReadonlyMap<PinKind, ReadonlyMap<string, string>>;
  readonly sets: ReadonlyMap<PinKind, ReadonlyMap<string, readonly PinnedPackage[]>>;
}

const tableLine = /^\[(images|urls|git|packages|bootstraps)\]$/;
const stringLine = /^("(?:[^"\\]|\\.)*") = "([A-Za-z0-9:]+)"$/;
const setLine = /^("(?:[^"\\]|\\.)*") = \[$/;
const packageLine = /^ {2}"([^\s"\\]+) ([^\s"\\]+) ([^\s"\\]+) ([^\s"\\]+)",$/;

/**
 * Reads what `formatLock` wrote, and nothing else: a build that has nothing to do must not wait for a TOML parser, which
 * takes 40 ms for 400 packages. Undefined for any other text: the parser then says what is in it, or what is wrong.
 */
export function readWritten(
  text: string,
  { header, noHash }: { readonly header: readonly string[]; readonly noHash: string },
): WrittenLock | undefined {
  const lines = text.split('\n');
  if (lines.pop() !== '' || !header.every((line, index) => lines[index] === line)) return undefined;
  const strings = new Map<PinKind, Map<string, string>>();
  const sets = new Map<PinKind, Map<string, readonly PinnedPackage[]>>();
  let kind: PinKind | undefined;
  let set: PinnedPackage[] | undefined;
  for (const line of lines.slice(header.length)) {
    if (set !== undefined) {
      const [, name, version, architecture, hash] = packageLine.exec(line) ?? [];
      if (name !== undefined && version !== undefined && architecture !== undefined && hash !== undefined)
        set.push({ name, version, architecture, hash: hash === noHash ? '' : hash });
      else if (line === ']') set = undefined;
      else return undefined;
    } else if (tableLine.test(line)) {
      kind = line.slice(1, -1) as PinKind;
    } else if (line !== '') {
      if (kind === undefined) return undefined;
      const [, key, value] = stringLine.exec(line) ?? [];
      const [, setKey] = setLine.exec(line) ?? [];
      if (key !== undefined && value !== undefined && (kind === 'git' || isDigest(value))) {
        put(strings, kind, key, value);
      } else if (setKey !== undefined) {
        set = [];
        put(sets, kind, setKey, set);
      } else return undefined;
    }
  }
  return set === undefined ? { strings, sets } : undefined;
}

function put<V>(tables: Map<PinKind, Map<string, V>>, kind: PinKind, key: string, value: V): void {
  const table = tables.get(kind) ?? new Map<string, V>();
  // What formatLock writes is JSON too; what only looks like it does not come out the same again.
  table.set(unquoted(key), value);
  tables.set(kind, table);
}

function unquoted(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError) return '';
    throw error;
  }
}

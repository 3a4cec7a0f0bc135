import { displayPath, type Entry } from '../../runtime/index.ts';

/** What of an entry others are compared by, in the order it is looked at; values as people read them. */
export type Attributes = ReadonlyMap<string, string>;

/**
 * `type mode uid gid size content target device mtime`, and `xattr NAME` with its value in base64: those that the type has.
 * @param content digest of a file's bytes
 */
export function entryAttributes(entry: Entry, content: string | undefined): Attributes {
  const type: [string, string] = ['type', entry.type];
  if (entry.type === 'whiteout' || entry.type === 'opaque') return new Map([type]);
  const { mode, uid, gid, mtime, xattrs } = entry;
  return new Map([
    type,
    ['mode', mode.toString(8).padStart(4, '0')],
    ['uid', String(uid)],
    ['gid', String(gid)],
    ...ownAttributes(entry, content),
    ['mtime', `${mtime.seconds}.${String(mtime.nanoseconds).padStart(9, '0')}`],
    ...[...(xattrs ?? [])].map(([name, value]): [string, string] => [`xattr ${name}`, value.toString('base64')]),
  ]);
}

function ownAttributes(
  entry: Exclude<Entry, { type: 'whiteout' | 'opaque' }>,
  content: string | undefined,
): [string, string][] {
  switch (entry.type) {
    case 'file':
      return [
        ['size', String(entry.size)],
        ...(content === undefined ? [] : [['content', content] as [string, string]]),
      ];
    case 'symlink':
    case 'hardlink':
      return [['target', displayPath(entry.target)]];
    case 'character':
    case 'block':
      return [['device', `${entry.major}:${entry.minor}`]];
    default:
      return [];
  }
}

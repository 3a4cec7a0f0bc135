import type { ByteString, Entry } from '../../runtime/index.ts';

/**
 * In sorted order a link may come before its file: the first name of each file carries the content.
 * @param entries sorted by path
 */
export function keepLinksBehindFiles(entries: Entry[]): Entry[] {
  const first = new Map<ByteString, ByteString>();
  for (const entry of entries) {
    if (entry.type === 'hardlink' && entry.path < (first.get(entry.target) ?? entry.target))
      first.set(entry.target, entry.path);
  }
  if (first.size === 0) return entries;
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  return entries.map((entry) => {
    const original = entry.type === 'hardlink' ? entry.target : entry.path;
    const carrier = first.get(original);
    const file = carrier === undefined ? undefined : byPath.get(original);
    if (carrier === undefined || file === undefined) return entry;
    if (entry.path === carrier) return { ...file, path: entry.path };
    const { uid, gid, mode, mtime } = file as Exclude<Entry, { type: 'whiteout' | 'opaque' }>;
    return { type: 'hardlink', path: entry.path, target: carrier, uid, gid, mode, mtime };
  });
}

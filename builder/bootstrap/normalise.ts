import { type ByteString, byteString, type Entry, type FileEntry } from '../../runtime/index.ts';
import { emptiedFile, isLeftover } from '../packages/leftovers.ts';

export interface NormaliseOptions {
  /** When the bootstrap began, ms since the epoch. */
  readonly startedAt: number;
  /** Content of the one file in /etc/apt/sources.list.d, and its name. */
  readonly sources: { readonly name: string; readonly text: string };
}

/**
 * The entries of a bootstrapped root without what depends on the machine or the moment: device nodes, caches, logs, locks,
 * backups, identities, and the settings of the host's apt. Times that the bootstrap made become one second after the epoch.
 * The order stays.
 */
export async function* normaliseRoot(entries: AsyncIterable<Entry>, options: NormaliseOptions): AsyncGenerator<Entry> {
  const startedAt = Math.floor(options.startedAt / 1000);
  const dropped = new Map<ByteString, FileEntry>();
  const moved = new Map<ByteString, ByteString>();
  for await (const found of entries) {
    if (found.type === 'whiteout' || found.type === 'opaque') continue;
    const isNew = found.mtime.seconds >= startedAt;
    const mtime = { seconds: isNew ? 1 : found.mtime.seconds, nanoseconds: 0 };
    const entry: Entry = { ...found, mtime };
    if (isDropped(entry, isNew)) {
      if (entry.type === 'file') dropped.set(entry.path, entry);
    } else if (entry.type === 'hardlink') {
      const target = moved.get(entry.target) ?? entry.target;
      const content = dropped.get(target);
      if (content === undefined) yield { ...entry, target };
      else {
        // The name that held the bytes is gone, so this one holds them.
        moved.set(entry.target, entry.path);
        yield { ...content, path: entry.path };
      }
    } else if (entry.type === 'file' && emptied.has(entry.path)) {
      yield { ...entry, size: 0, content: { kind: 'bytes', bytes: Buffer.alloc(0) } };
    } else {
      yield entry;
      if (entry.path === sourcesFolder) yield sourcesEntry(options.sources);
    }
  }
}

const sourcesFolder = byteString('etc/apt/sources.list.d');

function sourcesEntry(sources: NormaliseOptions['sources']): FileEntry {
  const bytes = Buffer.from(sources.text, 'utf8');
  return {
    type: 'file',
    path: byteString(`${sourcesFolder}/${sources.name}`),
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime: { seconds: 1, nanoseconds: 0 },
    size: bytes.length,
    content: { kind: 'bytes', bytes },
  };
}

/** Folders whose contents go; they themselves stay. */
const emptiedFolders = ['etc/apt/sources.list.d/'];

const emptied = new Set<string>([emptiedFile]);

/** What only a bootstrap writes. */
const droppedPaths = new Set([
  ...['etc/apt/sources.list', 'etc/apt/preferences.d/00kiln'],
  ...['etc/apt/apt.conf.d/00mmdebstrap', 'etc/apt/apt.conf.d/99mmdebstrap', 'etc/dpkg/dpkg.cfg.d/99mmdebstrap'],
]);

const droppedPatterns = [/^run\/(?!lock$)/];

function isDropped(entry: Exclude<Entry, { type: 'whiteout' | 'opaque' }>, isNew: boolean): boolean {
  const { path } = entry;
  if (droppedPaths.has(path) || droppedPatterns.some((pattern) => pattern.test(path))) return true;
  return emptiedFolders.some((folder) => path.startsWith(folder)) || isLeftover(entry, isNew);
}

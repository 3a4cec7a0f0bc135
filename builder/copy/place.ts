import { lstatSync } from 'node:fs';
import { type CallOptions, ToolError } from '../../core/index.ts';
import {
  type ByteString,
  byteString,
  type DirectoryEntry,
  displayPath,
  type Entry,
  type FileTime,
  type RootView,
} from '../../runtime/index.ts';
import type { Match } from './select.ts';

export interface Placement {
  /** As written: relative to `workdir`; a trailing `/` says that it is a directory. */
  readonly to: string;
  readonly workdir: string;
  readonly owner: { readonly uid: number; readonly gid: number };
  /** Replaces every mode; directories can be entered by whoever can read them. */
  readonly mode?: number;
}

/** NAME_MAX of Linux. */
const maxNameBytes = 255;
const madeTime: FileTime = { seconds: 1, nanoseconds: 0 };

/**
 * Where a selection ends up in an image, by Dockerfile rules: what is in a directory goes into the destination; a file
 * goes into it when the destination is a directory, ends in `/`, or takes several. Symbolic links of the image are
 * followed, never out of it. Directories that the image has keep their metadata.
 * @throws ToolError COPY_DESTINATION_NOT_DIRECTORY, COPY_DESTINATION_IS_DIRECTORY
 */
export async function placeMatches(
  view: RootView,
  matches: readonly Match[],
  placement: Placement,
  options: CallOptions = {},
): Promise<Entry[]> {
  const layer = new PlacedLayer(view, placement);
  const { to } = placement;
  const written = components(to.startsWith('/') ? to : `${placement.workdir}/${to}`);
  if (written.some((name) => name.length > maxNameBytes)) {
    throw new ToolError('COPY_DESTINATION_INVALID', `the destination has a name of over ${maxNameBytes} bytes`);
  }
  const saysDirectory = /(?:^|\/)\.{0,2}$/.test(to);
  const several = matches.length > 1 || matches.some((match) => match.isDirectory);
  const asDirectory = saysDirectory || several || (await layer.isDirectory(written));
  for (const match of matches) {
    options.signal?.throwIfAborted();
    await layer.add(match, match.isDirectory || !asDirectory ? written : [...written, match.name]);
  }
  return layer.entries();
}

/** The entries of one copied layer, by final path. */
class PlacedLayer {
  readonly #view: RootView;
  readonly #placement: Placement;
  readonly #entries = new Map<ByteString, Entry>();
  /** Written directory → where it really is, once it has been announced. */
  readonly #directories = new Map<string, ByteString>();

  constructor(view: RootView, placement: Placement) {
    this.#view = view;
    this.#placement = placement;
  }

  async isDirectory(written: readonly string[]): Promise<boolean> {
    const resolved = await this.#view.resolve(byteStringFrom(written));
    return resolved.exists && (await this.#view.lookup(resolved.path))?.type === 'directory';
  }

  async add(match: Match, written: readonly string[]): Promise<void> {
    const finalPaths = new Map<ByteString, ByteString>();
    if (match.isDirectory) await this.#directory(written);
    for (const entry of match.entries) {
      const parts = [...written, ...entry.path.split('/').filter((part) => part !== '')];
      if (entry.type === 'directory') {
        await this.#directory(parts, entry);
        continue;
      }
      const path = await this.#leaf(parts);
      finalPaths.set(entry.path, path);
      this.#entries.set(path, this.#owned(entry, path, finalPaths));
    }
  }

  /** Sorted bytewise: parents first, and the same whatever order things were added in. */
  entries(): Entry[] {
    return keepLinksBehindFiles([...this.#entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1)));
  }

  /** Announces a directory and those above it; gives the path where it really is. */
  async #directory(parts: readonly string[], source?: DirectoryEntry): Promise<ByteString> {
    const key = parts.join('/');
    const known = this.#directories.get(key);
    if (known !== undefined) return known;
    if (parts.length === 0) return '' as ByteString;
    const parent = await this.#directory(parts.slice(0, -1));
    const path = join(parent, parts.at(-1) ?? '');
    const real = await this.#announce(path, source);
    this.#directories.set(key, real);
    return real;
  }

  async #announce(path: ByteString, source: DirectoryEntry | undefined): Promise<ByteString> {
    const placed = this.#entries.get(path);
    if (placed !== undefined && placed.type !== 'directory') throw notDirectory(path);
    const resolved = await this.#view.resolve(path);
    // A link led elsewhere: what is above its target needs its metadata repeated too.
    if (resolved.path !== path) await this.#directory(resolved.path.split('/').slice(0, -1));
    const existing = resolved.exists ? await this.#view.lookup(resolved.path) : undefined;
    if (existing === undefined) {
      const mode = this.#directoryMode(source?.mode ?? 0o755);
      this.#entries.set(resolved.path, {
        type: 'directory',
        path: resolved.path,
        mode,
        ...this.#placement.owner,
        mtime: source?.mtime ?? madeTime,
      });
      return resolved.path;
    }
    if (existing.type !== 'directory') throw notDirectory(resolved.path);
    if (resolved.path !== '') {
      const { mode, uid, gid } = existing;
      // Overlay takes a directory's metadata from the topmost layer that has it, so the image's own is repeated.
      this.#entries.set(resolved.path, {
        type: 'directory',
        path: resolved.path,
        mode,
        uid,
        gid,
        mtime: timeOf(existing.file),
      });
    }
    return resolved.path;
  }

  /** Where a file goes: its directory's links are followed; a directory in its place is an error. */
  async #leaf(parts: readonly string[]): Promise<ByteString> {
    const path = join(await this.#directory(parts.slice(0, -1)), parts.at(-1) ?? '');
    const there = this.#entries.get(path) ?? (await this.#view.lookup(path));
    if (path === '' || there?.type === 'directory') {
      throw new ToolError(
        'COPY_DESTINATION_IS_DIRECTORY',
        `cannot copy a file over the directory /${displayPath(path)}`,
        {
          hint: 'end the destination with / to copy into it',
        },
      );
    }
    return path;
  }

  #owned(entry: Entry, path: ByteString, finalPaths: ReadonlyMap<ByteString, ByteString>): Entry {
    if (entry.type === 'whiteout' || entry.type === 'opaque') return { ...entry, path };
    const mode = entry.type === 'symlink' ? entry.mode : (this.#placement.mode ?? entry.mode);
    const owned = { ...entry, path, mode, ...this.#placement.owner };
    if (owned.type !== 'hardlink') return owned;
    const target = finalPaths.get(owned.target);
    if (target === undefined)
      throw new ToolError('COPY_SOURCE_UNREADABLE', `${displayPath(path)} is a hard link to a file that is not copied`);
    return { ...owned, target };
  }

  #directoryMode(mode: number): number {
    const asked = this.#placement.mode;
    return asked === undefined ? mode : asked | ((asked & 0o444) >> 2);
  }
}

/** In sorted order a link may come before its file: the first name of each file carries the content. */
function keepLinksBehindFiles(entries: readonly Entry[]): Entry[] {
  const first = new Map<ByteString, ByteString>();
  for (const entry of entries) {
    if (entry.type === 'hardlink' && entry.path < (first.get(entry.target) ?? entry.target))
      first.set(entry.target, entry.path);
  }
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

function components(path: string): string[] {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(byteString(part));
  }
  return parts;
}

function byteStringFrom(parts: readonly string[]): ByteString {
  return parts.join('/') as ByteString;
}

function join(parent: ByteString, name: string): ByteString {
  return (parent === '' ? name : `${parent}/${name}`) as ByteString;
}

function timeOf(file: Buffer): FileTime {
  return { seconds: Math.floor(lstatSync(file).mtimeMs / 1000), nanoseconds: 0 };
}

function notDirectory(path: ByteString): ToolError {
  return new ToolError(
    'COPY_DESTINATION_NOT_DIRECTORY',
    `/${displayPath(path)} is not a directory in the image, so nothing can be copied into it`,
  );
}

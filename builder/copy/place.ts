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
import { keepLinksBehindFiles } from './link-order.ts';
import { joinPath, pathParts } from './path-parts.ts';
import type { Match } from './select.ts';

export interface Placement {
  /** As written: relative to `workdir`; a trailing `/` says that it is a directory. */
  readonly to: string;
  readonly workdir: string;
  /** Files keep the owners they have unless given; directories on the way to `to` are then root's. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Replaces every mode; directories can be entered by whoever can read them. */
  readonly mode?: number;
}

/** NAME_MAX of Linux. */
const maxNameBytes = 255;
/** PATH_MAX of Linux, less the zero byte that ends a path and the slash that begins it. */
const maxPathBytes = 4094;
const madeTime: FileTime = { seconds: 1, nanoseconds: 0 };

/**
 * Where a selection ends up in an image, by Dockerfile rules: what is in a directory goes into the destination; a file
 * goes into it when the destination is a directory, ends in `/`, or takes several. Symbolic links of the image are
 * followed, never out of it. Directories that the image has keep their metadata.
 * @throws ToolError COPY_DESTINATION_NOT_DIRECTORY, COPY_DESTINATION_IS_DIRECTORY, COPY_DESTINATION_INVALID, COPY_PATH_TOO_LONG
 */
export async function placeMatches(
  view: RootView,
  matches: readonly Match[],
  placement: Placement,
  options: CallOptions = {},
): Promise<Entry[]> {
  const layer = new PlacedLayer(view, placement);
  const { to } = placement;
  const written = destination(to.startsWith('/') ? to : `${placement.workdir}/${to}`);
  const saysDirectory = /(?:^|\/)\.{0,2}$/.test(to);
  const several = matches.length > 1 || matches.some((match) => match.isDirectory);
  const asDirectory = saysDirectory || several || (await layer.isDirectory(written));
  for (const match of matches) {
    options.signal?.throwIfAborted();
    await layer.add(match, match.isDirectory || !asDirectory ? written : joinPath(written, match.name));
  }
  return layer.entries();
}

/** A directory of the image that files are put into. */
interface Folder {
  /** Where it really is. */
  readonly path: ByteString;
  /** The image had nothing there: neither links nor files can be in the way. */
  readonly isNew: boolean;
}

/** The entries of one copied layer, by final path. */
class PlacedLayer {
  readonly #view: RootView;
  readonly #placement: Placement;
  readonly #entries = new Map<ByteString, Entry>();
  /** By written path, once it has been announced. */
  readonly #folders = new Map<string, Folder>([['', { path: '' as ByteString, isNew: false }]]);

  constructor(view: RootView, placement: Placement) {
    this.#view = view;
    this.#placement = placement;
  }

  async isDirectory(written: ByteString): Promise<boolean> {
    const resolved = await this.#view.resolve(written);
    return resolved.exists && (await this.#view.lookup(resolved.path))?.type === 'directory';
  }

  async add(match: Match, written: ByteString): Promise<void> {
    const finalPaths = new Map<ByteString, ByteString>();
    const hasLinks = match.entries.some(({ type }) => type === 'hardlink');
    if (match.isDirectory) await this.#folder(written);
    for (const entry of match.entries) {
      const goal = joinPath(written, entry.path);
      if (entry.type === 'directory') {
        if (!this.#folders.has(goal)) await this.#folder(goal, entry);
        continue;
      }
      const [above, name] = split(goal);
      const folder = this.#folders.get(above) ?? (await this.#folder(above));
      const path = joinPath(folder.path, name);
      if (goal === '' || this.#entries.has(path) || !folder.isNew) await this.#requireNoDirectory(path);
      if (path.length > maxPathBytes) throw tooLong(path);
      if (hasLinks) finalPaths.set(entry.path, path);
      this.#entries.set(path, this.#owned(entry, path, finalPaths));
    }
  }

  /** Sorted bytewise: parents first, and the same whatever order things were added in. */
  entries(): Entry[] {
    return keepLinksBehindFiles([...this.#entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1)));
  }

  /** Announces a directory and those above it. */
  async #folder(written: ByteString, source?: DirectoryEntry): Promise<Folder> {
    const known = this.#folders.get(written);
    if (known !== undefined) return known;
    const [above, name] = split(written);
    const parent = this.#folders.get(above) ?? (await this.#folder(above));
    const folder = await this.#announce(parent, joinPath(parent.path, name), source);
    this.#folders.set(written, folder);
    return folder;
  }

  async #announce(parent: Folder, path: ByteString, source: DirectoryEntry | undefined): Promise<Folder> {
    if (path.length > maxPathBytes) throw tooLong(path);
    const placed = this.#entries.get(path);
    if (placed !== undefined && placed.type !== 'directory') throw notDirectory(path);
    if (parent.isNew) return this.#make(path, source);
    const resolved = await this.#view.resolve(path);
    // A link led elsewhere: what is above its target needs its metadata repeated too.
    if (resolved.path !== path) await this.#folder(split(resolved.path)[0]);
    const existing = resolved.exists ? await this.#view.lookup(resolved.path) : undefined;
    if (existing === undefined) return this.#make(resolved.path, source);
    if (existing.type !== 'directory') throw notDirectory(resolved.path);
    if (resolved.path !== '') {
      const { mode, uid, gid } = existing;
      // Overlay takes a directory's metadata from the topmost layer that has it, so the image's own is repeated.
      const mtime = timeOf(existing.file);
      this.#entries.set(resolved.path, { type: 'directory', path: resolved.path, mode, uid, gid, mtime });
    }
    return { path: resolved.path, isNew: false };
  }

  #make(path: ByteString, source: DirectoryEntry | undefined): Folder {
    const { mode = 0o755, uid = 0, gid = 0, mtime = madeTime, xattrs } = source ?? {};
    this.#entries.set(path, {
      type: 'directory',
      path,
      mode: this.#directoryMode(mode),
      ...(this.#placement.owner ?? { uid, gid }),
      mtime,
      ...(xattrs === undefined ? {} : { xattrs }),
    });
    return { path, isNew: true };
  }

  async #requireNoDirectory(path: ByteString): Promise<void> {
    const there = this.#entries.get(path) ?? (await this.#view.lookup(path));
    if (path !== '' && there?.type !== 'directory') return;
    throw new ToolError(
      'COPY_DESTINATION_IS_DIRECTORY',
      `cannot copy a file over the directory /${displayPath(path)}`,
      { hint: 'end the destination with / to copy into it' },
    );
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

/** The written path of a destination; `..` stops at the root. */
function destination(text: string): ByteString {
  const parts = pathParts(text).map(byteString);
  if (parts.some((name) => name.length > maxNameBytes)) {
    throw new ToolError('COPY_DESTINATION_INVALID', `the destination has a name of over ${maxNameBytes} bytes`);
  }
  return parts.join('/') as ByteString;
}

/** What is above, and the last name. */
function split(path: ByteString): readonly [ByteString, ByteString] {
  const slash = path.lastIndexOf('/');
  return [path.slice(0, Math.max(0, slash)) as ByteString, path.slice(slash + 1) as ByteString];
}

function timeOf(file: Buffer): FileTime {
  return { seconds: Math.floor(lstatSync(file).mtimeMs / 1000), nanoseconds: 0 };
}

function tooLong(path: ByteString): ToolError {
  return new ToolError(
    'COPY_PATH_TOO_LONG',
    `/${displayPath(path).slice(0, 200)}… would be a path of over ${maxPathBytes + 1} bytes in the image`,
    { hint: 'copy it to a destination that is not so deep, or exclude it' },
  );
}

function notDirectory(path: ByteString): ToolError {
  return new ToolError(
    'COPY_DESTINATION_NOT_DIRECTORY',
    `/${displayPath(path)} is not a directory in the image, so nothing can be copied into it`,
  );
}

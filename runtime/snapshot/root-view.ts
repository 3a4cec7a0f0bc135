import { closeSync, constants, lstatSync, openSync, readdirSync, readlinkSync, readSync, type Stats } from 'node:fs';
import { type CallOptions, errorCode, ToolError } from '../../core/index.ts';
import type { Launcher } from '../launcher.ts';
import { type ByteString, byteStringOf, bytesOf, displayPath, type Entry } from '../layer/entry.ts';
import { type ScannedType, typeOfMode } from '../layer/scanned-entry.ts';
import { mergedEntries } from './merged-walk.ts';
import type { Snapshot, SnapshotLayer } from './snapshots.ts';

/** A file of a root file system, as it is, without following a symbolic link. */
export interface RootFile {
  readonly type: ScannedType;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes. */
  readonly size: number;
  /** Where it is on disk. */
  readonly file: Buffer;
}

export interface ResolvedPath {
  /** Without symbolic links, as far as it exists. */
  readonly path: ByteString;
  readonly exists: boolean;
}

interface Found extends RootFile {
  /** The layers that show here, topmost first: those whose directories are merged, or the one that has the file. */
  readonly layers: readonly SnapshotLayer[];
}

const maxLinks = 40;
/** NAME_MAX */
const maxNameBytes = 255;

/**
 * The merged root file system of a snapshot; paths are relative to its root, one character per byte, so that text
 * which may go beyond ASCII is passed through `byteString`. Read without mounting it. What overlayfs would show, by its rules:
 * upper wins, whiteouts and opaque directories hide, directories merge. Snapshots do not change, so it remembers.
 */
export class RootView {
  readonly #launcher: Launcher;
  readonly #layers: readonly SnapshotLayer[];
  readonly #opaques = new Map<SnapshotLayer, ReadonlySet<string>>();
  readonly #directories = new Map<ByteString, Found>();

  constructor(launcher: Launcher, snapshot: Snapshot) {
    this.#launcher = launcher;
    this.#layers = snapshot.layers.toReversed();
    for (const layer of this.#layers) this.#opaques.set(layer, new Set(layer.opaques));
  }

  /** What is at a path of which no component is a symbolic link, save the last; undefined when nothing is. */
  async lookup(path: string | ByteString): Promise<RootFile | undefined> {
    return this.#find(splitPath(path));
  }

  /**
   * Follows symbolic links, `..` and absolute targets within the root only, as a process chrooted to it would. What
   * does not exist is resolved as written.
   * @throws ToolError ROOT_SYMLINK_LOOP after 40 links
   */
  async resolve(path: string | ByteString, options: { readonly followLast?: boolean } = {}): Promise<ResolvedPath> {
    const pending = splitPath(path, { keepDots: true }).reverse();
    let at: string[] = [];
    let exists = true;
    for (let links = 0; pending.length > 0; ) {
      const component = pending.pop() ?? '';
      if (component === '..') {
        at = at.slice(0, -1);
        exists = this.#find(at) !== undefined || at.length === 0;
        continue;
      }
      const here = [...at, component];
      const found: Found | undefined = exists ? this.#find(here) : undefined;
      exists = found !== undefined && (found.type === 'directory' || found.type === 'symlink' || pending.length === 0);
      const isFollowed = found?.type === 'symlink' && (pending.length > 0 || options.followLast !== false);
      if (found === undefined || !isFollowed) {
        at = here;
        continue;
      }
      if (++links > maxLinks) throw tooManyLinks(path);
      const target = byteStringOf(readlinkSync(found.file, { encoding: 'buffer' }));
      if (target.startsWith('/')) at = [];
      pending.push(...splitPath(target, { keepDots: true }).reverse());
    }
    return { path: at.join('/') as ByteString, exists };
  }

  /**
   * The bytes of a small regular file, symbolic links followed within the root; undefined when it is absent.
   * @throws ToolError ROOT_FILE_TOO_LARGE, ROOT_NOT_A_FILE, ROOT_SYMLINK_LOOP
   */
  async readFile(path: string | ByteString, maxBytes: number): Promise<Buffer | undefined> {
    const { path: resolved, exists } = await this.resolve(path);
    const found = exists ? this.#find(splitPath(resolved)) : undefined;
    if (found === undefined) return undefined;
    if (found.type !== 'file') {
      throw new ToolError('ROOT_NOT_A_FILE', `/${displayPath(resolved)} in the image is a ${found.type}, not a file`);
    }
    if (found.size > maxBytes) {
      throw new ToolError(
        'ROOT_FILE_TOO_LARGE',
        `/${displayPath(resolved)} in the image has ${found.size} bytes; the limit is ${maxBytes}`,
      );
    }
    return readWhole(found.file, found.size);
  }

  /** The names in a merged directory, symbolic links on the way followed, sorted bytewise; none when it is absent. */
  async list(path: string | ByteString): Promise<ByteString[]> {
    const { path: resolved } = await this.resolve(path);
    const folders = this.#layersOf(splitPath(resolved));
    const seen = new Map<string, boolean>();
    for (const layer of folders) {
      const folder = Buffer.concat([fileIn(layer, resolved), Buffer.from('/')]);
      for (const name of readdirSync(folder, { encoding: 'buffer' })) {
        const text = name.toString('latin1');
        if (seen.has(text)) continue;
        const mode = statOf(Buffer.concat([folder, name]));
        seen.set(text, mode !== undefined && !mode.isWhiteout && mode.type !== undefined);
      }
    }
    return [...seen].flatMap(([name, isShown]) => (isShown ? [name as ByteString] : [])).sort();
  }

  /**
   * Everything at and below a path, itself first, in bytewise order of the paths, which are relative to the root.
   * Nothing is followed; names of one file after the first become hard links to it. Empty when nothing is there.
   * @throws ToolError SCAN_FAILED
   */
  async *walk(path: string | ByteString, options: CallOptions = {}): AsyncGenerator<Entry, void> {
    const components = splitPath(path);
    const found = this.#find(components);
    if (found === undefined) return;
    yield* mergedEntries(this.#launcher, found.layers, components.join('/') as ByteString, options);
  }

  #layersOf(components: readonly string[]): readonly SnapshotLayer[] {
    const found = this.#find(components);
    return found?.type === 'directory' ? found.layers : [];
  }

  #rootLayers(): readonly SnapshotLayer[] {
    return untilOpaque(this.#layers, (layer) => this.#isOpaque(layer, ''));
  }

  #find(components: readonly string[]): Found | undefined {
    if (components.length === 0) return this.#root();
    const path = components.join('/') as ByteString;
    const remembered = this.#directories.get(path);
    if (remembered !== undefined) return remembered;
    const parentLayers = this.#layersOf(components.slice(0, -1));
    const found = this.#merge(path, parentLayers);
    if (found?.type === 'directory') this.#directories.set(path, found);
    return found;
  }

  #root(): Found | undefined {
    const [top] = this.#layers;
    if (top === undefined) return undefined;
    const stat = statOf(Buffer.from(top.directory));
    if (stat?.type === undefined) return undefined;
    return { ...stat, type: stat.type, file: Buffer.from(top.directory), layers: this.#rootLayers() };
  }

  /** overlayfs looks from the top down and stops at whatever is no directory, or an opaque one. */
  #merge(path: ByteString, layers: readonly SnapshotLayer[]): Found | undefined {
    let top: Omit<Found, 'layers'> | undefined;
    const merged: SnapshotLayer[] = [];
    for (const layer of layers) {
      const file = fileIn(layer, path);
      const stat = statOf(file);
      if (stat === undefined) continue;
      if (stat.isWhiteout || stat.type === undefined) break;
      if (stat.type !== 'directory') {
        if (top === undefined) return { ...stat, type: stat.type, file, layers: [layer] };
        break;
      }
      top ??= { ...stat, type: stat.type, file };
      merged.push(layer);
      if (this.#isOpaque(layer, path)) break;
    }
    return top === undefined ? undefined : { ...top, layers: merged };
  }

  #isOpaque(layer: SnapshotLayer, path: string): boolean {
    return this.#opaques.get(layer)?.has(path) === true;
  }
}

function untilOpaque(
  layers: readonly SnapshotLayer[],
  isOpaque: (layer: SnapshotLayer) => boolean,
): readonly SnapshotLayer[] {
  const end = layers.findIndex(isOpaque);
  return end === -1 ? layers : layers.slice(0, end + 1);
}

/** @throws TypeError for text that is no bytes: it has to pass `byteString` */
function splitPath(path: string | ByteString, options: { readonly keepDots?: boolean } = {}): string[] {
  if (/[^\x00-\xff]/.test(path)) throw new TypeError(`${path} is text; make a ByteString of it`);
  if (path.includes('\0')) throw new ToolError('ROOT_PATH_INVALID', 'a path contains a zero byte');
  const components = path.split('/').filter((component) => component !== '' && component !== '.');
  if (options.keepDots === true) return components;
  const result: string[] = [];
  for (const component of components) {
    if (component === '..') result.pop();
    else result.push(component);
  }
  return result;
}

function fileIn(layer: SnapshotLayer, path: ByteString): Buffer {
  return Buffer.concat([Buffer.from(`${layer.directory}/`), bytesOf(path)]);
}

function readWhole(file: Buffer, size: number): Buffer {
  const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const bytes = Buffer.alloc(size);
    let read = 0;
    for (let count = -1; count !== 0 && read < size; read += count)
      count = readSync(fd, bytes, read, size - read, null);
    return bytes.subarray(0, read);
  } finally {
    closeSync(fd);
  }
}

function tooManyLinks(path: string): ToolError {
  const shown = displayPath(path as ByteString);
  return new ToolError('ROOT_SYMLINK_LOOP', `${shown} in the image leads through more than ${maxLinks} symbolic links`);
}

function statOf(file: Buffer) {
  const stat = findStat(file);
  if (stat === undefined) return undefined;
  const { mode, uid, gid, size } = stat;
  const type = typeOfMode(mode);
  return { type, mode: mode & 0o7777, uid, gid, size, isWhiteout: type === 'character' && stat.rdev === 0 };
}

/** At a name that is too long for a file system, as a link of an image may have it, nothing is. */
function findStat(file: Buffer): Stats | undefined {
  try {
    return lstatSync(file, { throwIfNoEntry: false });
  } catch (error) {
    const isNameTooLong = file.length - file.lastIndexOf('/') - 1 > maxNameBytes;
    if (errorCode(error) === 'ENAMETOOLONG' && isNameTooLong) return undefined;
    throw error;
  }
}

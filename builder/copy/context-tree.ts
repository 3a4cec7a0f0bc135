import { lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs';
import { errorCode, type ToolError } from '../../core/index.ts';
import { type ByteString, bytesOf, type DirectoryEntry, type Entry, type Launcher } from '../../runtime/index.ts';
import type { IgnoreRules } from '../buildfile/ignore.ts';
import type { Preserved } from '../plan/plan.ts';
import { linkLoop, outside, unreadable } from './context-errors.ts';
import { ContextMetadata } from './context-metadata.ts';
import { withXattrs } from './context-xattrs.ts';
import { isAscii, readable } from './readable-path.ts';
import type { SourceTree, WalkOptions } from './source-tree.ts';

const maxLinks = 40;
const typeMask = 0o170000;
const socketType = 0o140000;
const types: ReadonlyMap<number, Entry['type']> = new Map([
  [0o100000, 'file'],
  [0o040000, 'directory'],
  [0o120000, 'symlink'],
  [0o010000, 'fifo'],
  [0o060000, 'block'],
  [0o020000, 'character'],
]);

export interface ContextTreeOptions {
  /** For messages; `the context` unless given. */
  readonly name?: string;
  readonly preserve: readonly Preserved[];
  /** Reads extended attributes, which Node cannot. */
  readonly launcher: Launcher;
}

/** A directory that is being walked. */
interface OpenFolder {
  readonly path: ByteString;
  readonly stats: Stats;
  readonly names: readonly ByteString[];
  next: number;
  /** Its own entry has been given. */
  announced: boolean;
}

/**
 * A folder on disk, as a build's context is. Ownership, times, umask and extended attributes of the checkout do not
 * count unless they are to be preserved: uid and gid are 0, modes 0644 or 0755. Names of one file are hard links. Sync
 * calls on purpose: they are four times as fast as their promises on small files.
 */
export class ContextTree implements SourceTree {
  readonly name: string;
  readonly folder: string;
  /** The folder's bytes, one character for each. */
  readonly #root: string;
  readonly #ignore: IgnoreRules;
  readonly #metadata: ContextMetadata;
  readonly #options: ContextTreeOptions;

  constructor(folder: string, ignore: IgnoreRules, options: ContextTreeOptions) {
    this.name = options.name ?? 'the context';
    this.folder = folder;
    this.#root = Buffer.from(folder).toString('latin1');
    this.#ignore = ignore;
    this.#metadata = new ContextMetadata(this.name, options.preserve);
    this.#options = options;
  }

  async typeOf(path: ByteString): Promise<Entry['type'] | undefined> {
    if (this.#isLeftOut(path)) return undefined;
    const stats = this.#lstat(path);
    if (stats === undefined) return undefined;
    const type = typeOf(stats);
    return type !== 'directory' && path !== '' && this.#isIgnored(path) ? undefined : type;
  }

  async resolve(path: ByteString): Promise<ByteString> {
    let links = 0;
    const pending = path.split('/').filter((part) => part !== '' && part !== '.');
    const done: string[] = [];
    for (let part = pending.shift(); part !== undefined; part = pending.shift()) {
      if (part === '..') {
        if (done.pop() === undefined) throw outside(path, this.name);
        continue;
      }
      const here = [...done, part].join('/') as ByteString;
      if (!this.#lstat(here)?.isSymbolicLink()) {
        done.push(part);
        continue;
      }
      if (++links > maxLinks) throw linkLoop(path, this.name);
      const target = readlinkSync(this.#onDisk(here), 'latin1');
      // An absolute link means a place on this machine, not in the context.
      if (target.startsWith('/')) throw outside(path, this.name);
      pending.unshift(...target.split('/').filter((step) => step !== '' && step !== '.'));
    }
    return done.join('/') as ByteString;
  }

  async list(directory: ByteString): Promise<readonly ByteString[]> {
    return this.#names(directory);
  }

  async directoryAt(path: ByteString): Promise<DirectoryEntry | undefined> {
    const stats = this.#lstat(path);
    return stats?.isDirectory() ? this.#directory(path, stats) : undefined;
  }

  walk(path: ByteString, options: WalkOptions = {}): Iterable<Entry> | AsyncIterable<Entry> {
    const entries = this.#walk(path, options);
    if (!this.#options.preserve.includes('xattrs')) return entries;
    return withXattrs(entries, this.#options.launcher, this.folder, options);
  }

  /** Without recursion: each level of generators would cost every entry below it. */
  *#walk(top: ByteString, { signal, isUnwanted }: WalkOptions): Generator<Entry, void> {
    signal?.throwIfAborted();
    const stats = this.#lstat(top);
    if (stats === undefined || (top !== '' && this.#isLeftOut(top))) return;
    const links = new Map<string, ByteString>();
    if (!stats.isDirectory()) {
      const entry = this.#isIgnored(top) ? undefined : this.#leaf(top, stats, links);
      if (entry !== undefined) yield entry;
      return;
    }
    const open: OpenFolder[] = [];
    const enter = (path: ByteString, found: Stats): void => {
      open.push({ path, stats: found, names: this.#names(path), next: 0, announced: false });
    };
    const announce = (): DirectoryEntry[] => {
      const entries: DirectoryEntry[] = [];
      for (const folder of open) {
        if (!folder.announced) entries.push(this.#directory(folder.path, folder.stats));
        folder.announced = true;
      }
      return entries;
    };

    enter(top, stats);
    if (top === '' || !this.#isIgnored(top)) yield* announce();
    for (let folder = open.at(-1); folder !== undefined; folder = open.at(-1)) {
      const name = folder.names[folder.next++];
      if (name === undefined) {
        open.pop();
        continue;
      }
      const path = (folder.path === '' ? name : `${folder.path}/${name}`) as ByteString;
      const ignored = this.#isIgnored(path);
      if (ignored && !this.#mayContainIncluded(path)) continue;
      const found = this.#lstat(path);
      // Gone since the directory was read.
      if (found === undefined) continue;
      if (found.isDirectory()) {
        if (isUnwanted?.(path)) continue;
        enter(path, found);
        // An ignored directory appears only when something below it is included again.
        if (!ignored) yield* announce();
        continue;
      }
      const entry = ignored ? undefined : this.#leaf(path, found, links);
      if (entry === undefined) continue;
      if (!folder.announced) yield* announce();
      yield entry;
    }
  }

  /** Undefined for a socket: it is a running program's, and no archive can hold one. Every peer leaves it out. */
  #leaf(path: ByteString, stats: Stats, links: Map<string, ByteString>): Entry | undefined {
    const first = stats.nlink > 1 ? this.#firstName(path, links) : undefined;
    const mode = this.#metadata.mode(stats);
    const { uid, gid } = this.#metadata.owner(path, stats);
    const mtime = this.#metadata.time(stats);
    if (first !== undefined) return { type: 'hardlink', path, mode, uid, gid, mtime, target: first };
    const type = typeOf(stats);
    switch (type) {
      case 'file': {
        const { size, dev, ino, mtimeMs, ctimeMs } = stats;
        const content = {
          kind: 'disk',
          file: Buffer.from(this.#full(path), 'latin1'),
          stamp: { dev, ino, mtimeMs, ctimeMs },
        } as const;
        return { type, path, mode, uid, gid, mtime, size, content };
      }
      case 'symlink': {
        const target = readlinkSync(this.#onDisk(path), 'latin1') as ByteString;
        return { type, path, mode: 0o777, uid, gid, mtime, target };
      }
      case 'character':
      case 'block':
        return { type, path, mode, uid, gid, mtime, major: 0, minor: 0 };
      case 'fifo':
        return { type, path, mode, uid, gid, mtime };
      default:
        return undefined;
    }
  }

  #directory(path: ByteString, stats: Stats): DirectoryEntry {
    const { uid, gid } = this.#metadata.owner(path, stats);
    return { type: 'directory', path, mode: this.#metadata.mode(stats), uid, gid, mtime: this.#metadata.time(stats) };
  }

  /** The name a file was met under before; undefined the first time. Inodes may be above 2^53, where numbers end. */
  #firstName(path: ByteString, links: Map<string, ByteString>): ByteString | undefined {
    const stats = lstatSync(this.#onDisk(path), { bigint: true, throwIfNoEntry: false });
    if (stats === undefined) return undefined;
    const identity = `${stats.dev}:${stats.ino}`;
    const first = links.get(identity);
    if (first === undefined) links.set(identity, path);
    return first;
  }

  #lstat(path: ByteString): Stats | undefined {
    try {
      return lstatSync(this.#onDisk(path), { throwIfNoEntry: false });
    } catch (error) {
      if (errorCode(error) === 'ENOTDIR') return undefined;
      throw this.#unreadable(path, error);
    }
  }

  #names(directory: ByteString): readonly ByteString[] {
    try {
      // One character per byte: the order of characters is the order of bytes.
      return readdirSync(this.#onDisk(directory), 'latin1').sort() as ByteString[];
    } catch (error) {
      throw this.#unreadable(directory, error);
    }
  }

  #unreadable(path: ByteString, cause: unknown): ToolError {
    return unreadable(path, this.name, cause);
  }

  #full(path: ByteString): string {
    return path === '' ? this.#root : `${this.#root}/${path}`;
  }

  /** Text reaches the file system as UTF-8, so only ASCII may go as text. */
  #onDisk(path: ByteString): string | Buffer {
    const full = this.#full(path);
    return isAscii(full) ? full : bytesOf(full as ByteString);
  }

  #isLeftOut(path: ByteString): boolean {
    return path !== '' && this.#isIgnored(path) && !this.#mayContainIncluded(path);
  }

  #isIgnored(path: ByteString): boolean {
    return this.#ignore.isIgnored(readable(path));
  }

  #mayContainIncluded(path: ByteString): boolean {
    return this.#ignore.mayContainIncluded(readable(path));
  }
}

function typeOf({ mode }: Stats): Entry['type'] | undefined {
  const format = mode & typeMask;
  return format === socketType ? undefined : types.get(format);
}

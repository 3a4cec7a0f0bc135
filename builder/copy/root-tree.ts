import { lstatSync } from 'node:fs';
import { type CallOptions, ToolError } from '../../core/index.ts';
import {
  type ByteString,
  type DirectoryEntry,
  displayPath,
  type Entry,
  type FileEntry,
  type RootView,
} from '../../runtime/index.ts';
import type { SourceTree } from './source-tree.ts';

export interface RootTreeOptions {
  /** Files keep their owners; otherwise all are root's, as a Dockerfile user expects. */
  readonly keepOwner: boolean;
}

/** The root file system of a stage or image as a source. Modes, times and extended attributes are what they are there. */
export class RootTree implements SourceTree {
  readonly name: string;
  readonly #view: RootView;
  readonly #keepOwner: boolean;

  constructor(name: string, view: RootView, { keepOwner }: RootTreeOptions = { keepOwner: false }) {
    this.name = name;
    this.#view = view;
    this.#keepOwner = keepOwner;
  }

  async typeOf(path: ByteString): Promise<Entry['type'] | undefined> {
    return (await this.#view.lookup(path))?.type;
  }

  async resolve(path: ByteString): Promise<ByteString> {
    return (await this.#view.resolve(path)).path;
  }

  async list(directory: ByteString): Promise<readonly ByteString[]> {
    return this.#view.list(directory);
  }

  async directoryAt(path: ByteString): Promise<DirectoryEntry | undefined> {
    const found = await this.#view.lookup(path);
    if (found?.type !== 'directory') return undefined;
    const mtime = { seconds: Math.floor(lstatSync(found.file).mtimeMs / 1000), nanoseconds: 0 };
    const { mode, uid, gid } = found;
    const directory: DirectoryEntry = { type: 'directory', path, mode, uid, gid, mtime };
    return this.#owned(directory);
  }

  async *walk(path: ByteString, options: CallOptions = {}): AsyncGenerator<Entry> {
    for await (const entry of this.#view.walk(path, options)) {
      if (entry.type === 'whiteout' || entry.type === 'opaque') continue;
      yield entry.type === 'hardlink' ? await this.#anchored(entry, path) : this.#owned(entry);
    }
  }

  /** A hard link whose first name lies outside what is walked becomes a file of its own. */
  async #anchored(entry: Extract<Entry, { type: 'hardlink' }>, top: ByteString): Promise<Entry> {
    if (top === '' || entry.target === top || entry.target.startsWith(`${top}/`)) return this.#owned(entry);
    const found = await this.#view.lookup(entry.target);
    if (found === undefined || found.type !== 'file') {
      throw new ToolError(
        'COPY_SOURCE_UNREADABLE',
        `${displayPath(entry.path)} in ${this.name} links to a file that is not there`,
      );
    }
    const { path, mode, uid, gid, mtime } = entry;
    const content = { kind: 'disk', file: found.file } as const;
    const file: FileEntry = { type: 'file', path, mode, uid, gid, mtime, size: found.size, content };
    return this.#owned(file);
  }

  #owned<E extends { readonly uid: number; readonly gid: number }>(entry: E): E {
    return this.#keepOwner ? entry : { ...entry, uid: 0, gid: 0 };
  }
}

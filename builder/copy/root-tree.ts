import { type CallOptions, ToolError } from '../../core/index.ts';
import { type ByteString, displayPath, type Entry, type RootView } from '../../runtime/index.ts';
import type { SourceTree } from './source-tree.ts';

/** The root file system of a stage or image as a source. Ownership becomes 0:0, as a Dockerfile user expects. */
export class RootTree implements SourceTree {
  readonly name: string;
  readonly #view: RootView;

  constructor(name: string, view: RootView) {
    this.name = name;
    this.#view = view;
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

  async *walk(path: ByteString, options: CallOptions = {}): AsyncGenerator<Entry> {
    for await (const entry of this.#view.walk(path, options)) {
      if (entry.type === 'whiteout' || entry.type === 'opaque') continue;
      yield entry.type === 'hardlink' ? await this.#anchored(entry, path) : { ...entry, uid: 0, gid: 0 };
    }
  }

  /** A hard link whose first name lies outside what is walked becomes a file of its own. */
  async #anchored(entry: Extract<Entry, { type: 'hardlink' }>, top: ByteString): Promise<Entry> {
    if (top === '' || entry.target === top || entry.target.startsWith(`${top}/`)) return { ...entry, uid: 0, gid: 0 };
    const found = await this.#view.lookup(entry.target);
    if (found === undefined || found.type !== 'file') {
      throw new ToolError(
        'COPY_SOURCE_UNREADABLE',
        `${displayPath(entry.path)} in ${this.name} links to a file that is not there`,
      );
    }
    return { ...entry, uid: 0, gid: 0, type: 'file', size: found.size, content: { kind: 'disk', file: found.file } };
  }
}

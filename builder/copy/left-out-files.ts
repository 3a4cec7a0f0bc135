import type { ByteString, Entry } from '../../runtime/index.ts';

/** A file that is left out may be there under other names: the first of those that is not is then the file. */
export class LeftOutFiles {
  /** By the path that hard links name. */
  readonly #files = new Map<ByteString, Entry>();

  add(entry: Entry): void {
    if (entry.type !== 'directory') this.#files.set(entry.path, entry);
  }

  stoodInFor(entry: Entry): Entry {
    const file = entry.type === 'hardlink' ? this.#files.get(entry.target) : undefined;
    if (entry.type !== 'hardlink' || file === undefined) return entry;
    // The stand-in may have been left out too.
    if (file.path !== entry.target) return this.stoodInFor({ ...entry, target: file.path });
    const standIn = { ...file, path: entry.path };
    this.#files.set(entry.target, standIn);
    return standIn;
  }
}

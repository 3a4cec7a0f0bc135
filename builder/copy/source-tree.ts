import type { CallOptions } from '../../core/index.ts';
import type { ByteString, DirectoryEntry, Entry } from '../../runtime/index.ts';

export interface WalkOptions extends CallOptions {
  /** True for a directory of which nothing is wanted: it need not be entered. A tree may enter it all the same. */
  readonly isUnwanted?: (directory: ByteString) => boolean;
}

/**
 * A tree that a `copy` step reads: the build context, or the root file system of a stage or an image. Paths are
 * relative to the tree's root, `''` is the root itself.
 */
export interface SourceTree {
  /** For messages: `the context`, `stage deps`. */
  readonly name: string;
  /** Folder of this machine whose files may change between builds; undefined for a tree that never does. */
  readonly folder?: string;
  /** Type of what lies at a path, not followed; undefined when nothing (or something ignored) does. */
  typeOf(path: ByteString): Promise<Entry['type'] | undefined>;
  /** The path with all symlinks followed, within the tree. @throws ToolError COPY_SOURCE_OUTSIDE */
  resolve(path: ByteString): Promise<ByteString>;
  /** Names in a directory, sorted bytewise. */
  list(directory: ByteString): Promise<readonly ByteString[]>;
  /** A directory's own entry, whatever the ignore file says; undefined when there is none. */
  directoryAt(path: ByteString): Promise<DirectoryEntry | undefined>;
  /** Everything at and below a path, parents first; paths relative to the tree's root. */
  walk(path: ByteString, options?: WalkOptions): Iterable<Entry> | AsyncIterable<Entry>;
}

import type { CallOptions } from '../../core/index.ts';
import type { ByteString, Entry } from '../../runtime/index.ts';

/**
 * A tree that a `copy` step reads: the build context, or the root file system of a stage or an image. Paths are
 * relative to the tree's root, `''` is the root itself.
 */
export interface SourceTree {
  /** For messages: `the context`, `stage deps`. */
  readonly name: string;
  /** Type of what lies at a path, not followed; undefined when nothing (or something ignored) does. */
  typeOf(path: ByteString): Promise<Entry['type'] | undefined>;
  /** The path with all symlinks followed, within the tree. @throws ToolError COPY_SOURCE_OUTSIDE */
  resolve(path: ByteString): Promise<ByteString>;
  /** Names in a directory, sorted bytewise. */
  list(directory: ByteString): Promise<readonly ByteString[]>;
  /** Everything at and below a path, parents first; paths relative to the tree's root. */
  walk(path: ByteString, options?: CallOptions): AsyncIterable<Entry>;
}

import { closeSync, openSync, readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { type CallOptions, ToolError } from '../../core/index.ts';
import { entryOf } from './decode.ts';
import type { ByteString, Entry, FileEntry } from './entry.ts';
import { membersOfFile, truncated } from './layer-index.ts';
import {
  type DirectoryNode,
  emptyDirectory,
  type Inode,
  LayerModel,
  type LayerNode,
  overlay,
  undescribed,
} from './layer-model.ts';

/** Forty times the largest image known. */
const maxEntries = 10_000_000;
/** Larger files are streamed. */
const smallBytes = 256 * 1024;
const chunkBytes = 1024 * 1024;
const openFiles = 16;

export interface MergeOptions extends CallOptions {
  /** Nothing lies below: marks that hide something are left out. */
  readonly isComplete: boolean;
  /** Whether the layers below have something at a path; marks that would hide nothing are then left out. */
  readonly isBelow?: (path: ByteString) => Promise<boolean>;
}

/**
 * The entries of one layer that does what several do one after the other, in bytewise order of the paths. Only names
 * and metadata are kept in memory: content is read out of the files when its entry is taken.
 * @param files uncompressed tars, lowest first; as they are until the last entry's content has been read
 * @throws ToolError LAYER_INVALID, LAYER_UNSUPPORTED, LAYER_TRUNCATED
 */
export async function* mergedEntries(files: readonly string[], options: MergeOptions): AsyncGenerator<Entry, void> {
  const root = emptyDirectory();
  let count = 0;
  for (const file of files) {
    const model = new LayerModel();
    for await (const { header, offset } of membersOfFile(file, options)) {
      if (++count > maxEntries) throw tooMany();
      const entry = entryOf(header, undefined);
      if (entry !== undefined) model.add(entry, { file, offset });
    }
    overlay(root, model.root);
  }
  using content = new ContentReader();
  const names = new Map<Inode, ByteString>();
  const isBelow = options.isBelow ?? (() => Promise.resolve(true));
  for (const found of inOrder(root, options.isComplete)) {
    options.signal?.throwIfAborted();
    const { path, node } = found;
    if (node.kind === 'leaf') {
      yield leafEntry(path, node.inode, names, content);
    } else if (node.kind === 'whiteout') {
      if (await hidesSomething(found, isBelow)) yield { type: 'whiteout', path };
    } else {
      if (node.described !== undefined) yield { ...node.described, path };
      if (node.isOpaque && (await hidesSomething(found, isBelow))) yield { type: 'opaque', path };
    }
  }
}

interface Found {
  readonly path: ByteString;
  readonly node: LayerNode;
  /** Nothing of the layers below shows here, whatever this node says. */
  readonly isHidden: boolean;
  /** A mark is all that tells of a directory that no entry describes. */
  readonly isNeeded: boolean;
}

function inOrder(root: DirectoryNode, isComplete: boolean): Found[] {
  const found: Found[] = [];
  const visit = (path: ByteString, directory: DirectoryNode, isHidden: boolean): void => {
    if (isComplete && path !== '') directory.described ??= undescribed(path);
    const isNeeded = path !== '' && directory.described === undefined;
    found.push({ path, node: directory, isHidden, isNeeded });
    const prefix = path === '' ? '' : `${path}/`;
    for (const [name, node] of directory.children) {
      const child = `${prefix}${name}` as ByteString;
      if (node.kind === 'directory') visit(child, node, isHidden || directory.isOpaque);
      else found.push({ path: child, node, isHidden: isHidden || directory.isOpaque, isNeeded });
    }
  };
  visit('' as ByteString, root, isComplete);
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function hidesSomething(
  { path, isHidden, isNeeded }: Found,
  isBelow: (path: ByteString) => Promise<boolean>,
): Promise<boolean> {
  return isNeeded || (!isHidden && (await isBelow(path)));
}

/** The first name of a file has its content, the others are hard links to it: whichever layers they came from. */
function leafEntry(path: ByteString, inode: Inode, names: Map<Inode, ByteString>, content: ContentReader): Entry {
  const { entry, source } = inode;
  const target = names.get(inode);
  if (target !== undefined) {
    const { mode, uid, gid, mtime } = entry;
    return { type: 'hardlink', path, mode, uid, gid, mtime, target };
  }
  names.set(inode, path);
  if (entry.type !== 'file') return { ...entry, path };
  return { ...entry, path, content: content.of(entry, source) };
}

/** Small files are read as they are asked for, out of files that stay open; large ones open theirs again. */
class ContentReader implements Disposable {
  readonly #open = new Map<string, number>();

  of({ size }: FileEntry, { file, offset }: Inode['source']): FileEntry['content'] {
    if (size > smallBytes) return { kind: 'stream', stream: slice(file, offset, size) };
    const bytes = Buffer.allocUnsafe(size);
    const fd = this.#descriptor(file);
    for (let done = 0; done < size; ) {
      const count = readSync(fd, bytes, done, size - done, offset + done);
      if (count === 0) throw truncated();
      done += count;
    }
    return { kind: 'bytes', bytes };
  }

  [Symbol.dispose](): void {
    for (const fd of this.#open.values()) closeSync(fd);
    this.#open.clear();
  }

  #descriptor(file: string): number {
    const known = this.#open.get(file);
    if (known !== undefined) return known;
    for (const [other, fd] of this.#open) {
      if (this.#open.size < openFiles) break;
      closeSync(fd);
      this.#open.delete(other);
    }
    const fd = openSync(file, 'r');
    this.#open.set(file, fd);
    return fd;
  }
}

async function* slice(file: string, offset: number, size: number): AsyncGenerator<Buffer, void> {
  await using handle = await open(file, 'r');
  for (let done = 0; done < size; ) {
    const chunk = Buffer.allocUnsafeSlow(Math.min(chunkBytes, size - done));
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, offset + done);
    if (bytesRead === 0) throw truncated();
    done += bytesRead;
    yield bytesRead === chunk.length ? chunk : chunk.subarray(0, bytesRead);
  }
}

function tooMany(): ToolError {
  return new ToolError('LAYER_INVALID', `the layers have more than ${maxEntries} entries`, {
    hint: 'the image is made to do harm; tell who published it',
  });
}

import { type Dirent, lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs';
import { type CallOptions, errorCode, ToolError } from '../../core/index.ts';
import { type ByteString, byteString, byteStringOf, bytesOf, displayPath, type Entry } from '../../runtime/index.ts';
import type { IgnoreRules } from '../buildfile/ignore.ts';
import type { SourceTree } from './source-tree.ts';

/** Files of a context get one constant time: it says nothing about their content. */
const contextTime = { seconds: 1, nanoseconds: 0 };
const maxLinks = 40;

/**
 * The build context on disk. Ownership, times and umask of the checkout do not count: uid and gid are 0, modes 0644 or
 * 0755, unless `preserveMode`. Sync calls on purpose: they are four times as fast as their promises on small files.
 */
export class ContextTree implements SourceTree {
  readonly name = 'the context';
  readonly #root: Buffer;
  readonly #ignore: IgnoreRules;
  readonly #preserveMode: boolean;

  constructor(root: string, ignore: IgnoreRules, options: { readonly preserveMode: boolean }) {
    this.#root = Buffer.from(root);
    this.#ignore = ignore;
    this.#preserveMode = options.preserveMode;
  }

  async typeOf(path: ByteString): Promise<Entry['type'] | undefined> {
    const stats = this.#lstat(path);
    if (stats === undefined) return undefined;
    if (path !== '' && !stats.isDirectory() && this.#isIgnored(path)) return undefined;
    if (stats.isDirectory() && path !== '' && this.#isIgnored(path) && !this.#mayContainIncluded(path))
      return undefined;
    return typeOf(stats);
  }

  async resolve(path: ByteString): Promise<ByteString> {
    let links = 0;
    const pending = path.split('/').filter((part) => part !== '' && part !== '.');
    const done: string[] = [];
    for (let part = pending.shift(); part !== undefined; part = pending.shift()) {
      if (part === '..') {
        if (done.pop() === undefined) throw outside(path);
        continue;
      }
      const here = [...done, part].join('/') as ByteString;
      if (!this.#lstat(here)?.isSymbolicLink()) {
        done.push(part);
        continue;
      }
      if (++links > maxLinks)
        throw new ToolError('COPY_SOURCE_LOOP', `${displayPath(path)} in the context is a loop of symbolic links`);
      const target = readlinkSync(this.#onDisk(here), 'latin1');
      // An absolute link means a place on this machine, not in the context.
      if (target.startsWith('/')) throw outside(path);
      pending.unshift(...target.split('/').filter((step) => step !== '' && step !== '.'));
    }
    return done.join('/') as ByteString;
  }

  async list(directory: ByteString): Promise<readonly ByteString[]> {
    return this.#read(directory).map(nameOf);
  }

  async *walk(path: ByteString, options: CallOptions = {}): AsyncGenerator<Entry> {
    options.signal?.throwIfAborted();
    const stats = this.#lstat(path);
    if (stats === undefined) return;
    if (!stats.isDirectory()) {
      // A socket is a running program's, and no archive can hold one: left out, as by every peer.
      if (stats.isSocket()) return;
      if (!this.#isIgnored(path)) yield this.#entry(path, stats);
      return;
    }
    const ignored = path !== '' && this.#isIgnored(path);
    if (ignored && !this.#mayContainIncluded(path)) return;
    let announced = !ignored;
    if (announced) yield this.#entry(path, stats);
    for (const dirent of this.#read(path)) {
      for await (const entry of this.walk(join(path, nameOf(dirent)), options)) {
        // An ignored directory appears only because something below it was included again.
        if (!announced) yield this.#entry(path, stats);
        announced = true;
        yield entry;
      }
    }
  }

  #entry(path: ByteString, stats: Stats): Entry {
    const owned = { path, uid: 0, gid: 0, mtime: contextTime };
    switch (typeOf(stats)) {
      case 'file':
        return {
          ...owned,
          type: 'file',
          mode: this.#mode(stats),
          size: stats.size,
          content: { kind: 'disk', file: this.#onDisk(path) },
        };
      case 'directory':
        return { ...owned, type: 'directory', mode: this.#mode(stats) };
      case 'symlink':
        return {
          ...owned,
          type: 'symlink',
          mode: 0o777,
          target: readlinkSync(this.#onDisk(path), 'latin1') as ByteString,
        };
      default:
        throw new ToolError(
          'COPY_SPECIAL_FILE',
          `${displayPath(path)} in the context is a device, FIFO or socket and cannot be copied`,
          {
            hint: 'remove it, or name it in the ignore file',
          },
        );
    }
  }

  #mode(stats: Stats): number {
    if (this.#preserveMode) return stats.mode & 0o7777;
    return stats.isDirectory() || (stats.mode & 0o111) !== 0 ? 0o755 : 0o644;
  }

  #lstat(path: ByteString): Stats | undefined {
    try {
      return lstatSync(this.#onDisk(path));
    } catch (error) {
      if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
      throw unreadable(path, error);
    }
  }

  #read(directory: ByteString): Dirent<Buffer>[] {
    try {
      const found = readdirSync(this.#onDisk(directory), { withFileTypes: true, encoding: 'buffer' });
      return found.sort((a, b) => Buffer.compare(a.name, b.name));
    } catch (error) {
      throw unreadable(directory, error);
    }
  }

  #onDisk(path: ByteString): Buffer {
    return path === '' ? this.#root : Buffer.concat([this.#root, Buffer.from('/'), bytesOf(path)]);
  }

  #isIgnored(path: ByteString): boolean {
    return this.#ignore.isIgnored(bytesOf(path).toString('utf8'));
  }

  #mayContainIncluded(path: ByteString): boolean {
    return this.#ignore.mayContainIncluded(bytesOf(path).toString('utf8'));
  }
}

function typeOf(stats: Stats): Entry['type'] {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  if (stats.isSymbolicLink()) return 'symlink';
  if (stats.isFIFO() || stats.isSocket()) return 'fifo';
  return stats.isBlockDevice() ? 'block' : 'character';
}

function nameOf(dirent: Dirent<Buffer>): ByteString {
  return byteStringOf(dirent.name);
}

function join(directory: ByteString, name: ByteString): ByteString {
  return (directory === '' ? name : `${directory}/${name}`) as ByteString;
}

function outside(path: ByteString): ToolError {
  return new ToolError('COPY_SOURCE_OUTSIDE', `${displayPath(path)} leads out of the context`, {
    hint: 'copy the file into the context; links that leave it are not followed',
  });
}

function unreadable(path: ByteString, cause: unknown): ToolError {
  return new ToolError(
    'COPY_SOURCE_UNREADABLE',
    `cannot read ${displayPath(path === '' ? byteString('.') : path)} in the context`,
    {
      cause,
      hint: 'make it readable, or name it in the ignore file',
    },
  );
}

import { link, lstat, mkdir, open, rm, symlink } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { type CallOptions, errorCode, ToolError } from '../core/index.ts';
import { type ByteString, bytesOf, displayPath, type Entry, type FileEntry, forEachEntry } from '../runtime/index.ts';
import { staysInside } from './artifact-folder.ts';

/** setuid and its kin are for owners who are not kept. */
const modeBits = 0o777;

/**
 * Makes the files of a hostile tar below a new folder of ours, all the user's own. Nothing is made through a symbolic link, and
 * none may lead out of the folder.
 * @throws ToolError ARTIFACT_FOLDER_UNSAFE; LAYER_INVALID, LAYER_UNSUPPORTED, LAYER_TRUNCATED
 */
export async function unpackFolder(tar: Readable, folder: string, options: CallOptions = {}): Promise<void> {
  const unpacking = new Unpacking(folder);
  await forEachEntry(tar, (entry) => unpacking.make(entry), options);
}

class Unpacking {
  readonly #folder: Buffer;
  /** Real folders that are there. */
  readonly #folders = new Set<string>(['']);

  constructor(folder: string) {
    this.#folder = Buffer.from(`${folder}/`);
  }

  async make(entry: Entry): Promise<void> {
    switch (entry.type) {
      case 'directory':
        return this.#makeFolder(entry.path);
      case 'file':
        await this.#clear(entry.path);
        return this.#writeFile(entry);
      case 'symlink': {
        if (!staysInside(entry.path, entry.target))
          throw unsafe(entry, `a symbolic link to ${displayPath(entry.target)}`);
        await this.#clear(entry.path);
        return symlink(bytesOf(entry.target), this.#place(entry.path));
      }
      case 'hardlink': {
        await this.#clear(entry.path);
        if (!(await this.#isOwnFile(entry.target))) throw unsafe(entry, `a link to ${displayPath(entry.target)}`);
        return link(this.#place(entry.target), this.#place(entry.path));
      }
      case 'character':
      case 'block':
      case 'fifo':
      case 'whiteout':
      case 'opaque':
        throw unsafe(entry, `a ${entry.type}`);
    }
  }

  async #writeFile(entry: FileEntry): Promise<void> {
    await using handle = await open(this.#place(entry.path), 'wx', 0o600);
    const { content } = entry;
    if (content.kind === 'disk') throw new TypeError('entries of an archive are not on disk');
    if (content.kind === 'bytes') await handle.writeFile(content.bytes);
    else for await (const chunk of content.stream) await handle.writeFile(chunk);
    await handle.chmod(entry.mode & modeBits);
  }

  /** Room for an entry: its folders are there, and nothing is in its place. A later entry replaces an earlier one. */
  async #clear(path: ByteString): Promise<void> {
    await this.#makeFolder(parentOf(path));
    if (this.#folders.has(path)) throw unsafe({ path }, 'a file in the place of a folder');
    await rm(this.#place(path), { force: true });
  }

  async #makeFolder(path: string): Promise<void> {
    if (this.#folders.has(path)) return;
    await this.#makeFolder(parentOf(path));
    try {
      await mkdir(this.#place(path), { mode: 0o755 });
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
      throw unsafe({ path: path as ByteString }, 'a folder in the place of a file or a link');
    }
    this.#folders.add(path);
  }

  async #isOwnFile(path: ByteString): Promise<boolean> {
    if (!this.#folders.has(parentOf(path))) return false;
    try {
      return (await lstat(this.#place(path))).isFile();
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return false;
      throw error;
    }
  }

  #place(path: string): Buffer {
    return Buffer.concat([this.#folder, Buffer.from(path, 'latin1')]);
  }
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

function unsafe({ path }: { readonly path: ByteString }, what: string): ToolError {
  return new ToolError('ARTIFACT_FOLDER_UNSAFE', `a folder of the artifact has ${what} at ${displayPath(path)}`, {
    hint: 'tell who published it; nothing was written',
  });
}

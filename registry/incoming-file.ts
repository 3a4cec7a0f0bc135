import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { type Digest, parseDigest } from '../core/index.ts';

const writeBytes = 1024 * 1024;

/** A file that is being written beside its final place; it gets there whole or not at all. */
export class IncomingFile implements AsyncDisposable {
  readonly #file: string;
  readonly #handle: FileHandle;
  readonly #hash = createHash('sha256');
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #size = 0;
  #open = true;

  private constructor(file: string, handle: FileHandle) {
    this.#file = file;
    this.#handle = handle;
  }

  /** @param folder must be in the file system the file will end in */
  static async create(folder: string): Promise<IncomingFile> {
    await mkdir(folder, { recursive: true });
    const file = path.join(folder, randomBytes(12).toString('hex'));
    return new IncomingFile(file, await open(file, 'wx', 0o600));
  }

  get size(): number {
    return this.#size;
  }

  /** Of all that was appended. Ends the hash: ask once, at the end. */
  digest(): Digest {
    return parseDigest(`sha256:${this.#hash.digest('hex')}`);
  }

  /** The sink of a `pipeline`. */
  async append(chunks: AsyncIterable<Buffer>): Promise<void> {
    for await (const chunk of chunks) {
      this.#hash.update(chunk);
      this.#size += chunk.byteLength;
      this.#pending.push(chunk);
      this.#pendingBytes += chunk.byteLength;
      if (this.#pendingBytes >= writeBytes) await this.#flush();
    }
    await this.#flush();
  }

  /** fsync → rename; readable by all, whatever the umask. */
  async commit(place: string): Promise<void> {
    await this.#handle.chmod(0o644);
    await this.#handle.sync();
    await this.#close();
    await rename(this.#file, place);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
    await rm(this.#file, { force: true });
  }

  async #flush(): Promise<void> {
    // One write of many chunks: writev may write less than it was given, writeFile never does.
    if (this.#pendingBytes > 0) await this.#handle.appendFile(Buffer.concat(this.#pending, this.#pendingBytes));
    this.#pending = [];
    this.#pendingBytes = 0;
  }

  async #close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#handle.close();
  }
}

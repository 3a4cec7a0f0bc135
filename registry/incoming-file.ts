import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { type Digest, parseDigest } from '../core/index.ts';

const writeBytes = 1024 * 1024;
const zeros = Buffer.alloc(writeBytes);

/** A file that is being written beside its final place; it gets there whole or not at all. */
export class IncomingFile implements AsyncDisposable {
  readonly #file: string;
  readonly #handle: FileHandle;
  readonly #hash = createHash('sha256');
  /** Small chunks collect here: hashing and writing cost by the call. */
  #pending = Buffer.allocUnsafe(0);
  #pendingBytes = 0;
  /** One write at a time, beside which the next chunk is made and hashed. */
  #writing: Promise<void> = Promise.resolve();
  #size = 0;
  #written = 0;
  #endsInHole = false;
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

  /** The sink of a `pipeline`. A chunk is let go of before the one after the next is asked for. */
  async append(chunks: AsyncIterable<Buffer>): Promise<void> {
    for await (const chunk of chunks) {
      this.#size += chunk.byteLength;
      if (chunk.byteLength < writeBytes / 4) {
        await this.#collect(chunk);
        continue;
      }
      await this.#flush();
      await this.#write(chunk);
    }
    await this.#flush();
    await this.#writing;
    if (this.#endsInHole) await this.#handle.truncate(this.#size);
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

  async #collect(chunk: Buffer): Promise<void> {
    if (this.#pendingBytes + chunk.byteLength > writeBytes) await this.#flush();
    if (this.#pending.length === 0) this.#pending = Buffer.allocUnsafeSlow(writeBytes);
    chunk.copy(this.#pending, this.#pendingBytes);
    this.#pendingBytes += chunk.byteLength;
  }

  async #flush(): Promise<void> {
    if (this.#pendingBytes === 0) return;
    const full = this.#pending.subarray(0, this.#pendingBytes);
    this.#pending = Buffer.allocUnsafe(0);
    this.#pendingBytes = 0;
    await this.#write(full);
  }

  /** Returns when the write before has ended and this one has begun. */
  async #write(bytes: Buffer): Promise<void> {
    this.#hash.update(bytes);
    await this.#writing;
    const at = this.#written;
    this.#written += bytes.byteLength;
    // What is all zeros stays a hole: a disk image may be mostly that.
    this.#endsInHole = isZero(bytes);
    if (this.#endsInHole) return;
    this.#writing = writeAll(this.#handle, bytes, at);
    // Whoever waits for it next gets the error; nobody may.
    this.#writing.catch(() => {});
  }

  async #close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#writing.catch(() => {});
    await this.#handle.close();
  }
}

async function writeAll(handle: FileHandle, bytes: Buffer, at: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.byteLength - done, at + done);
    done += bytesWritten;
  }
}

/** Ends at the first byte that is not, which in most chunks is near the start. */
function isZero(bytes: Buffer): boolean {
  return bytes.byteLength <= writeBytes && bytes.compare(zeros, 0, bytes.byteLength) === 0;
}

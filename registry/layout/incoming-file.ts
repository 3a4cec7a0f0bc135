import { createHash, type Hash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import {
  type CallOptions,
  checkMatches,
  checkNotLonger,
  type Descriptor,
  type Digest,
  digestAlgorithm,
  digestHex,
  IntegrityError,
  parseDigest,
} from '../../core/index.ts';

const writeBytes = 1024 * 1024;
const zeros = Buffer.alloc(writeBytes);
const partialSuffix = '.partial';

/** A file that is being written beside its final place; it gets there whole or not at all. */
export class IncomingFile implements AsyncDisposable {
  readonly #file: string;
  readonly #handle: FileHandle;
  readonly #algorithm: 'sha256' | 'sha512';
  #hash: Hash;
  /** Small chunks collect in one of these, while the other is being written: hashing and writing cost by the call. */
  readonly #buffers: Buffer[] = [];
  #turn = 0;
  #pendingBytes = 0;
  /** One write at a time, beside which the next chunk is made and hashed. */
  #writing: Promise<void> = Promise.resolve();
  #size = 0;
  #written = 0;
  #endsInHole = false;
  #open = true;
  /** What came stays when it is disposed, for who goes on with it. */
  #isKept = false;

  private constructor(file: string, handle: FileHandle, algorithm: 'sha256' | 'sha512') {
    this.#file = file;
    this.#handle = handle;
    this.#algorithm = algorithm;
    this.#hash = createHash(algorithm);
  }

  /** @param folder must be in the file system the file will end in */
  static async create(folder: string, algorithm: 'sha256' | 'sha512' = 'sha256'): Promise<IncomingFile> {
    await mkdir(folder, { recursive: true });
    const file = path.join(folder, randomBytes(12).toString('hex'));
    return new IncomingFile(file, await open(file, 'wx', 0o600), algorithm);
  }

  /**
   * Goes on with what came of a blob before, which is read and hashed; begins when nothing did. One writer at a time:
   * the caller holds a lock. Until it is committed, what comes is kept.
   */
  static async resume(folder: string, descriptor: Descriptor, options: CallOptions = {}): Promise<IncomingFile> {
    await mkdir(folder, { recursive: true });
    const file = partialFile(folder, descriptor.digest);
    const handle = (await openOwnFile(file)) ?? (await openAnew(file));
    const incoming = new IncomingFile(file, handle, digestAlgorithm(descriptor.digest));
    incoming.#isKept = true;
    try {
      if ((await handle.stat()).size > descriptor.size) await incoming.restart();
      else await incoming.#readBack(options);
    } catch (error) {
      await incoming.#close();
      throw error;
    }
    return incoming;
  }

  get size(): number {
    return this.#size;
  }

  /** Of all that was appended. Ends the hash: ask once, at the end. */
  digest(): Digest {
    return parseDigest(`${this.#algorithm}:${this.#hash.digest('hex')}`);
  }

  /** The sink of a `pipeline`. A chunk is let go of before the one after the next is asked for. */
  async append(chunks: AsyncIterable<Buffer>): Promise<void> {
    for await (const chunk of chunks) await this.#take(chunk);
    await this.#flush();
    await this.#writing;
    if (this.#endsInHole) await this.#handle.truncate(this.#size);
  }

  /**
   * As `append`, to the end of a blob. When these are not its bytes, nothing of them is kept.
   * @throws IntegrityError BLOB_DIGEST_MISMATCH, BLOB_SIZE_MISMATCH
   */
  async appendRest(chunks: AsyncIterable<Buffer>, descriptor: Descriptor): Promise<void> {
    const take = (): void => checkNotLonger(descriptor, this.#size);
    try {
      await this.append(
        (async function* () {
          for await (const chunk of chunks) {
            yield chunk;
            take();
          }
        })(),
      );
      checkMatches(descriptor, { size: this.#size, digest: this.digest() });
    } catch (error) {
      if (error instanceof IntegrityError) await this.restart();
      throw error;
    }
  }

  /** Forgets all that came. */
  async restart(): Promise<void> {
    await this.#writing.catch(() => {});
    await this.#handle.truncate(0);
    this.#hash = createHash(this.#algorithm);
    this.#writing = Promise.resolve();
    [this.#pendingBytes, this.#size, this.#written, this.#endsInHole] = [0, 0, 0, false];
  }

  /** fsync → rename; readable by all, whatever the umask. */
  async commit(place: string): Promise<void> {
    await this.#handle.chmod(0o644);
    await this.#handle.sync();
    await this.#close();
    await rename(this.#file, place);
    this.#isKept = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What did not fill a buffer came as well.
    if (this.#open && this.#isKept) await this.#flush().catch(() => {});
    const isKept = this.#isKept && this.#written > 0;
    await this.#close();
    if (!isKept) await rm(this.#file, { force: true });
  }

  async #readBack({ signal }: CallOptions): Promise<void> {
    const buffer = Buffer.allocUnsafeSlow(writeBytes);
    for (;;) {
      signal?.throwIfAborted();
      const { bytesRead } = await this.#handle.read(buffer, 0, buffer.length, this.#size);
      if (bytesRead === 0) break;
      this.#hash.update(buffer.subarray(0, bytesRead));
      this.#size += bytesRead;
    }
    this.#written = this.#size;
  }

  async #take(chunk: Buffer): Promise<void> {
    this.#size += chunk.byteLength;
    if (chunk.byteLength < writeBytes / 4) return this.#collect(chunk);
    await this.#flush();
    await this.#write(chunk);
  }

  async #collect(chunk: Buffer): Promise<void> {
    if (this.#pendingBytes + chunk.byteLength > writeBytes) await this.#flush();
    const pending = this.#buffers[this.#turn] ?? Buffer.allocUnsafeSlow(writeBytes);
    this.#buffers[this.#turn] = pending;
    chunk.copy(pending, this.#pendingBytes);
    this.#pendingBytes += chunk.byteLength;
  }

  async #flush(): Promise<void> {
    const full = this.#buffers[this.#turn]?.subarray(0, this.#pendingBytes);
    if (full === undefined || full.length === 0) return;
    this.#turn = 1 - this.#turn;
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

/** Where the beginning of a blob lies while the rest is to come. */
export function partialFile(folder: string, digest: Digest): string {
  return path.join(folder, `${digestAlgorithm(digest)}-${digestHex(digest)}${partialSuffix}`);
}

/** The file, if it is a plain one that only this folder has: a layout may be another's, and a link lead out of it. */
async function openOwnFile(file: string): Promise<FileHandle | undefined> {
  const flags = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(file, flags).catch(() => undefined);
  if (handle === undefined) return undefined;
  const found = await handle.stat();
  if (found.isFile() && found.nlink === 1) return handle;
  await handle.close();
  return undefined;
}

async function openAnew(file: string): Promise<FileHandle> {
  await rm(file, { force: true });
  return open(file, 'wx+', 0o600);
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

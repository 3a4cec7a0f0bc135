import { type FileHandle, open } from 'node:fs/promises';
import path from 'node:path';
import { ToolError } from '../../core/index.ts';

const bufferBytes = 1024 * 1024;

/**
 * One scratch file that holds the contents of an archive's members, one after the other: they are read in another order
 * than they came in, and a file for each of them would cost more than the reading.
 */
export class Spool implements AsyncDisposable {
  readonly #handle: FileHandle;
  readonly #maxBytes: number;
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #size = 0;

  private constructor(handle: FileHandle, maxBytes: number) {
    this.#handle = handle;
    this.#maxBytes = maxBytes;
  }

  static async create(folder: string, maxBytes: number): Promise<Spool> {
    return new Spool(await open(path.join(folder, 'spool'), 'wx+', 0o600), maxBytes);
  }

  /** Takes a member's bytes and gives them back as often as they are iterated, once `flush` was called. */
  async add(content: AsyncIterable<Buffer>): Promise<{ readonly size: number; readonly bytes: AsyncIterable<Buffer> }> {
    const start = this.#size;
    for await (const chunk of content) {
      this.#size += chunk.length;
      if (this.#size > this.#maxBytes) {
        throw new ToolError('FETCH_ARCHIVE_TOO_LARGE', `it unpacks to more than ${this.#maxBytes} bytes`);
      }
      this.#pending.push(Buffer.from(chunk));
      this.#pendingBytes += chunk.length;
      if (this.#pendingBytes >= bufferBytes) await this.flush();
    }
    const size = this.#size - start;
    return { size, bytes: { [Symbol.asyncIterator]: () => this.#read(start, size) } };
  }

  async flush(): Promise<void> {
    if (this.#pendingBytes > 0) await this.#handle.appendFile(Buffer.concat(this.#pending, this.#pendingBytes));
    this.#pending = [];
    this.#pendingBytes = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }

  async *#read(start: number, size: number): AsyncGenerator<Buffer, void> {
    for (let done = 0; done < size; ) {
      const chunk = Buffer.allocUnsafe(Math.min(size - done, bufferBytes));
      const { bytesRead } = await this.#handle.read(chunk, 0, chunk.length, start + done);
      if (bytesRead === 0) throw new TypeError('the spool is shorter than what was put into it');
      done += bytesRead;
      yield chunk.subarray(0, bytesRead);
    }
  }
}

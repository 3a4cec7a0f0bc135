import { createHash, type Hash, randomUUID } from 'node:crypto';
import { type FileHandle, open, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { type CallOptions, type Clock, type Digest, digestAlgorithm, digestHex, errorCode } from '../../core/index.ts';
import { type ByteRange, uploadedRange } from './byte-range.ts';
import type { UploadRecord } from './records.ts';
import { digestInvalid, RequestError } from './request-error.ts';
import type { RegistryStorage } from './storage.ts';

const readChunkBytes = 1024 * 1024;

export interface UploadBody {
  /** @param signal aborted when another request takes the upload over */
  chunks(signal: AbortSignal): AsyncIterable<Buffer>;
  /** What the client says it sends; nothing where it just streams. */
  readonly range?: ByteRange | undefined;
}

/** What is known of an upload only as long as the process lives. */
interface Session {
  /** Of the first `hashed` bytes. */
  hash: Hash;
  hashed: number;
  /** Ends when the request that writes at the moment is done. */
  turn: Promise<void>;
  current: AbortController | undefined;
}

/**
 * Blobs on their way in. An upload is a file that only grows and a record; what has arrived is kept however the
 * connection or the process ended, and whoever comes back is told how much that is. distribution-spec, #pushing-blobs
 */
export class Uploads {
  readonly #storage: RegistryStorage;
  readonly #clock: Clock;
  readonly #maxBytes: number;
  readonly #sessions = new Map<string, Session>();

  constructor(storage: RegistryStorage, options: { readonly clock: Clock; readonly maxBytes?: number | undefined }) {
    this.#storage = storage;
    this.#clock = options.clock;
    this.#maxBytes = options.maxBytes ?? Number.MAX_SAFE_INTEGER;
  }

  async start(repository: string, algorithm: UploadRecord['algorithm'] = 'sha256'): Promise<UploadRecord> {
    const upload = { id: randomUUID(), repository, algorithm };
    // The record first: a file without one counts as left by a crash.
    this.#storage.records.addUpload(upload, this.#clock.now());
    try {
      await (await open(this.#file(upload.id), 'wx', 0o600)).close();
    } catch (error) {
      this.#storage.records.removeUpload(upload.id);
      throw error;
    }
    return upload;
  }

  /** @throws RequestError BLOB_UPLOAD_UNKNOWN */
  find(repository: string, id: string): UploadRecord {
    const found = this.#storage.records.findUpload(id);
    if (found?.repository !== repository) throw uploadUnknown();
    return found;
  }

  /** How many bytes have arrived. */
  async size({ id }: UploadRecord): Promise<number> {
    try {
      return (await stat(this.#file(id))).size;
    } catch (error) {
      if (errorCode(error) === 'ENOENT') throw uploadUnknown();
      throw error;
    }
  }

  /**
   * Adds bytes at the end; gives the size then.
   * @throws RequestError 416 where the chunk does not begin at the end of what is here
   */
  append(upload: UploadRecord, body: UploadBody): Promise<number> {
    return this.#alone(upload, (session, signal) => this.#append(upload, session, body, signal));
  }

  /**
   * Adds the last bytes and makes it a blob of the repository; gives its size.
   * @throws RequestError DIGEST_INVALID, and the upload is gone then
   */
  finish(upload: UploadRecord, digest: Digest, body: UploadBody | undefined): Promise<number> {
    return this.#alone(upload, async (session, signal) => {
      if (body !== undefined) await this.#append(upload, session, body, signal);
      const size = await this.#verify(upload, session, digest, { signal });
      await this.#storage.adopt(this.#file(upload.id), digest, () => {
        this.#storage.records.linkBlob(upload.repository, digest, this.#clock.now());
        this.#forget(upload.id);
      });
      return size;
    });
  }

  /** Lets go of the upload, also of one that is being written to. */
  cancel(upload: UploadRecord): Promise<void> {
    return this.#alone(upload, () => this.#remove(upload.id));
  }

  /** Removes uploads to which nobody added anything since; how many. */
  async expire(usedBeforeMs: number, options: CallOptions = {}): Promise<number> {
    let removed = 0;
    for (const id of this.#storage.records.uploadsUsedBefore(usedBeforeMs)) {
      options.signal?.throwIfAborted();
      if (this.#sessions.get(id)?.current !== undefined) continue;
      await this.#remove(id);
      removed++;
    }
    return removed;
  }

  /** One request at a time writes: who comes later ends what came before, whose client has most likely gone. */
  async #alone<R>(upload: UploadRecord, work: (session: Session, signal: AbortSignal) => Promise<R>): Promise<R> {
    const session = this.#session(upload);
    session.current?.abort(
      new RequestError(409, { code: 'BLOB_UPLOAD_INVALID', message: 'another request took over' }),
    );
    const before = session.turn;
    const mine = Promise.withResolvers<void>();
    session.turn = mine.promise;
    await before;
    const controller = new AbortController();
    session.current = controller;
    try {
      // It may have ended while this one waited.
      this.find(upload.repository, upload.id);
      return await work(session, controller.signal);
    } finally {
      session.current = undefined;
      mine.resolve();
      if (this.#storage.records.findUpload(upload.id) === undefined) this.#sessions.delete(upload.id);
    }
  }

  async #append(upload: UploadRecord, session: Session, body: UploadBody, signal: AbortSignal): Promise<number> {
    await using file = await open(this.#file(upload.id), 'r+');
    const { size } = await file.stat();
    if (body.range !== undefined && body.range.first !== size) throw outOfOrder(upload, size);
    await this.#hashUpTo(file, upload.algorithm, session, size, { signal });
    this.#storage.records.renewUpload(upload.id, this.#clock.now());
    const limit = body.range === undefined ? Number.MAX_SAFE_INTEGER : body.range.last + 1;
    try {
      await this.#writeAll(file, session, body.chunks(signal), Math.min(limit, this.#maxBytes));
    } finally {
      this.#storage.records.renewUpload(upload.id, this.#clock.now());
    }
    if (body.range !== undefined && session.hashed !== limit) {
      throw sizeInvalid(400, 'the chunk has fewer bytes than its Content-Range says');
    }
    return session.hashed;
  }

  /** One chunk is written while the next one comes in. */
  async #writeAll(file: FileHandle, session: Session, chunks: AsyncIterable<Buffer>, limit: number): Promise<void> {
    let writing: Promise<unknown> = Promise.resolve();
    try {
      for await (const chunk of chunks) {
        if (session.hashed + chunk.byteLength > limit) {
          throw limit === this.#maxBytes
            ? sizeInvalid(413, `blobs here have at most ${limit} bytes`)
            : sizeInvalid(400, 'the chunk has more bytes than its Content-Range says');
        }
        await writing;
        const at = session.hashed;
        session.hash.update(chunk);
        session.hashed += chunk.byteLength;
        writing = writeWhole(file, chunk, at);
        // Awaited with the next chunk, or at the end.
        writing.catch(() => {});
      }
    } finally {
      await writing;
    }
  }

  /** @throws RequestError DIGEST_INVALID */
  async #verify(upload: UploadRecord, session: Session, digest: Digest, options: CallOptions): Promise<number> {
    await using file = await open(this.#file(upload.id), 'r+');
    const { size } = await file.stat();
    await this.#hashUpTo(file, digestAlgorithm(digest), session, size, options, upload.algorithm);
    const found = session.hash.digest('hex');
    // A hash that has told its digest takes no more.
    session.hashed = -1;
    if (found !== digestHex(digest)) {
      await this.#remove(upload.id);
      throw digestInvalid('the uploaded bytes do not have this digest');
    }
    await file.chmod(0o644);
    await file.sync();
    return size;
  }

  /** Makes the hash that of the file: it is not after a restart, a failed write, or for another algorithm. */
  async #hashUpTo(
    file: FileHandle,
    wanted: UploadRecord['algorithm'],
    session: Session,
    size: number,
    { signal }: CallOptions,
    running: UploadRecord['algorithm'] = wanted,
  ): Promise<void> {
    if (wanted === running && session.hashed === size) return;
    session.hash = createHash(wanted);
    session.hashed = 0;
    const buffer = Buffer.allocUnsafeSlow(readChunkBytes);
    while (session.hashed < size) {
      signal?.throwIfAborted();
      const { bytesRead } = await file.read(
        buffer,
        0,
        Math.min(buffer.byteLength, size - session.hashed),
        session.hashed,
      );
      if (bytesRead === 0) break;
      session.hash.update(buffer.subarray(0, bytesRead));
      session.hashed += bytesRead;
    }
  }

  #session({ id, algorithm }: UploadRecord): Session {
    const known = this.#sessions.get(id);
    if (known !== undefined) return known;
    const made = { hash: createHash(algorithm), hashed: 0, turn: Promise.resolve(), current: undefined };
    this.#sessions.set(id, made);
    return made;
  }

  async #remove(id: string): Promise<void> {
    this.#forget(id);
    await rm(this.#file(id), { force: true });
  }

  #forget(id: string): void {
    this.#storage.records.removeUpload(id);
    this.#sessions.delete(id);
  }

  #file(id: string): string {
    return path.join(this.#storage.uploadFolder, id);
  }
}

/** Where an upload goes on. */
export function uploadLocation({ repository, id }: UploadRecord): string {
  return `/v2/${repository}/blobs/uploads/${id}`;
}

async function writeWhole(file: FileHandle, bytes: Buffer, at: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.byteLength - done, at + done);
    done += bytesWritten;
  }
}

function uploadUnknown(): RequestError {
  return new RequestError(404, { code: 'BLOB_UPLOAD_UNKNOWN', message: 'there is no such upload' });
}

function outOfOrder(upload: UploadRecord, size: number): RequestError {
  const message = `the next chunk begins at byte ${size}`;
  const headers = { Location: uploadLocation(upload), Range: uploadedRange(size), 'Docker-Upload-UUID': upload.id };
  return new RequestError(416, { code: 'BLOB_UPLOAD_INVALID', message }, headers);
}

function sizeInvalid(status: number, message: string): RequestError {
  return new RequestError(status, { code: 'SIZE_INVALID', message });
}

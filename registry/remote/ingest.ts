import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { type CallOptions, type IngestedBlob, IntegrityError, parseDigest } from '../../core/index.ts';
import type { BlobUpload } from './upload.ts';
import { lost, refused, type UploadSession } from './upload-session.ts';

export interface IngestOptions extends CallOptions {
  /** What the bytes are, whatever their digest will be: an upload of them that broke off is gone on with. */
  readonly key: string;
}

/** One is sent while the next is filled. Amazon takes no less. */
const chunkBytes = 5 * 1024 * 1024;
/** Registries that want more at once get the blob whole. */
const maxChunkBytes = 32 * 1024 * 1024;

/** Sends bytes in chunks while they are made. distribution-spec, #pushing-a-blob-in-chunks */
export class Ingest {
  readonly #uploads: BlobUpload;
  readonly #options: IngestOptions;
  readonly #hash = createHash('sha256');
  #size = 0;
  #upload: UploadSession | undefined;
  #chunkBytes = chunkBytes;
  /** How many bytes at the beginning the registry had before. */
  #there = 0;
  /** One is filled while the other is sent. */
  #filling: Buffer | undefined;
  #spare: Buffer | undefined;
  #filled = 0;
  /** One chunk at a time, in their order. */
  #sending: Promise<void> = Promise.resolve();

  constructor(uploads: BlobUpload, options: IngestOptions) {
    this.#uploads = uploads;
    this.#options = options;
  }

  async take(content: Readable): Promise<IngestedBlob> {
    this.#upload = await this.#uploads.find(this.#options.key, this.#options);
    this.#there = this.#upload?.offset ?? 0;
    try {
      for await (const bytes of content as AsyncIterable<Buffer>) await this.#add(bytes);
      return await this.#finish();
    } finally {
      // Nothing goes on behind the back of who called.
      await Promise.allSettled([this.#sending]);
    }
  }

  async #add(bytes: Buffer): Promise<void> {
    this.#options.signal?.throwIfAborted();
    this.#hash.update(bytes);
    const before = this.#size;
    this.#size += bytes.byteLength;
    let rest = bytes.subarray(Math.min(Math.max(this.#there - before, 0), bytes.byteLength));
    while (rest.byteLength > 0) {
      if (this.#filled === this.#chunkBytes) await this.#flush();
      this.#filling ??= Buffer.allocUnsafeSlow(this.#chunkBytes);
      const copied = rest.copy(this.#filling, this.#filled);
      this.#filled += copied;
      rest = rest.subarray(copied);
    }
  }

  /** Returns when the chunk before has been sent and this one is on its way, or there is more room for it. */
  async #flush(): Promise<void> {
    const upload = await this.#begun();
    const full = this.#filling;
    if (full === undefined) return;
    if (full.byteLength < this.#chunkBytes) {
      this.#filling = Buffer.allocUnsafeSlow(this.#chunkBytes);
      full.copy(this.#filling);
      return;
    }
    await this.#sending;
    this.#filling = this.#spare;
    this.#spare = full;
    this.#filled = 0;
    this.#sending = this.#send(upload, full);
    // Whoever waits for it next gets the error.
    this.#sending.catch(() => undefined);
  }

  async #send(upload: UploadSession, chunk: Buffer): Promise<void> {
    await upload.append(chunk, this.#options);
    await this.#uploads.remember(this.#options.key, upload);
  }

  async #begun(): Promise<UploadSession> {
    if (this.#upload !== undefined) return this.#upload;
    this.#upload = await this.#uploads.begin(this.#options);
    this.#chunkBytes = Math.max(chunkBytes, this.#upload.minChunkBytes);
    if (this.#chunkBytes <= maxChunkBytes) return this.#upload;
    await this.#upload.cancel(this.#options);
    throw refused(this.#upload.location.host);
  }

  async #finish(): Promise<IngestedBlob> {
    await this.#sending;
    const blob = { digest: parseDigest(`sha256:${this.#hash.digest('hex')}`), size: this.#size };
    const rest = this.#filling?.subarray(0, this.#filled) ?? Buffer.alloc(0);
    if (this.#upload === undefined) await this.#sendWhole(blob, rest);
    else await this.#complete(this.#upload, blob, rest);
    return blob;
  }

  /** So little is known whole: it goes as everything goes whose digest is known, if it has to. */
  async #sendWhole(blob: IngestedBlob, bytes: Buffer): Promise<void> {
    if (await this.#uploads.has(blob.digest, this.#options)) return;
    await this.#uploads.finish(await this.#uploads.begin(this.#options), blob, bytes, this.#options);
  }

  async #complete(upload: UploadSession, blob: IngestedBlob, rest: Buffer): Promise<void> {
    const { key } = this.#options;
    // What was there before may have been the beginning of something else.
    const isOther = (error: unknown) => error instanceof IntegrityError && this.#there > 0;
    try {
      if (this.#size < this.#there) throw lost(upload.location.host);
      if (rest.byteLength > 0) await upload.append(rest, this.#options);
      await this.#uploads.finish(upload, blob, Buffer.alloc(0), this.#options);
    } catch (error) {
      if (this.#size >= this.#there && !(error instanceof IntegrityError)) throw error;
      await this.#uploads.forget(key);
      throw isOther(error) ? lost(upload.location.host) : error;
    }
    await this.#uploads.forget(key);
  }
}

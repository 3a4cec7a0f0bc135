import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  type CallOptions,
  type Descriptor,
  errorCode,
  IntegrityError,
  type PartialBlob,
  verifying,
} from '../../core/index.ts';
import { discard } from './http.ts';
import type { BlobUpload } from './upload.ts';
import type { UploadSession } from './upload-session.ts';

/** Uploads of smaller blobs are begun anew. */
const rememberedBytes = 8 * 1024 * 1024;

/**
 * A blob of which the registry may have the beginning. All of it goes in one PUT, which every registry takes; the rest
 * of one that broke off, in one with a range.
 */
export class PartialUpload implements PartialBlob {
  readonly #uploads: BlobUpload;
  readonly #descriptor: Descriptor;
  #upload: UploadSession | undefined;

  constructor(uploads: BlobUpload, descriptor: Descriptor, upload: UploadSession | undefined) {
    this.#uploads = uploads;
    this.#descriptor = descriptor;
    this.#upload = upload !== undefined && upload.offset <= descriptor.size ? upload : undefined;
  }

  get bytes(): number {
    return this.#upload?.offset ?? 0;
  }

  async append(content: Readable, options: CallOptions = {}): Promise<void> {
    const { digest, size } = this.#descriptor;
    const isLarge = size >= rememberedBytes;
    try {
      this.#upload ??= await this.#uploads.begin(options);
      if (isLarge) await this.#uploads.remember(digest, this.#upload);
      await this.#put(this.#upload, content, options);
      if (isLarge) await this.#uploads.forget(digest);
    } catch (error) {
      await this.#findRest(error, options);
      throw error;
    } finally {
      content.destroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  async #put(upload: UploadSession, content: Readable, options: CallOptions): Promise<void> {
    const descriptor = this.#descriptor;
    // Of a rest, the digest is for the registry to check.
    const checked = upload.offset === 0 ? verifying(descriptor) : undefined;
    const stream = checked ?? content;
    const feeding = checked === undefined ? undefined : pipeline(content, checked, { signal: options.signal });
    const body = { stream, size: descriptor.size - upload.offset };
    const sending = upload
      .finish(descriptor.digest, body, options)
      // An early answer leaves the rest unsent.
      .finally(() => stream.destroy());
    const [fed, sent] = await Promise.allSettled([feeding, sending]);
    // Wrong bytes are the reason why the sending failed; the other way round the stream just ended early.
    if (fed.status === 'rejected' && errorCode(fed.reason) !== 'ERR_STREAM_PREMATURE_CLOSE') {
      if (sent.status === 'fulfilled') await discard(sent.value);
      throw fed.reason;
    }
    if (sent.status === 'rejected') throw sent.reason;
    await this.#uploads.accept(sent.value, descriptor.digest);
  }

  /** After a failure: what the registry has now; nothing, when it does not say. */
  async #findRest(error: unknown, options: CallOptions): Promise<void> {
    this.#upload = undefined;
    if (options.signal?.aborted || this.#descriptor.size < rememberedBytes) return;
    const { digest } = this.#descriptor;
    if (error instanceof IntegrityError) return this.#uploads.forget(digest);
    try {
      this.#upload = await this.#uploads.find(digest, options);
    } catch {
      // The registry cannot be asked; why not, the first error says.
    }
  }
}

import { Readable } from 'node:stream';
import { type CallOptions, errorCode, ToolError } from '../../core/index.ts';
import type { HttpResponse } from './http.ts';
import { showUrl } from './shown.ts';

/** What is asked for: the whole, or what follows a byte. */
export interface RangeRequest {
  readonly from: number;
  /** `Range`, and `If-Range` where the server said how to recognise what it has. Empty for the whole. */
  readonly headers: Readonly<Record<string, string>>;
  /** True when it goes on with what broke off. */
  readonly resumes: boolean;
}

export interface ResumableOptions extends CallOptions {
  /** How many bytes at the start are not wanted. */
  readonly from?: number;
  /** Of the whole; what is said to have another size is not gone on with. */
  readonly size?: number;
  /** Waits before the download is tried again; the first failure in a row is 1. */
  readonly backoff?: (failures: number) => Promise<void>;
}

/** In a row, without a byte in between. */
const maxFailures = 4;
const maxResumptions = 50;

/**
 * Opens a download that goes on where it breaks off. A server may answer a range with the whole: what is here already is
 * passed over then. Resumed bytes may be wrong like all others: whoever reads verifies.
 * @param get has thrown unless the answer is 200 or, to a range, 206
 * @throws ToolError REGISTRY_UNEXPECTED_ANSWER, also while it is read; whatever `get` throws
 */
export async function openResumable(
  get: (range: RangeRequest) => Promise<HttpResponse>,
  options: ResumableOptions = {},
): Promise<Readable> {
  const { from = 0, size } = options;
  // No server has a range for nothing.
  if (from > 0 && from === size) return Readable.from([], { objectMode: false });
  const download = new Download(get, options);
  await download.open();
  return new Readable({
    read() {
      download.next().then(
        (chunk) => this.push(chunk ?? null),
        (error: Error) => this.destroy(error),
      );
    },
    destroy(error, callback) {
      download.close();
      callback(error);
    },
  });
}

class Download {
  readonly #get: (range: RangeRequest) => Promise<HttpResponse>;
  readonly #options: ResumableOptions;
  /** Of the whole: the byte that is wanted next. */
  #position: number;
  #body: Readable | undefined;
  #chunks: AsyncIterator<Buffer> | undefined;
  /** Bytes of the body that are here already. */
  #surplus = 0;
  /** Where the range ends that the body is of; undefined when it is all there is. */
  #end: number | undefined;
  /** What the first answer said to recognise its bytes by. */
  #validator: string | undefined;
  #failures = 0;
  #resumptions = 0;

  constructor(get: (range: RangeRequest) => Promise<HttpResponse>, options: ResumableOptions) {
    this.#get = get;
    this.#options = options;
    this.#position = options.from ?? 0;
  }

  async open(): Promise<void> {
    const from = this.#position;
    const ranged: Record<string, string> = from === 0 ? {} : { Range: `bytes=${from}-` };
    const known: Record<string, string> =
      from === 0 || this.#validator === undefined ? {} : { 'If-Range': this.#validator };
    const resumes = this.#resumptions > 0;
    const response = await this.#get({ from, headers: { ...ranged, ...known }, resumes });
    try {
      this.#take(response);
    } catch (error) {
      response.body.destroy();
      throw error;
    }
  }

  /** Undefined at the end. */
  async next(): Promise<Buffer | undefined> {
    for (;;) {
      const chunk = await this.#read();
      if (chunk === undefined) {
        // A range may be answered with less than was asked for.
        if (this.#end === undefined || this.#position >= (this.#options.size ?? this.#end)) return undefined;
        await this.#resume(new ToolError('REGISTRY_UNREACHABLE', 'the download ended early'));
      } else if (chunk.byteLength > 0) {
        return chunk;
      }
    }
  }

  close(): void {
    this.#body?.destroy();
  }

  /** What is wanted of the next chunk, which may be nothing. */
  async #read(): Promise<Buffer | undefined> {
    let result: IteratorResult<Buffer> | undefined;
    try {
      result = await this.#chunks?.next();
    } catch (error) {
      await this.#resume(error);
      return Buffer.alloc(0);
    }
    if (result === undefined || result.done === true) return undefined;
    const skipped = Math.min(this.#surplus, result.value.byteLength);
    const chunk = result.value.subarray(skipped);
    this.#surplus -= skipped;
    this.#position += chunk.byteLength;
    if (chunk.byteLength > 0) this.#failures = 0;
    return chunk;
  }

  /** @throws the reason why it broke off, when it did so too often, or that is no breaking off */
  async #resume(reason: unknown): Promise<void> {
    for (let error = reason; ; ) {
      this.#failures += 1;
      this.#resumptions += 1;
      if (!isBroken(error) || this.#failures > maxFailures || this.#resumptions > maxResumptions) throw error;
      this.#options.signal?.throwIfAborted();
      this.#body?.destroy();
      await this.#options.backoff?.(this.#failures);
      try {
        return await this.open();
      } catch (again) {
        error = again;
      }
    }
  }

  #take(response: HttpResponse): void {
    const position = this.#position;
    const { size } = this.#options;
    this.#end = undefined;
    this.#surplus = 0;
    if (response.status === 206) {
      const range = rangeOf(response);
      const isOurs = range !== undefined && range.start === position && range.end > position;
      const isWithin =
        size === undefined || (range !== undefined && range.end <= size && (range.size ?? size) === size);
      if (!isOurs || !isWithin) throw unexpected(response, 'another range than the one that was asked for');
      this.#end = range.end;
    } else if (position > 0) {
      const length = response.headers.get('content-length');
      if (size !== undefined && length !== undefined && Number(length) !== size) {
        throw unexpected(response, `${Number(length)} bytes where there were to be ${size}`);
      }
      this.#surplus = position;
    }
    this.#validator ??= validatorOf(response);
    this.#body = response.body;
    this.#chunks = response.body[Symbol.asyncIterator]();
  }
}

function isBroken(error: unknown): boolean {
  return ['REGISTRY_UNREACHABLE', 'REGISTRY_STALLED'].includes(errorCode(error) ?? '');
}

/** `end` is that of the byte behind the last. RFC 9110 §14.4 */
function rangeOf({ headers }: HttpResponse): { start: number; end: number; size: number | undefined } | undefined {
  const found = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(headers.get('content-range')?.trim() ?? '');
  if (found === null) return undefined;
  const [, start, end, size] = found;
  return { start: Number(start), end: Number(end) + 1, size: size === '*' ? undefined : Number(size) };
}

/** A weak ETag does not promise the same bytes. RFC 9110 §13.1.5 */
function validatorOf({ headers }: HttpResponse): string | undefined {
  const etag = headers.get('etag')?.trim() ?? '';
  return /^"[\x21\x23-\x7e]{1,200}"$/.test(etag) ? etag : undefined;
}

function unexpected(response: HttpResponse, what: string): ToolError {
  return new ToolError('REGISTRY_UNEXPECTED_ANSWER', `${showUrl(response.url)} sent ${what}`);
}

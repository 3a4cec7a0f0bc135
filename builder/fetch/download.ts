import { type CallOptions, sleep, ToolError } from '../../core/index.ts';
import { type HttpAnswer, type HttpClient, isTransient } from './http-client.ts';
import { showUrl } from './http-url.ts';

/** What a server said to recognise a file by. */
export interface Validators {
  readonly etag?: string;
  readonly lastModified?: string;
}

export interface DownloadOptions extends CallOptions {
  /** Value for `Authorization`, for the origin of the URL only. */
  readonly authorization?: string | undefined;
  /** Of a file that is here already: asks for it only if it is another one now. */
  readonly known?: Validators | undefined;
  /** The bytes will be compared with a digest, so that resuming needs no validator. */
  readonly isVerified?: boolean;
  /** Bytes so far, and all of them where the server said so. */
  readonly onProgress?: ((received: number, total: number | undefined) => void) | undefined;
  readonly maxBytes?: number;
  /** Before the first repetition; doubled for each further one. */
  readonly retryDelayMs?: number;
}

export type Download =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'file'; readonly validators: Validators; readonly bytes: AsyncIterable<Buffer> };

/** Thrown while the bytes are read: what came so far is no beginning of what the server has now. Start again. */
export class StartAgain extends Error {}

/** As much as a layer's tar can be expected to hold. */
const defaultMaxBytes = 64 * 1024 ** 3;
/** In a row, without a byte in between. */
const maxAttempts = 5;
const maxResumptions = 50;
const maxWaitMs = 60_000;
const retriedStatuses: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/**
 * Opens a download that goes on where it broke off, as long as it is still the same file.
 * @throws ToolError FETCH_STATUS, FETCH_TOO_LARGE, and what HttpClient throws, also while it is read
 */
export async function openDownload(client: HttpClient, url: URL, options: DownloadOptions = {}): Promise<Download> {
  const transfer = new Transfer(client, url, options);
  const first = await transfer.open();
  if (first.status === 304) {
    first.discard();
    return { kind: 'unchanged' };
  }
  return { kind: 'file', validators: validatorsOf(first), bytes: transfer.bytes(first) };
}

class Transfer {
  readonly #client: HttpClient;
  readonly #url: URL;
  readonly #options: DownloadOptions;
  /** Failures since the last byte. */
  #failures = 0;
  #resumptions = 0;
  #received = 0;

  constructor(client: HttpClient, url: URL, options: DownloadOptions) {
    this.#client = client;
    this.#url = url;
    this.#options = options;
  }

  open(): Promise<HttpAnswer> {
    const { known } = this.#options;
    return this.#answer({
      ...(known?.etag === undefined ? {} : { 'if-none-match': known.etag }),
      ...(known?.lastModified === undefined ? {} : { 'if-modified-since': known.lastModified }),
    });
  }

  async *bytes(first: HttpAnswer): AsyncGenerator<Buffer, void> {
    const total = this.#totalOf(first);
    for (let body = first.body; ; ) {
      try {
        for await (const chunk of body) {
          this.#count(chunk.length, total);
          yield chunk;
        }
        if (total === undefined || this.#received >= total) return;
        // A range may be answered with less than was asked for.
        throw new ToolError('FETCH_BROKEN_OFF', `${showUrl(this.#url)}: ${total - this.#received} bytes are missing`);
      } catch (error) {
        if (!isTransient(error) || this.#resumptions++ >= maxResumptions) throw error;
        await this.#wait(error, undefined);
      }
      body = await this.#rest(first);
    }
  }

  #count(bytes: number, total: number | undefined): void {
    this.#received += bytes;
    this.#failures = 0;
    if (this.#received > this.#maxBytes) throw this.#tooLarge();
    this.#options.onProgress?.(this.#received, total);
  }

  /** What follows the bytes that have come. @throws StartAgain */
  async #rest(first: HttpAnswer): Promise<AsyncIterable<Buffer>> {
    if (this.#received === 0) return (await this.#sameFile(first)).body;
    const validators = validatorsOf(first);
    // A weak ETag does not promise the same bytes. RFC 9110, section 13.1.5
    const condition = isStrong(validators.etag) ? validators.etag : validators.lastModified;
    if (condition === undefined && this.#options.isVerified !== true) throw new StartAgain();
    const answer = await this.#answer({
      range: `bytes=${this.#received}-`,
      ...(condition === undefined ? {} : { 'if-range': condition }),
    });
    if (answer.status === 206 && startOf(answer) === this.#received) return answer.body;
    if (answer.status === 200 && isSame(first, answer)) return skipping(answer.body, this.#received);
    answer.discard();
    throw new StartAgain();
  }

  async #sameFile(first: HttpAnswer): Promise<HttpAnswer> {
    const answer = await this.#answer({});
    if (
      this.#totalOf(first) === this.#totalOf(answer) &&
      JSON.stringify(validatorsOf(first)) === JSON.stringify(validatorsOf(answer))
    )
      return answer;
    answer.discard();
    throw new StartAgain();
  }

  /** A 200, 206 or 304; tried again where that may help. */
  async #answer(headers: Readonly<Record<string, string>>): Promise<HttpAnswer> {
    const { authorization, signal } = this.#options;
    const all = { ...headers, ...(authorization === undefined ? {} : { authorization }) };
    for (;;) {
      let answer: HttpAnswer;
      try {
        answer = await this.#client.get({ url: this.#url, headers: all }, { signal });
      } catch (error) {
        if (!isTransient(error)) throw error;
        await this.#wait(error, undefined);
        continue;
      }
      if (answer.status === 200 || (answer.status === 206 && 'range' in all)) return answer;
      if (answer.status === 304 && ('if-none-match' in all || 'if-modified-since' in all)) return answer;
      if (answer.status === 416 && 'range' in all) return answer;
      answer.discard();
      const error = statusError(this.#url, answer);
      if (!retriedStatuses.has(answer.status)) throw error;
      await this.#wait(error, answer.headers['retry-after']);
    }
  }

  /** @throws the error when it came too often */
  async #wait(error: unknown, retryAfter: string | undefined): Promise<void> {
    if (++this.#failures >= maxAttempts) throw error;
    const ownMs = (this.#options.retryDelayMs ?? 500) * 2 ** (this.#failures - 1);
    const askedMs = /^[0-9]{1,6}$/.test(retryAfter ?? '') ? Number(retryAfter) * 1000 : 0;
    await sleep(Math.min(Math.max(ownMs, askedMs), maxWaitMs), this.#options);
  }

  #totalOf({ headers }: HttpAnswer): number | undefined {
    const length = headers['content-length'];
    if (length === undefined || !/^[0-9]{1,15}$/.test(length)) return undefined;
    if (Number(length) > this.#maxBytes) throw this.#tooLarge();
    return Number(length);
  }

  get #maxBytes(): number {
    return this.#options.maxBytes ?? defaultMaxBytes;
  }

  #tooLarge(): ToolError {
    return new ToolError('FETCH_TOO_LARGE', `${showUrl(this.#url)} has more than ${this.#maxBytes} bytes`);
  }
}

async function* skipping(body: AsyncIterable<Buffer>, count: number): AsyncGenerator<Buffer, void> {
  let left = count;
  for await (const chunk of body) {
    const skipped = Math.min(left, chunk.length);
    left -= skipped;
    if (skipped < chunk.length) yield chunk.subarray(skipped);
  }
}

function validatorsOf({ headers }: HttpAnswer): Validators {
  const { etag, 'last-modified': lastModified } = headers;
  return { ...(etag === undefined ? {} : { etag }), ...(lastModified === undefined ? {} : { lastModified }) };
}

function isStrong(etag: string | undefined): etag is string {
  return etag?.startsWith('"') === true;
}

/** Whether a whole second answer has the bytes of the first one. */
function isSame(first: HttpAnswer, second: HttpAnswer): boolean {
  const { etag } = validatorsOf(second);
  return isStrong(etag) && etag === validatorsOf(first).etag;
}

function startOf({ headers }: HttpAnswer): number | undefined {
  const range = /^bytes (\d{1,15})-/.exec(headers['content-range'] ?? '');
  return range?.[1] === undefined ? undefined : Number(range[1]);
}

function statusError(url: URL, { status }: HttpAnswer): ToolError {
  const hints: Readonly<Record<number, string>> = {
    401: `a secret HTTP_AUTH_TOKEN_${url.hostname} or HTTP_AUTH_HEADER_${url.hostname} would be sent there`,
    403: `a secret HTTP_AUTH_TOKEN_${url.hostname} or HTTP_AUTH_HEADER_${url.hostname} would be sent there`,
    404: 'check the address',
    410: 'check the address',
    429: 'the server asks for fewer requests; try later',
  };
  const hint = hints[status];
  return new ToolError(
    'FETCH_STATUS',
    `${showUrl(url)} answered with status ${status}`,
    hint === undefined ? {} : { hint },
  );
}

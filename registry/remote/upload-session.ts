import { Readable } from 'node:stream';
import { type CallOptions, type Digest, errorCode, sleep, ToolError } from '../../core/index.ts';
import { responseError } from './errors.ts';
import { discard, type HttpResponse } from './http.ts';
import type { RegistrySession } from './session.ts';
import { uploadLocation } from './upload-location.ts';

/** The largest that registries take which refuse what is larger: GitHub's answers 416 to more. */
const cautiousChunkBytes = 4 * 1024 * 1024;
const sliceBytes = 256 * 1024;
const attempts = 4;
const transientCodes = ['REGISTRY_UNREACHABLE', 'REGISTRY_STALLED'];

/** One upload under way at a registry: where it goes on, and how much of it is there. distribution-spec, #pushing-blobs */
export class UploadSession {
  readonly #session: RegistrySession;
  readonly #scopes: readonly string[];
  #location: URL;
  /** Of the registry that was asked. */
  readonly #origin: string;
  /** Bytes that the registry has. */
  #offset = 0;
  #maxChunkBytes = Number.POSITIVE_INFINITY;
  /** What it wants chunks to be at least; 0 unless it said. */
  readonly minChunkBytes: number;

  private constructor(
    session: RegistrySession,
    scopes: readonly string[],
    at: { readonly location: URL; readonly origin: string; readonly minChunkBytes: number },
  ) {
    this.#session = session;
    this.#scopes = scopes;
    this.#location = at.location;
    this.#origin = at.origin;
    this.minChunkBytes = at.minChunkBytes;
  }

  /** What an answer to POST with 202 began. */
  static async begun(
    session: RegistrySession,
    scopes: readonly string[],
    response: HttpResponse,
  ): Promise<UploadSession> {
    const minimum = response.headers.get('oci-chunk-min-length') ?? '';
    const minChunkBytes = /^\d{1,15}$/.test(minimum) ? Number(minimum) : 0;
    const { origin } = response.url;
    const location = await uploadLocation(response);
    return new UploadSession(session, scopes, { location, origin, minChunkBytes });
  }

  /** The upload that is said to be there; undefined when the registry knows nothing of it. */
  static async found(
    session: RegistrySession,
    scopes: readonly string[],
    location: URL,
    options: CallOptions,
  ): Promise<UploadSession | undefined> {
    const upload = new UploadSession(session, scopes, { location, origin: location.origin, minChunkBytes: 0 });
    return (await upload.#ask(options)) ? upload : undefined;
  }

  get offset(): number {
    return this.#offset;
  }

  get location(): URL {
    return this.#location;
  }

  /** On another host than the registry's, the location is its own credential. */
  get isSecret(): boolean {
    return this.#location.origin !== this.#origin;
  }

  /**
   * Sends the bytes that follow those that are there; goes on where a connection broke off.
   * @throws ToolError REGISTRY_CHUNKS_REFUSED when the registry does not take blobs in parts; REGISTRY_UPLOAD_LOST when
   * it lost what it had
   */
  async append(chunk: Buffer, options: CallOptions): Promise<void> {
    const first = this.#offset;
    const end = first + chunk.byteLength;
    for (let failures = 0; this.#offset < end; ) {
      const from = this.#offset;
      const rest = chunk.subarray(from - first).subarray(0, this.#maxChunkBytes);
      const outcome = await this.#patch(rest, options);
      if (outcome === 'taken') {
        failures = 0;
        continue;
      }
      failures += 1;
      const isThere = failures < attempts && (await this.#askAfter(this.#session.backoffMs(failures), options));
      if (isThere && this.#offset >= from && this.#offset <= end) continue;
      throw outcome === 'declined' && from === 0 ? refused(this.#session.registry) : lost(this.#session.registry);
    }
  }

  /** Makes the blob of all that was sent; what is sent with it lies at its end. True when it is there now. */
  async finish(
    digest: Digest,
    body: Uint8Array | { readonly stream: Readable; readonly size: number } | undefined,
    options: CallOptions,
  ): Promise<HttpResponse> {
    const to = new URL(this.#location);
    to.searchParams.append('digest', digest);
    const size = body === undefined ? 0 : 'stream' in body ? body.size : body.byteLength;
    return this.#session.send({
      method: 'PUT',
      to,
      scopes: this.#scopes,
      ...(body === undefined ? {} : { body }),
      ...(this.#offset > 0 && size > 0 ? { headers: { 'Content-Range': rangeText(this.#offset, size) } } : {}),
      signal: options.signal,
    });
  }

  /** The registry may forget it. */
  async cancel(options: CallOptions): Promise<void> {
    const request = { method: 'DELETE', to: this.#location, scopes: this.#scopes, signal: options.signal } as const;
    await discard(await this.#session.send(request));
  }

  /** Unless it was taken, what is there now has to be asked for. */
  async #patch(chunk: Buffer, options: CallOptions, repeated = false): Promise<'taken' | 'declined' | 'broken'> {
    let response: HttpResponse;
    try {
      response = await this.#session.send({
        method: 'PATCH',
        to: this.#location,
        scopes: this.#scopes,
        headers: { 'Content-Range': rangeText(this.#offset, chunk.byteLength) },
        // As a stream: to send it blindly once more could append it twice.
        body: { stream: Readable.from(slicesOf(chunk), { objectMode: false }), size: chunk.byteLength },
        signal: options.signal,
      });
    } catch (error) {
      if (transientCodes.includes(errorCode(error) ?? '')) return 'broken';
      throw error;
    }
    const { status } = response;
    if (status >= 200 && status <= 299) {
      const sent = this.#offset + chunk.byteLength;
      const taken = (rangeEnd(response) ?? 0) + 1;
      // It may have taken less than it was sent.
      await this.#goOn(response, taken > this.#offset && taken > 1 && taken < sent ? taken : sent);
      return 'taken';
    }
    // The session has forgotten the token that expired, and cannot know that these bytes are at hand.
    if (status === 401 && !repeated) {
      await discard(response);
      return this.#patch(chunk, options, true);
    }
    if ((status === 413 || status === 416) && chunk.byteLength > cautiousChunkBytes)
      this.#maxChunkBytes = cautiousChunkBytes;
    else if (status < 500 && ![404, 416, 429].includes(status)) throw await this.#failure(response);
    await discard(response);
    return 'declined';
  }

  async #failure(response: HttpResponse): Promise<ToolError> {
    const { registry } = this.#session;
    const redact = (text: string) => this.#session.redact(text);
    const error = await responseError(response, { method: 'PATCH', registry, redact });
    return response.status === 401 || response.status === 403 ? error : refused(registry, error);
  }

  async #askAfter(waitMs: number, options: CallOptions): Promise<boolean> {
    await sleep(waitMs, options);
    return this.#ask(options);
  }

  /** What an upload has; false when the registry does not know it. distribution-spec, end-13 */
  async #ask(options: CallOptions): Promise<boolean> {
    const request = { method: 'GET', to: this.#location, scopes: this.#scopes, signal: options.signal } as const;
    const response = await this.#session.send(request);
    if (response.status !== 204 && response.status !== 200) {
      await discard(response);
      return false;
    }
    // Without Range it has nothing; docker-registry says 0-0 then.
    const end = rangeEnd(response) ?? 0;
    await this.#goOn(response, end === 0 ? 0 : end + 1);
    return true;
  }

  async #goOn(response: HttpResponse, offset: number): Promise<void> {
    if (response.headers.has('location')) this.#location = await uploadLocation(response);
    else await discard(response);
    this.#offset = offset;
  }
}

export function refused(registry: string, cause?: ToolError): ToolError {
  return new ToolError('REGISTRY_CHUNKS_REFUSED', `${registry} does not take blobs in parts`, {
    ...(cause === undefined ? {} : { cause }),
  });
}

export function lost(registry: string): ToolError {
  return new ToolError('REGISTRY_UPLOAD_LOST', `${registry} lost a blob that was being uploaded`, {
    hint: 'push again; what is there already is not sent again',
  });
}

function rangeText(from: number, size: number): string {
  return `${from}-${from + size - 1}`;
}

/** `0-1023`; some say `bytes=0-1023`. */
function rangeEnd(response: HttpResponse): number | undefined {
  const end = /^(?:bytes[= ])?0-(\d{1,15})$/.exec(response.headers.get('range')?.trim() ?? '')?.[1];
  return end === undefined ? undefined : Number(end);
}

/** Small enough that a slow connection takes each in time. */
function* slicesOf(chunk: Buffer): Generator<Buffer> {
  for (let start = 0; start < chunk.byteLength; start += sliceBytes) yield chunk.subarray(start, start + sliceBytes);
}

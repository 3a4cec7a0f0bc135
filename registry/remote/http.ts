import type { Agent as HttpAgent } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import { Readable } from 'node:stream';
import { type CallOptions, sleep } from '../../core/index.ts';
import { redirected, redirectTarget, refused } from './redirects.ts';
import { StallWatch } from './stall-watch.ts';
import { isTransient, transportError } from './transport-error.ts';

export interface HttpRequest extends CallOptions {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** A body at hand is sent again on a redirect or a retry; a stream only once. */
  readonly body?: Uint8Array | { readonly stream: Readable; readonly size: number };
  /** For requests whose body is a secret. */
  readonly redirects?: 'refuse';
}

export interface HttpResponse {
  readonly status: number;
  /** By lower-case name; repeated headers are joined with commas. */
  readonly headers: ReadonlyMap<string, string>;
  /** Where the answer came from in the end. */
  readonly url: URL;
  /** Consume or destroy it. */
  readonly body: Readable;
}

const maxRedirects = 5;
const maxAttempts = 4;
const maxRetryWaitMs = 30_000;
const retryableStatuses = new Set([429, 500, 502, 503, 504]);

/** HTTP as registries need it: streams both ways, no surprises with credentials. Keeps connections open between calls. */
export class HttpClient {
  #agents: { readonly httpAgent: HttpAgent; readonly httpsAgent: HttpsAgent } | undefined;
  readonly #userAgent: string;

  constructor(options: { readonly userAgent: string }) {
    this.#userAgent = options.userAgent;
  }

  /**
   * Answers with any status except those that were followed (redirects) or retried away.
   * @throws ToolError REGISTRY_UNREACHABLE, REGISTRY_STALLED, REGISTRY_REDIRECT_REFUSED
   */
  async request(request: HttpRequest): Promise<HttpResponse> {
    let current = request;
    for (let hop = 0; ; hop++) {
      const response = await this.#withRetries(current);
      const location = redirectTarget(response);
      if (location === undefined) return response;
      await discard(response);
      if (hop === maxRedirects) throw refused(current, `it was redirected more than ${maxRedirects} times`);
      current = redirected(current, response, location);
    }
  }

  async #withRetries(request: HttpRequest): Promise<HttpResponse> {
    for (let attempt = 1; ; attempt++) {
      const mayRepeat = attempt < maxAttempts && !(request.body !== undefined && 'stream' in request.body);
      try {
        const response = await this.#exchange(request);
        if (!mayRepeat || !retryableStatuses.has(response.status)) return response;
        await discard(response);
        await sleep(retryWaitMs(response, attempt), request);
      } catch (error) {
        if (!mayRepeat || !isTransient(error)) throw error;
        await sleep(backoffMs(attempt), request);
      }
    }
  }

  async #exchange(request: HttpRequest): Promise<HttpResponse> {
    request.signal?.throwIfAborted();
    // Loading axios takes a third of a no-op build's time, hence only when a request is really made.
    const { default: axios } = await import('axios');
    this.#agents ??= await keepAliveAgents();
    const stall = new StallWatch();
    const signal = request.signal === undefined ? stall.signal : AbortSignal.any([request.signal, stall.signal]);
    try {
      stall.start();
      const response = await axios.request<Readable>({
        method: request.method,
        url: request.url.href,
        headers: {
          'User-Agent': this.#userAgent,
          'Accept-Encoding': 'identity',
          ...bodyHeaders(request),
          ...request.headers,
        },
        data: bodyOf(request, stall),
        responseType: 'stream',
        decompress: false,
        maxRedirects: 0,
        maxBodyLength: Number.POSITIVE_INFINITY,
        validateStatus: () => true,
        transformRequest: [(data: unknown) => data],
        signal,
        ...(isLoopback(request.url) ? { proxy: false as const } : {}),
        ...this.#agents,
      });
      const headers = headerMap(response.headers);
      return { status: response.status, headers, url: request.url, body: responseBody(response.data, request, stall) };
    } catch (error) {
      throw transportError(error, request, stall);
    } finally {
      stall.stop();
    }
  }
}

/** node:http loads all of undici. */
async function keepAliveAgents() {
  const [http, https] = await Promise.all([import('node:http'), import('node:https')]);
  return { httpAgent: new http.Agent({ keepAlive: true }), httpsAgent: new https.Agent({ keepAlive: true }) };
}

export function isLoopback(url: Pick<URL, 'hostname'>): boolean {
  const { hostname } = url;
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}

/** Reads at most `maxBytes` and lets go of the rest. */
export async function readCapped(body: Readable, maxBytes: number): Promise<{ bytes: Buffer; whole: boolean }> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.byteLength;
    if (size > maxBytes) break;
  }
  const bytes = Buffer.concat(chunks);
  return { bytes: bytes.subarray(0, maxBytes), whole: size <= maxBytes };
}

/** Lets the connection be used again where the unwanted body is short. */
export async function discard(response: HttpResponse): Promise<void> {
  try {
    await readCapped(response.body, 64 * 1024);
  } catch {
    // Nobody wanted these bytes; the connection is closed.
  }
}

function bodyHeaders(request: HttpRequest): Record<string, string> {
  const { body, method } = request;
  if (body === undefined) return method === 'POST' || method === 'PUT' ? { 'Content-Length': '0' } : {};
  const size = 'stream' in body ? body.size : body.byteLength;
  return { 'Content-Type': 'application/octet-stream', 'Content-Length': String(size) };
}

function bodyOf(request: HttpRequest, stall: StallWatch): Buffer | Readable | undefined {
  const { body } = request;
  if (body === undefined) return undefined;
  return 'stream' in body ? Readable.from(stall.sending(body.stream), { objectMode: false }) : Buffer.from(body);
}

/** The body as a stream whose errors hold no trace of axios, which would print the Authorization header. */
function responseBody(data: Readable, request: HttpRequest, stall: StallWatch): Readable {
  // axios emits `error` on abort, whether or not anybody reads; unheard, that would end the process.
  data.on('error', () => undefined);
  const chunks: AsyncIterator<Buffer> = data[Symbol.asyncIterator]();
  return new Readable({
    async read() {
      try {
        stall.start();
        const { value, done } = await chunks.next();
        stall.stop();
        this.push(done === true ? null : value);
      } catch (error) {
        stall.stop();
        this.destroy(transportError(error, request, stall));
      }
    },
    destroy(error, callback) {
      stall.stop();
      data.destroy();
      callback(error);
    },
  });
}

function headerMap(headers: object): Map<string, string> {
  return new Map(
    Object.entries(headers).flatMap(([name, value]: [string, unknown]) => {
      const text = Array.isArray(value) ? value.join(', ') : value;
      return typeof text === 'string' ? [[name.toLowerCase(), text] as const] : [];
    }),
  );
}

function backoffMs(attempt: number): number {
  return 100 * 3 ** (attempt - 1);
}

/** Retry-After in seconds or as a date, which is read against the server's own clock. RFC 9110 §10.2.3 */
function retryWaitMs(response: HttpResponse, attempt: number): number {
  const after = response.headers.get('retry-after')?.trim() ?? '';
  const date = Date.parse(response.headers.get('date') ?? '');
  const wanted = /^\d{1,9}$/.test(after) ? Number(after) * 1000 : Date.parse(after) - date;
  return Number.isFinite(wanted) ? Math.min(Math.max(wanted, 0), maxRetryWaitMs) : backoffMs(attempt);
}

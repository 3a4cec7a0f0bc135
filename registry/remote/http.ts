import { randomInt } from 'node:crypto';
import { Readable } from 'node:stream';
import { type CallOptions, errorCode, isLoopbackHost, type ProxyVariables, sleep } from '../../core/index.ts';
import type { TlsSettings } from '../hosts/endpoint.ts';
import { Agents, type Way } from './agents.ts';
import { HostGate } from './host-gate.ts';
import { backoffMs, defaultTiming, type HttpTiming, retryAfterMs, retryableStatuses } from './http-timing.ts';
import { redirected, redirectTarget, refused } from './redirects.ts';
import { showRequestUrl } from './shown.ts';
import { StallWatch } from './stall-watch.ts';
import { isTransient, transportError } from './transport-error.ts';

export interface HttpRequest extends CallOptions {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** A body at hand is sent again on a redirect or a retry; a stream only once. */
  readonly body?: Uint8Array | { readonly stream: Readable; readonly size: number };
  /** For requests whose body is a secret. */
  readonly redirects?: 'refuse';
  readonly tls?: TlsSettings;
  /** Fewer than usual, where there is another place to ask. */
  readonly attempts?: number;
  /** Goes on with a download whose place was counted already: it need not wait for another. */
  readonly resumes?: boolean;
  /** Told of each exchange that it took, once it has ended. */
  readonly onExchange?: (exchange: HttpExchange) => void;
}

/** One request and its answer, as it may be shown: nothing in it is secret. */
export interface HttpExchange {
  readonly method: string;
  /** Without user, password, signatures and tokens. */
  readonly url: string;
  /** Undefined when no answer came. */
  readonly status: number | undefined;
  /** Until the last byte of the answer was read. */
  readonly milliseconds: number;
  /** Of the answer's body. */
  readonly bytes: number;
  /** Code of the error that ended it. */
  readonly failure?: string;
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

export interface HttpClientOptions {
  readonly userAgent: string;
  /** Without it none is used. */
  readonly proxies?: ProxyVariables;
  /** Downloads at once from one host, and as many other exchanges; 6 unless said. */
  readonly concurrencyPerHost?: number;
  readonly timing?: Partial<HttpTiming>;
  /** From 0 to 1, the latter excluded. */
  readonly random?: () => number;
}

const maxRedirects = 5;
const defaultConcurrency = 6;

/**
 * HTTP as registries need it: streams both ways, no surprises with credentials. Keeps connections open between calls, and
 * in mind what hosts asked for.
 */
export class HttpClient {
  readonly timing: HttpTiming;
  readonly #options: HttpClientOptions;
  readonly #random: () => number;
  readonly #agents: Agents;
  readonly #gates = new Map<string, HostGate>();

  constructor(options: HttpClientOptions) {
    this.#options = options;
    this.timing = { ...defaultTiming, ...options.timing };
    this.#random = options.random ?? (() => randomInt(1_000_000) / 1_000_000);
    this.#agents = new Agents(options.proxies);
  }

  /**
   * Answers with any status except those that were followed (redirects) or retried away.
   * @throws ToolError REGISTRY_UNREACHABLE, REGISTRY_STALLED, REGISTRY_TLS, REGISTRY_REDIRECT_REFUSED, PROXY_INVALID
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

  /** How long to wait before something is tried for the `attempt + 1`st time. */
  backoffMs(attempt: number): number {
    return backoffMs(attempt, this.timing, this.#random);
  }

  async #withRetries(request: HttpRequest): Promise<HttpResponse> {
    for (let attempt = 1; ; attempt++) {
      const mayRepeat = attempt < (request.attempts ?? this.timing.attempts) && isRepeatable(request);
      let waitMs = this.backoffMs(attempt);
      // Where there is another place to ask, nobody waits for this one.
      const patienceMs = request.attempts === undefined ? this.timing.maxRetryAfterMs : 0;
      try {
        const response = await this.#exchange(request);
        if (!retryableStatuses.has(response.status)) return response;
        const wantedMs = retryAfterMs(response);
        if (wantedMs !== undefined && wantedMs > patienceMs) return response;
        // Whoever else wants something of this host waits too.
        if (wantedMs !== undefined || response.status === 429) this.#gate(request.url).close(wantedMs ?? waitMs);
        if (!mayRepeat) return response;
        if (wantedMs !== undefined) waitMs = wantedMs + waitMs * this.#random();
        await discard(response);
      } catch (error) {
        // What was sent into a connection that died unnoticed gets no answer; the next goes by another one.
        const isWorthIt = isTransient(error) || (attempt === 1 && errorCode(error) === 'REGISTRY_STALLED');
        if (!mayRepeat || !isWorthIt) throw error;
      }
      await sleep(waitMs, request);
    }
  }

  async #exchange(request: HttpRequest): Promise<HttpResponse> {
    request.signal?.throwIfAborted();
    const gate = this.#gate(request.url);
    const isDownload = request.method === 'GET';
    const leave = request.resumes ? () => undefined : await gate.enter(isDownload ? 'download' : 'call', request);
    try {
      if (request.resumes) await gate.rest(request);
      const exchange = new Exchange(request, this.timing, leave);
      const response = await exchange.run(await this.#agents.way(request.url, request.tls), this.#options.userAgent);
      if (!isDownload) leave();
      return response;
    } catch (error) {
      leave();
      throw error;
    }
  }

  #gate(url: URL): HostGate {
    const gate = this.#gates.get(url.host) ?? new HostGate(this.#options.concurrencyPerHost ?? defaultConcurrency);
    this.#gates.set(url.host, gate);
    return gate;
  }
}

/** One request on its way, and its answer until the last byte was read. */
class Exchange {
  readonly #request: HttpRequest;
  readonly #stall: StallWatch;
  readonly #leave: () => void;
  readonly #started = performance.now();
  #status: number | undefined;
  #bytes = 0;
  #isTold = false;

  constructor(request: HttpRequest, timing: HttpTiming, leave: () => void) {
    this.#request = request;
    this.#stall = new StallWatch(timing);
    this.#leave = leave;
  }

  async run(way: Way, userAgent: string): Promise<HttpResponse> {
    const request = this.#request;
    // Loading axios takes a third of a no-op build's time, hence only when a request is really made.
    const { default: axios } = await import('axios');
    const stall = this.#stall;
    const signal = request.signal === undefined ? stall.signal : AbortSignal.any([request.signal, stall.signal]);
    try {
      stall.connecting();
      const response = await axios.request<Readable>({
        method: request.method,
        url: request.url.href,
        headers: {
          'User-Agent': userAgent,
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
        // The agents know of the proxy; left alone, axios would look for one in the environment.
        ...(way.proxy === undefined ? { proxy: false as const } : {}),
        ...way.agents,
        transport: { request: watchedRequest(way, stall) },
      });
      this.#status = response.status;
      const headers = headerMap(response.headers);
      return { status: response.status, headers, url: request.url, body: this.#body(response.data, way) };
    } catch (error) {
      const shown = transportError(error, request, stall, way.proxy);
      this.#tell(errorCode(shown) ?? shown.name);
      throw shown;
    } finally {
      stall.stop();
    }
  }

  /** The body as a stream whose errors hold no trace of axios, which would print the Authorization header. */
  #body(data: Readable, way: Way): Readable {
    const stall = this.#stall;
    // axios emits `error` on abort, whether or not anybody reads; unheard, that would end the process.
    data.on('error', () => undefined);
    const chunks: AsyncIterator<Buffer> = data[Symbol.asyncIterator]();
    const next = async () => {
      try {
        stall.start();
        return await chunks.next();
      } catch (error) {
        throw transportError(error, this.#request, stall, way.proxy);
      } finally {
        stall.stop();
      }
    };
    const counted = (chunk: Buffer) => {
      this.#bytes += chunk.byteLength;
      return chunk;
    };
    const ended = (error: Error | null) => {
      stall.stop();
      data.destroy();
      this.#leave();
      this.#tell(error === null ? undefined : (errorCode(error) ?? error.name));
    };
    return new Readable({
      read() {
        next().then(
          ({ value, done }) => this.push(done === true ? null : counted(value)),
          (error: Error) => this.destroy(error),
        );
      },
      destroy(error, callback) {
        ended(error);
        callback(error);
      },
    });
  }

  /** The address is followed by nothing that could be used, wherever the list of exchanges goes. */
  #tell(failure: string | undefined): void {
    if (this.#isTold) return;
    this.#isTold = true;
    this.#request.onExchange?.({
      method: this.#request.method,
      url: showRequestUrl(this.#request.url),
      status: this.#status,
      milliseconds: performance.now() - this.#started,
      bytes: this.#bytes,
      ...(failure === undefined ? {} : { failure }),
    });
  }
}

/** What was added to an upload cannot be known to have arrived. */
function isRepeatable(request: HttpRequest): boolean {
  return request.method !== 'PATCH' && !(request.body !== undefined && 'stream' in request.body);
}

/** Tells the watch when the connection stands. */
function watchedRequest(way: Way, stall: StallWatch): Way['request'] {
  return (options, answered) => {
    const sent = way.request(options, answered);
    sent.once('socket', (socket) => {
      if (socket.connecting) socket.once('connect', () => stall.connected());
      else stall.connected();
    });
    return sent;
  };
}

export function isLoopback(url: Pick<URL, 'hostname'>): boolean {
  return isLoopbackHost(url.hostname);
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
  return 'stream' in body
    ? Readable.from(stall.sending(piecesOf(body.stream)), { objectMode: false })
    : Buffer.from(body);
}

/**
 * An early answer leaves the rest unsent. Left to itself, the iterator would destroy the stream with an AbortError, which
 * whoever feeds it could not tell from one of their own.
 */
async function* piecesOf(stream: Readable): AsyncGenerator<Buffer> {
  try {
    yield* stream.iterator({ destroyOnReturn: false });
  } finally {
    stream.destroy();
  }
}

function headerMap(headers: object): Map<string, string> {
  return new Map(
    Object.entries(headers).flatMap(([name, value]: [string, unknown]) => {
      const text = Array.isArray(value) ? value.join(', ') : value;
      return typeof text === 'string' ? [[name.toLowerCase(), text] as const] : [];
    }),
  );
}

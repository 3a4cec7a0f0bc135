import { once } from 'node:events';
import http, { type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import https from 'node:https';
import { type CallOptions, errorCode, proxyFor, ToolError } from '../../core/index.ts';
import { showUrl } from './http-url.ts';

export interface HttpClientOptions {
  /** HTTP_PROXY and its kin. */
  readonly proxies: Readonly<Record<string, string>>;
  readonly userAgent: string;
  /** Silence of the other side that ends an exchange. */
  readonly stallMs?: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Where redirects led. */
  readonly url: URL;
  /** To be read or left at once. @throws ToolError FETCH_BROKEN_OFF, FETCH_STALLED while it is read */
  readonly body: AsyncIterable<Buffer>;
  /** Leaves the body unread. */
  discard(): void;
}

export interface HttpRequest {
  readonly url: URL;
  /** Lower case. `authorization` stays with the origin of `url`. */
  readonly headers: Readonly<Record<string, string>>;
}

const maxRedirects = 10;
const defaultStallMs = 60_000;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** Worth trying again: the other side, or the way there, was not ready. */
const transient: ReadonlySet<string> = new Set(['FETCH_BROKEN_OFF', 'FETCH_STALLED', 'FETCH_LOOKUP']);

/** GET over HTTP and HTTPS by Node's own client, redirects followed here, so that no secret follows with them. */
export class HttpClient {
  readonly #options: HttpClientOptions;
  /** By proxy; '' for none. */
  readonly #agents = new Map<string, { readonly 'http:': http.Agent; readonly 'https:': https.Agent }>();

  constructor(options: HttpClientOptions) {
    this.#options = options;
  }

  /**
   * The first answer that is no redirect, whatever its status.
   * @throws ToolError FETCH_REDIRECT, FETCH_UNREACHABLE, FETCH_LOOKUP, FETCH_TLS, FETCH_BROKEN_OFF, FETCH_STALLED,
   * PROXY_INVALID
   */
  async get(request: HttpRequest, options: CallOptions = {}): Promise<HttpAnswer> {
    let { url, headers } = request;
    for (let count = 0; count <= maxRedirects; count++) {
      const answer = await this.#exchange({ url, headers }, options);
      const { location } = answer.headers;
      if (!redirects.has(answer.status) || location === undefined) return answer;
      answer.discard();
      const next = redirectTarget(url, location);
      if (next.origin !== url.origin) headers = withoutSecrets(headers);
      url = next;
    }
    throw refusedRedirect(request.url, `it was redirected more than ${maxRedirects} times`);
  }

  async #exchange({ url, headers }: HttpRequest, options: CallOptions): Promise<HttpAnswer> {
    options.signal?.throwIfAborted();
    const stall = new Stall(this.#options.stallMs ?? defaultStallMs);
    const signal = options.signal === undefined ? stall.signal : AbortSignal.any([options.signal, stall.signal]);
    const explain = (error: unknown) => transportError(error, url, stall, options);
    const protocol = url.protocol === 'https:' ? 'https:' : 'http:';
    const send = protocol === 'https:' ? https.request : http.request;
    stall.begin();
    try {
      const sent = send(url, {
        agent: this.#agentsFor(url)[protocol],
        headers: { 'user-agent': this.#options.userAgent, 'accept-encoding': 'identity', accept: '*/*', ...headers },
        signal,
      });
      const answered = once(sent, 'response') as Promise<[IncomingMessage]>;
      sent.end();
      const [response] = await answered;
      stall.end();
      // An answer that is left unread must not end the process when its connection breaks.
      response.on('error', () => {});
      return {
        status: response.statusCode ?? 0,
        headers: response.headers,
        url,
        body: watched(response, stall, explain),
        discard: () => response.destroy(),
      };
    } catch (error) {
      stall.end();
      throw explain(error);
    }
  }

  #agentsFor(url: URL) {
    const proxy = proxyFor(url, this.#options.proxies)?.href;
    const options = proxy === undefined ? {} : { proxyEnv: { HTTP_PROXY: proxy, HTTPS_PROXY: proxy } };
    const agents = this.#agents.get(proxy ?? '') ?? {
      'http:': new http.Agent(options),
      'https:': new https.Agent(options),
    };
    this.#agents.set(proxy ?? '', agents);
    return agents;
  }
}

/** True for what a later attempt may not meet. */
export function isTransient(error: unknown): boolean {
  return error instanceof ToolError && transient.has(error.code);
}

/** Counts only the time that is spent waiting for the other side. */
class Stall {
  readonly #ms: number;
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number) {
    this.#ms = ms;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get seconds(): number {
    return Math.round(this.#ms / 1000);
  }

  begin(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#controller.abort(), this.#ms);
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

async function* watched(
  response: IncomingMessage,
  stall: Stall,
  explain: (error: unknown) => Error,
): AsyncGenerator<Buffer, void> {
  const chunks: AsyncIterator<Buffer> = response[Symbol.asyncIterator]();
  try {
    for (;;) {
      stall.begin();
      const next = await chunks.next();
      stall.end();
      if (next.done === true) break;
      yield next.value;
    }
    // A body without length ends with its connection; one with a length that came short is an error of Node's.
    if (!response.complete) throw Object.assign(new Error('aborted'), { code: 'ECONNRESET' });
  } catch (error) {
    throw explain(error);
  } finally {
    stall.end();
    response.destroy();
  }
}

function redirectTarget(from: URL, location: string): URL {
  if (!URL.canParse(location, from.href)) throw refusedRedirect(from, 'it was redirected to something that is no URL');
  const to = new URL(location, from);
  const where = `it was redirected to ${showUrl(to)}`;
  if (to.protocol !== 'https:' && to.protocol !== 'http:') throw refusedRedirect(from, `${where}, which is not HTTP`);
  if (from.protocol === 'https:' && to.protocol === 'http:')
    throw refusedRedirect(from, `${where}, without encryption`);
  if (to.username !== '' || to.password !== '') throw refusedRedirect(from, `${where} with a user name in it`);
  return to;
}

function withoutSecrets(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name !== 'authorization' && name !== 'cookie'));
}

function refusedRedirect(url: URL, why: string): ToolError {
  return new ToolError('FETCH_REDIRECT', `${showUrl(url)} was not fetched: ${why}`, {
    hint: 'give the address that the file really has',
  });
}

const sentences: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'there is no such host',
  EHOSTUNREACH: 'no way leads there',
  ENETUNREACH: 'no way leads there',
  ERR_PROXY_TUNNEL: 'the proxy did not let it through',
  EPROTO: 'it does not speak HTTPS',
};

/** Node's own errors say too much (addresses, options) and too little (what to do). */
function transportError(error: unknown, url: URL, stall: Stall, { signal }: CallOptions): Error {
  if (signal?.aborted) return signal.reason instanceof Error ? signal.reason : new TypeError(String(signal.reason));
  const shown = showUrl(url);
  if (stall.signal.aborted) {
    return new ToolError('FETCH_STALLED', `${shown}: nothing came for ${stall.seconds} seconds`, {
      hint: 'check the network and try again',
    });
  }
  if (error instanceof ToolError) return error;
  const code = errorCode(error) ?? 'unknown error';
  if (code === 'EAI_AGAIN') return new ToolError('FETCH_LOOKUP', `${shown}: the host name could not be looked up`);
  if (/^(?:CERT_|DEPTH_|SELF_SIGNED|UNABLE_TO_|ERR_TLS|ERR_SSL|HOSTNAME_MISMATCH)/.test(code)) {
    return new ToolError('FETCH_TLS', `${shown}: the server's certificate is not accepted (${code})`, {
      hint: 'NODE_EXTRA_CA_CERTS=FILE adds authorities that are trusted',
    });
  }
  const sentence = sentences[code];
  if (sentence !== undefined) {
    return new ToolError('FETCH_UNREACHABLE', `${shown}: ${sentence} (${code})`, {
      hint: 'check the address, the network and the proxy settings',
    });
  }
  return new ToolError('FETCH_BROKEN_OFF', `${shown}: the connection broke off (${code})`, {
    hint: 'check the network and try again',
  });
}

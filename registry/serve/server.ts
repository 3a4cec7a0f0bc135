import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import type { Duplex } from 'node:stream';
import { type CallOptions, errorCode, sleep, ToolError } from '../../core/index.ts';
import { type Authenticator, openToAll } from './access.ts';
import type { Served } from './exchange.ts';
import { collectRegistryGarbage, type RegistryGarbage } from './garbage.ts';
import { handleRequest, type RequestContext } from './handle-request.ts';
import { HtpasswdAuthenticator } from './htpasswd.ts';
import type { AccessEntry, RunningRegistry, ServeOptions, ServeTls } from './serve-options.ts';
import { RegistryStorage } from './storage.ts';
import { StoreView } from './store-view.ts';
import { TokenAuthenticator } from './token-auth.ts';
import { Uploads } from './uploads.ts';
import { parseVerificationKeys } from './verification-keys.ts';
import { Webhooks } from './webhooks.ts';

const dayMs = 86_400_000;
const maxHeaderBytes = 32 * 1024;
const maxConnections = 2048;
/** For the request line and all headers, then for a byte of either direction, then for the next request. */
const [headersMs, idleMs, keepAliveMs] = [30_000, 300_000, 65_000];

/**
 * Starts a registry: the server of the OCI distribution specification 1.1. Resolves when it listens.
 * @throws ToolError SERVE_*
 */
export async function serveRegistry(options: ServeOptions): Promise<RunningRegistry> {
  options.signal?.throwIfAborted();
  await using opened = new AsyncDisposableStack();
  const authenticator = await openAuthenticator(options);
  const storage = 'root' in options.content ? opened.use(await RegistryStorage.open(options.content.root)) : undefined;
  const uploads = storage && new Uploads(storage, { clock: options.clock, maxBytes: options.maxUploadBytes });
  const served = servedBy(options, storage, uploads);
  const server = await createServer(options.tls);
  opened.defer(() => void server.close());
  const host = await listen(server, options);
  const base = `${options.tls === undefined ? 'http' : 'https'}://${host}`;
  const webhooks = opened.adopt(
    new Webhooks(options.webhooks ?? { urls: [] }, { ...reporting(options), clock: options.clock }, host),
    (hooks) => hooks.stop(options.stopMs ?? 10_000),
  );
  const requests = new Requests(server, options, contextOf({ served, authenticator, webhooks, base, options }));
  warnOfOpenDoors(options, base);

  const collecting = new AbortController();
  const collect = async (call: CallOptions & { readonly untagged?: boolean } = {}): Promise<RegistryGarbage> => {
    if (storage === undefined || uploads === undefined) throw readOnly();
    const signal = call.signal === undefined ? collecting.signal : AbortSignal.any([call.signal, collecting.signal]);
    const garbage = { ...call, now: options.clock.now(), graceMs: served.graceMs, signal };
    return collectRegistryGarbage(storage, uploads, garbage);
  };
  const collector = served.writable === undefined ? undefined : collectRegularly(collect, options, collecting.signal);
  const held = opened.move();
  const stop = once(async () => {
    collecting.abort();
    await requests.stop(options.stopMs ?? 10_000);
    await collector;
    await held.disposeAsync();
  });
  const stopped = Promise.withResolvers<void>();
  const stopNow = (): Promise<void> => {
    stop().then(stopped.resolve, stopped.reject);
    return stopped.promise;
  };
  // Whoever awaits it gets the error; nobody must.
  stopped.promise.catch(() => {});
  options.signal?.addEventListener('abort', () => void stopNow(), { once: true });
  if (options.signal?.aborted) await stopNow();
  return {
    host,
    url: base,
    stopped: stopped.promise,
    collectGarbage: collect,
    [Symbol.asyncDispose]: stopNow,
  };
}

/** Requests under way, so that stopping can wait for them. */
class Requests {
  readonly #server: Server;
  readonly #options: ServeOptions;
  readonly #context: RequestContext;
  readonly #running = new Map<ServerResponse, Promise<void>>();
  #stopping = false;

  constructor(server: Server, options: ServeOptions, context: RequestContext) {
    this.#server = server;
    this.#options = options;
    this.#context = context;
    const take = (request: IncomingMessage, response: ServerResponse): void => {
      const running = this.#answer(request, response).finally(() => {
        this.#running.delete(response);
        if (this.#stopping) server.closeIdleConnections();
      });
      this.#running.set(response, running);
    };
    server.on('request', take);
    // The body is asked for when it is known that it is wanted.
    server.on('checkContinue', take);
    server.on('clientError', refuse);
  }

  /** Takes no more requests; ends those that are still running after `graceMs`: uploads keep what has arrived. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    for (const response of this.#running.keys()) {
      if (!response.headersSent) response.setHeader('Connection', 'close');
    }
    const late = setTimeout(() => this.#server.closeAllConnections(), graceMs);
    await Promise.allSettled(this.#running.values());
    this.#server.closeIdleConnections();
    await closed;
    clearTimeout(late);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { clock, onRequest } = this.#options;
    const [atMs, begun] = [clock.now(), performance.now()];
    const { socket } = request;
    // A closed socket no longer knows.
    const [address = '', read, written] = [socket.remoteAddress, socket.bytesRead, socket.bytesWritten];
    if (this.#stopping) response.setHeader('Connection', 'close');
    const closed = new Promise<void>((resolve) => response.once('close', resolve));
    const sender = await handleRequest(request, response, this.#context);
    await closed;
    onRequest?.({
      atMs,
      address,
      user: sender?.name,
      method: request.method ?? '',
      target: request.url ?? '',
      status: response.writableEnded ? response.statusCode : 499,
      receivedBytes: socket.bytesRead - read,
      sentBytes: socket.bytesWritten - written,
      durationMs: performance.now() - begun,
      userAgent: request.headers['user-agent'] ?? '',
    } satisfies AccessEntry);
  }
}

function servedBy(options: ServeOptions, storage: RegistryStorage | undefined, uploads: Uploads | undefined): Served {
  const { content, readOnly: isReadOnly = false } = options;
  const common = { mayDelete: options.mayDelete ?? true, graceMs: options.graceMs ?? dayMs };
  const now = () => options.clock.now();
  if ('store' in content) return { ...common, now, view: new StoreView(content.store), writable: undefined };
  if (storage === undefined || uploads === undefined) throw new TypeError('a folder without a storage');
  return { ...common, now, view: storage, writable: isReadOnly ? undefined : { storage, uploads } };
}

async function openAuthenticator({ auth, clock, onWarning }: ServeOptions): Promise<Authenticator> {
  if (auth === undefined) return openToAll;
  if ('htpasswd' in auth) {
    return HtpasswdAuthenticator.open(auth.htpasswd, { clock, ...(onWarning === undefined ? {} : { onWarning }) });
  }
  const { keys, ...trust } = auth.token;
  return new TokenAuthenticator({ ...trust, keys: parseVerificationKeys(keys, 'the token key file') }, clock);
}

function contextOf(made: {
  readonly served: Served;
  readonly authenticator: Authenticator;
  readonly webhooks: Webhooks;
  readonly base: string;
  readonly options: ServeOptions;
}): RequestContext {
  const { served, authenticator, webhooks, base, options } = made;
  return {
    served,
    authenticator,
    notify: (event, request, sender) =>
      webhooks.notify(event, {
        base: baseOf(request, base),
        method: request.method ?? '',
        address: `${request.socket.remoteAddress ?? ''}:${request.socket.remotePort ?? ''}`,
        userAgent: request.headers['user-agent'] ?? '',
        actor: sender.name,
      }),
    onFailure: (error, request) => {
      const why = error instanceof Error ? error.message : String(error);
      options.onWarning?.(`${request.method} ${request.url} failed: ${why}`);
    },
  };
}

/** How the client calls this registry, which may be behind a name or a port of another machine. */
function baseOf(request: IncomingMessage, base: string): string {
  const url = `${new URL(base).protocol}//${request.headers.host ?? ''}`;
  return URL.canParse(url) && new URL(url).origin === url ? url : base;
}

async function createServer(tls: ServeTls | undefined): Promise<Server> {
  const settings = {
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: headersMs,
    // An upload may take hours; one that stands still is ended by who reads it.
    requestTimeout: 0,
    keepAliveTimeout: keepAliveMs,
    connectionsCheckingInterval: 5_000,
  };
  const server = tls === undefined ? (await import('node:http')).createServer(settings) : await secure(tls, settings);
  server.timeout = idleMs;
  server.maxConnections = maxConnections;
  return server;
}

async function secure(tls: ServeTls, settings: object): Promise<Server> {
  const { createServer: createSecure } = await import('node:https');
  const { certificate, key, clientAuthorities } = tls;
  try {
    return createSecure({
      ...settings,
      cert: certificate,
      key,
      minVersion: 'TLSv1.2',
      ...(clientAuthorities === undefined
        ? {}
        : { ca: clientAuthorities, requestCert: true, rejectUnauthorized: true }),
    });
  } catch (cause) {
    throw new ToolError('SERVE_TLS_INVALID', `the TLS certificate and key cannot be used (${errorCode(cause)})`, {
      cause,
      hint: 'both must be PEM, and the key that of the certificate',
    });
  }
}

/** @returns `host:port` */
async function listen(server: Server, { listen: wanted = {} }: ServeOptions): Promise<string> {
  const { host = '127.0.0.1', port = 0 } = wanted;
  const listening = Promise.withResolvers<void>();
  server.once('error', listening.reject);
  server.listen({ host, port }, listening.resolve);
  try {
    await listening.promise;
  } catch (cause) {
    const code = errorCode(cause);
    const what =
      code === 'EADDRINUSE' ? 'something else listens there' : code === 'EACCES' ? 'it is not allowed' : code;
    throw new ToolError('SERVE_ADDRESS_UNUSABLE', `${host}:${port} cannot be listened on: ${what}`, {
      cause,
      hint: 'name another with --listen; port 0 is any that is free',
    });
  }
  server.off('error', listening.reject);
  const address = server.address();
  const given = typeof address === 'object' && address !== null ? address.port : port;
  return `${isIP(host) === 6 ? `[${host}]` : host}:${given}`;
}

async function collectRegularly(
  collect: (options: { readonly untagged?: boolean }) => Promise<RegistryGarbage>,
  { garbage, onWarning }: ServeOptions,
  signal: AbortSignal,
): Promise<void> {
  while (garbage !== undefined && !signal.aborted) {
    try {
      await sleep(garbage.intervalMs, { signal });
      await collect(garbage.untagged === undefined ? {} : { untagged: garbage.untagged });
    } catch (error) {
      if (signal.aborted) return;
      onWarning?.(`garbage was not collected: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

function warnOfOpenDoors({ listen: wanted, auth, tls, onWarning }: ServeOptions, base: string): void {
  const host = wanted?.host ?? '127.0.0.1';
  if (host === 'localhost' || host === '::1' || /^127\./.test(host)) return;
  const isClosed = auth !== undefined || tls?.clientAuthorities !== undefined;
  if (!isClosed) onWarning?.(`whoever reaches ${base} may pull and push: --htpasswd or --token-* ask who they are`);
  if (tls === undefined) onWarning?.(`${base} is not encrypted: what passes, passwords too, can be read on the way`);
}

/** What is no HTTP, or too slow or too long to be. */
function refuse(error: Error, socket: Duplex): void {
  if (errorCode(error) === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const status = errorCode(error) === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function reporting({ onWarning, userAgent }: ServeOptions) {
  return { onWarning: onWarning ?? (() => {}), userAgent: userAgent ?? 'kiln' };
}

function readOnly(): ToolError {
  return new ToolError('SERVE_READ_ONLY', "what is served here is another one's to clean");
}

function once(task: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => {
    running ??= task();
    return running;
  };
}

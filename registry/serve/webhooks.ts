import { createHmac, randomUUID } from 'node:crypto';
import { type CallOptions, type Clock, errorCode, sleep, ToolError } from '../../core/index.ts';
import { discard, HttpClient, isLoopback } from '../remote/http.ts';
import type { RegistryEvent } from './events.ts';

export interface WebhookOptions {
  readonly urls: readonly string[];
  /** Signs each body: `X-Hub-Signature-256: sha256=HEX`, an HMAC, as GitHub's webhooks have it. */
  readonly secret?: string;
  /** http to other machines as well. */
  readonly allowHttp?: boolean;
}

/** What is known of the request that made the event. */
export interface EventOrigin {
  /** As the client called this registry: `http://localhost:5000` */
  readonly base: string;
  readonly method: string;
  readonly address: string;
  readonly userAgent: string;
  readonly actor: string | undefined;
}

const mediaType = 'application/vnd.docker.distribution.events.v2+json';
const maxQueued = 1000;
const maxPerEnvelope = 50;
const maxAttempts = 8;
const firstWaitMs = 1_000;
const maxWaitMs = 60_000;
const attemptMs = 30_000;

/**
 * Tells others what changed, in the envelope of Docker's registry. Each address has a queue of its own, in memory; a
 * push never waits for one. What cannot be delivered in several minutes is dropped, with a warning.
 */
export class Webhooks {
  readonly #endpoints: readonly Endpoint[];
  readonly #clock: Clock;
  readonly #source: { readonly addr: string; readonly instanceID: string };

  /** @throws ToolError SERVE_WEBHOOK_INVALID */
  constructor(
    options: WebhookOptions,
    context: { readonly clock: Clock; readonly userAgent: string; readonly onWarning: (text: string) => void },
    address: string,
  ) {
    this.#clock = context.clock;
    this.#source = { addr: address, instanceID: randomUUID() };
    const http = new HttpClient({ userAgent: context.userAgent });
    this.#endpoints = options.urls.map(
      (text) => new Endpoint(parseWebhook(text, options.allowHttp ?? false), http, options.secret, context.onWarning),
    );
  }

  notify(event: RegistryEvent, origin: EventOrigin): void {
    if (this.#endpoints.length === 0) return;
    const message = this.#message(event, origin);
    for (const endpoint of this.#endpoints) endpoint.add(message);
  }

  /** Waits until all is delivered or given up, at most so long; what is left then is dropped. */
  async stop(graceMs: number): Promise<void> {
    await Promise.all(this.#endpoints.map((endpoint) => endpoint.stop(graceMs)));
  }

  #message(event: RegistryEvent, origin: EventOrigin): object {
    const { action, repository, digest, mediaType: type, size, tag, fromRepository } = event;
    const kind = type === undefined || type === 'application/octet-stream' ? 'blobs' : 'manifests';
    const described = size === undefined ? {} : { mediaType: type, size, length: size };
    const url = action === 'delete' ? {} : { url: `${origin.base}/v2/${repository}/${kind}/${digest}` };
    return {
      id: randomUUID(),
      timestamp: new Date(this.#clock.now()).toISOString(),
      action,
      target: {
        ...described,
        digest,
        repository,
        ...url,
        ...(tag === undefined ? {} : { tag }),
        ...(fromRepository === undefined ? {} : { fromRepository }),
      },
      request: {
        id: randomUUID(),
        addr: origin.address,
        host: new URL(origin.base).host,
        method: origin.method,
        useragent: origin.userAgent,
      },
      actor: origin.actor === undefined ? {} : { name: origin.actor },
      source: this.#source,
    };
  }
}

/**
 * @throws ToolError SERVE_WEBHOOK_INVALID, which shows no more than the host: the rest may be a secret
 */
export function parseWebhook(text: string, allowHttp: boolean): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new ToolError('SERVE_WEBHOOK_INVALID', 'a webhook is no http or https address');
  }
  if (url.protocol === 'http:' && !isLoopback(url) && !allowHttp) {
    throw new ToolError('SERVE_WEBHOOK_INVALID', `the webhook at ${url.host} would be told without encryption`, {
      hint: 'use https, or say --webhook-http where the network can be trusted',
    });
  }
  return url;
}

class Endpoint {
  readonly #url: URL;
  readonly #http: HttpClient;
  readonly #secret: string | undefined;
  readonly #onWarning: (text: string) => void;
  readonly #queue: object[] = [];
  readonly #stopping = new AbortController();
  #working: Promise<void> | undefined;
  #dropped = 0;

  constructor(url: URL, http: HttpClient, secret: string | undefined, onWarning: (text: string) => void) {
    this.#url = url;
    this.#http = http;
    this.#secret = secret;
    this.#onWarning = onWarning;
  }

  add(message: object): void {
    if (this.#queue.length >= maxQueued) {
      this.#queue.shift();
      if (this.#dropped++ === 0) this.#warn(`more than ${maxQueued} notifications wait; the oldest are dropped`);
    }
    this.#queue.push(message);
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
    });
  }

  async stop(graceMs: number): Promise<void> {
    if (this.#working === undefined) return;
    const late = setTimeout(() => this.#stopping.abort(), graceMs);
    await this.#working;
    clearTimeout(late);
    if (this.#queue.length > 0) this.#warn(`${this.#queue.length} notifications were not delivered`);
  }

  async #work(): Promise<void> {
    const { signal } = this.#stopping;
    while (this.#queue.length > 0 && !signal.aborted) {
      const events = this.#queue.slice(0, maxPerEnvelope);
      const failure = await this.#deliver(Buffer.from(JSON.stringify({ events })), { signal });
      if (signal.aborted) return;
      if (failure !== undefined) this.#warn(`${events.length} notifications were not delivered: ${failure}`);
      const sent = new Set(events);
      this.#queue.splice(0, this.#queue.length, ...this.#queue.filter((message) => !sent.has(message)));
      this.#dropped = 0;
    }
  }

  /** Undefined once it was delivered, else why not. */
  async #deliver(body: Buffer, options: CallOptions): Promise<string | undefined> {
    let failure: string | undefined;
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      try {
        if (attempt > 0) await sleep(Math.min(firstWaitMs * 2 ** (attempt - 1), maxWaitMs), options);
        failure = await this.#send(body, options);
      } catch (error) {
        // The error's own sentence has the address in it.
        failure = errorCode(error) ?? 'it cannot be reached';
      }
      if (failure === undefined || options.signal?.aborted) return failure;
    }
    return failure;
  }

  async #send(body: Buffer, { signal }: CallOptions): Promise<string | undefined> {
    const limit = AbortSignal.timeout(attemptMs);
    const response = await this.#http.request({
      method: 'POST',
      url: this.#url,
      body,
      headers: {
        'Content-Type': mediaType,
        ...(this.#secret === undefined ? {} : { 'X-Hub-Signature-256': signatureOf(body, this.#secret) }),
      },
      redirects: 'refuse',
      signal: signal === undefined ? limit : AbortSignal.any([signal, limit]),
    });
    await discard(response);
    return response.status >= 200 && response.status < 300 ? undefined : `it answered ${response.status}`;
  }

  #warn(text: string): void {
    this.#onWarning(`webhook at ${this.#url.host}: ${text}`);
  }
}

function signatureOf(body: Buffer, secret: string): string {
  return `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
}

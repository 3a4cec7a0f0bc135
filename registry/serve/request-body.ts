import type { IncomingMessage } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { CallOptions } from '../../core/index.ts';
import { RequestError } from './request-error.ts';

/** A sender that brings less than this within a window is not slow but holding a place. */
const slowWindowMs = 60_000;
const slowWindowBytes = 1024;
const maxDrainMs = 2_000;

export interface BodyOptions extends CallOptions {
  /** Called when the body is about to be read: the client may be waiting for `100 Continue`. */
  readonly onRead: () => void;
}

/**
 * The bytes of a request's body. Leaving early leaves the rest unread; an abort closes the connection.
 * @throws what the connection ended with; the signal's reason
 */
export async function* bodyChunks(request: IncomingMessage, options: BodyOptions): AsyncGenerator<Buffer> {
  const { signal } = options;
  signal?.throwIfAborted();
  const end = (): void => void request.destroy();
  signal?.addEventListener('abort', end, { once: true });
  let windowBytes = 0;
  const watch = setInterval(() => {
    if (windowBytes < slowWindowBytes) request.destroy();
    windowBytes = 0;
  }, slowWindowMs);
  watch.unref();
  try {
    options.onRead();
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      windowBytes += chunk.byteLength;
      yield chunk;
    }
    // A connection that was closed in the middle may end the iteration without an error.
    if (!request.complete) throw new RequestError(400, { code: 'SIZE_INVALID', message: 'the body was cut off' });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    clearInterval(watch);
    signal?.removeEventListener('abort', end);
  }
}

/** The whole of a small body. @throws RequestError 413 */
export async function readBody(request: IncomingMessage, maxBytes: number, options: BodyOptions): Promise<Buffer> {
  const tooLarge = () =>
    new RequestError(413, { code: 'SIZE_INVALID', message: `the body is over the limit of ${maxBytes} bytes` });
  if ((contentLength(request) ?? 0) > maxBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of bodyChunks(request, options)) {
    size += chunk.byteLength;
    if (size > maxBytes) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

export function contentLength(request: IncomingMessage): number | undefined {
  const text = request.headers['content-length'];
  return text === undefined ? undefined : Number(text);
}

export function hasBody(request: IncomingMessage): boolean {
  return (contentLength(request) ?? 0) > 0 || request.headers['transfer-encoding'] !== undefined;
}

/** True when the client sends, or is about to send, what nobody read. */
export function hasUnreadBody(request: IncomingMessage): boolean {
  return hasBody(request) && !request.readableEnded;
}

/** Reads what nobody wants, within limits: a client that still sends does not see its answer otherwise. */
export async function drain(request: IncomingMessage, maxBytes: number): Promise<void> {
  const stop = new AbortController();
  const late = delay(maxDrainMs, undefined, { signal: stop.signal }).catch(() => {});
  await Promise.race([readAway(request, maxBytes).catch(() => {}), late]);
  stop.abort();
}

async function readAway(request: IncomingMessage, maxBytes: number): Promise<void> {
  let bytes = 0;
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) return;
  }
}

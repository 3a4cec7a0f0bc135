import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ContentView } from './content-view.ts';
import type { RegistryEvent } from './events.ts';
import { type BodyOptions, bodyChunks, readBody } from './request-body.ts';
import { unsupported } from './request-error.ts';
import type { RegistryStorage } from './storage.ts';
import type { Uploads } from './uploads.ts';

/** What handlers serve from. */
export interface Served {
  readonly view: ContentView;
  /** What can be written to; nothing where the registry is read-only. */
  readonly writable: { readonly storage: RegistryStorage; readonly uploads: Uploads } | undefined;
  readonly mayDelete: boolean;
  /** Milliseconds since the epoch. */
  now(): number;
  /** How long what somebody asked for stays, at least. */
  readonly graceMs: number;
}

/** One request, its route known and its sender let in. */
export interface Exchange {
  readonly served: Served;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
  /** Whether the sender may also do this; asked for what a query names. */
  mayPull(repository: string): boolean;
  /** Tells those who want to know. */
  notify(event: RegistryEvent): void;
}

/** @throws RequestError UNSUPPORTED where nothing may be written */
export function writableOf({ served }: Exchange): NonNullable<Served['writable']> {
  if (served.writable === undefined) throw unsupported('this registry is read-only', ['GET', 'HEAD']);
  return served.writable;
}

/** @throws RequestError UNSUPPORTED where nothing may be deleted */
export function deletableOf(exchange: Exchange): NonNullable<Served['writable']> {
  const writable = writableOf(exchange);
  if (!exchange.served.mayDelete) throw unsupported('this registry deletes nothing', ['GET', 'HEAD']);
  return writable;
}

export function chunksOf(exchange: Exchange, signal: AbortSignal): AsyncIterable<Buffer> {
  return bodyChunks(exchange.request, { ...continuing(exchange), signal });
}

export function bodyOf(exchange: Exchange, maxBytes: number): Promise<Buffer> {
  return readBody(exchange.request, maxBytes, continuing(exchange));
}

/** Ends the answer, without a body. */
export function answer({ response }: Exchange, status: number, headers: Readonly<Record<string, string>>): void {
  response.writeHead(status, { 'Content-Length': '0', ...headers }).end();
}

export function answerJson(
  { request, response }: Exchange,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  const bytes = Buffer.from(JSON.stringify(value));
  response.writeHead(200, {
    'Content-Type': 'application/json',
    'Content-Length': String(bytes.byteLength),
    ...headers,
  });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

/** True when the client has what it asks for already. RFC 9110 §13.1.2 */
export function isUnchanged({ request }: Exchange, etag: string): boolean {
  const wanted = request.headers['if-none-match'];
  return wanted?.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag || tag.trim() === '*') ?? false;
}

function continuing({ request, response }: Exchange): BodyOptions {
  return {
    onRead: () => {
      if (request.headers.expect?.toLowerCase() === '100-continue') response.writeContinue();
    },
  };
}

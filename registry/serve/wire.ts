// For tests: requests as they are on the wire, made by node:http and not by our client.
import { once } from 'node:events';
import { mkdtempDisposable } from 'node:fs/promises';
import { type IncomingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { expect } from 'vitest';
import { type Digest, describe, mediaTypes, sha256 } from '../../core/index.ts';
import type { RunningRegistry, ServeOptions } from './serve-options.ts';
import { serveRegistry } from './server.ts';

export interface WireAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface WireRegistry extends RunningRegistry {
  readonly root: string;
  readonly warnings: readonly string[];
  send(method: string, target: string, options?: WireRequest): Promise<WireAnswer>;
}

export interface WireRequest {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

/** A clock that stands until it is told to go on. */
export function steppedClock(): { now(): number; ms: number } {
  return {
    ms: Date.UTC(2026, 0, 1),
    now() {
      return this.ms;
    },
  };
}

/** A registry of its own, on a free port of the loopback interface. */
export async function startWireRegistry(options: Partial<ServeOptions> = {}): Promise<WireRegistry> {
  const folder = await mkdtempDisposable(path.join(tmpdir(), 'kiln-serve-'));
  const root = path.join(folder.path, 'registry');
  const warnings: string[] = [];
  const registry = await serveRegistry({
    content: { root },
    clock: { now: () => Date.now() },
    onWarning: (text) => warnings.push(text),
    stopMs: 1000,
    ...options,
  });
  return {
    ...registry,
    root,
    warnings,
    send: (method, target, wire) => send(registry.url, method, target, wire),
    async [Symbol.asyncDispose]() {
      await registry[Symbol.asyncDispose]();
      await folder.remove();
    },
  };
}

export async function send(
  base: string,
  method: string,
  target: string,
  { headers = {}, body }: WireRequest = {},
): Promise<WireAnswer> {
  const { hostname, port } = new URL(base);
  const length = body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) };
  const sent = request({
    hostname: hostname.replace(/^\[|\]$/g, ''),
    port,
    method,
    path: target,
    headers: { ...length, ...headers },
    agent: false,
  });
  sent.end(body);
  const [response] = await once(sent, 'response');
  return { status: response.statusCode, headers: response.headers, body: await buffer(response) };
}

/** Codes of the errors in an answer. distribution-spec, #error-codes */
export function codesOf(answer: WireAnswer): readonly string[] {
  expect(answer.headers['content-type']).toBe('application/json');
  const { errors } = JSON.parse(answer.body.toString()) as { readonly errors: readonly { readonly code: string }[] };
  return errors.map(({ code }) => code);
}

export function locationOf(answer: WireAnswer): string {
  const { location } = answer.headers;
  if (location === undefined) throw new Error(`the answer ${answer.status} has no Location`);
  return location;
}

/** Uploads a blob as one PUT after a POST. */
export async function pushBlob(
  registry: WireRegistry,
  repository: string,
  bytes: Uint8Array | string,
): Promise<Digest> {
  const digest = sha256(bytes);
  const started = await registry.send('POST', `/v2/${repository}/blobs/uploads/`);
  const target = `${locationOf(started)}?digest=${digest}`;
  const finished = await registry.send('PUT', target, { body: bytes });
  expect(finished.status).toBe(201);
  return digest;
}

export interface PushedImage {
  readonly bytes: Buffer;
  readonly digest: Digest;
  readonly layer: Digest;
  readonly config: Digest;
}

/** Pushes a small image under a tag, or its digest; `more` becomes part of its manifest. */
export async function pushImage(
  registry: WireRegistry,
  repository: string,
  tag: string | undefined,
  more: Readonly<Record<string, unknown>> = {},
  mark = tag ?? 'untagged',
): Promise<PushedImage> {
  const layer = Buffer.from(`layer of ${mark}`);
  const config = Buffer.from(JSON.stringify({ mark }));
  for (const bytes of [layer, config]) await pushBlob(registry, repository, bytes);
  const bytes = manifestOf(layer, config, more);
  const digest = sha256(bytes);
  const answer = await registry.send('PUT', `/v2/${repository}/manifests/${tag ?? digest}`, {
    headers: { 'Content-Type': mediaTypes.manifest },
    body: bytes,
  });
  expect(answer.status, answer.body.toString()).toBe(201);
  return { bytes, digest, layer: sha256(layer), config: sha256(config) };
}

export function manifestOf(layer: Buffer, config: Buffer, more: Readonly<Record<string, unknown>> = {}): Buffer {
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config: describe(mediaTypes.config, config),
      layers: [describe(mediaTypes.layer, layer)],
      ...more,
    }),
  );
}

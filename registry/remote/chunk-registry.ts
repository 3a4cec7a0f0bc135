import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';

export interface ChunkRegistryBehaviour {
  /** Answers instead of the registry; `turn` counts the requests of this method. True when it did. */
  readonly instead?: (request: IncomingMessage, response: ServerResponse, turn: number) => Promise<boolean> | boolean;
  /** Headers of the answer that begins an upload. */
  readonly begins?: Readonly<Record<string, string>>;
  /** How many bytes of one PATCH it takes. */
  readonly takes?: number;
}

export interface ChunkRegistry extends AsyncDisposable {
  readonly host: string;
  readonly blobs: ReadonlyMap<string, Buffer>;
  /** What uploads have, by their number. */
  readonly uploads: Map<string, Buffer>;
  /** `METHOD range-or-length`, in order. */
  readonly seen: string[];
  /** The largest body of a PATCH. */
  readonly largest: () => number;
}

/** A registry in memory that takes blobs in chunks as the specification has it, unless it is told to behave otherwise. */
export async function startChunkRegistry(behaviour: ChunkRegistryBehaviour = {}): Promise<ChunkRegistry> {
  const blobs = new Map<string, Buffer>();
  const uploads = new Map<string, Buffer>();
  const seen: string[] = [];
  const turns = new Map<string, number>();
  let largest = 0;
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    host: `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`,
    blobs,
    uploads,
    seen,
    largest: () => largest,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
    },
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '' } = request;
    const url = new URL(request.url ?? '', 'http://registry.invalid');
    seen.push(`${method} ${request.headers['content-range'] ?? ''}`.trim());
    turns.set(method, (turns.get(method) ?? 0) + 1);
    if (await behaviour.instead?.(request, response, turns.get(method) ?? 0)) return;
    const id = url.pathname.split('/').at(-1) ?? '';
    if (method === 'HEAD') return void response.writeHead(blobs.has(id) ? 200 : 404).end();
    if (method === 'POST') return begin(request, response);
    const upload = uploads.get(id);
    if (upload === undefined) return void response.writeHead(404).end();
    if (method === 'GET') return void response.writeHead(204, progress(id, upload)).end();
    if (method === 'DELETE') return void response.writeHead(uploads.delete(id) ? 204 : 404).end();
    const body = await buffer(request);
    const from = Number(request.headers['content-range']?.split('-')[0] ?? upload.byteLength);
    if (from !== upload.byteLength) return void response.writeHead(416, progress(id, upload)).end();
    if (method === 'PATCH') largest = Math.max(largest, body.byteLength);
    const whole = Buffer.concat([upload, body.subarray(0, method === 'PATCH' ? behaviour.takes : undefined)]);
    uploads.set(id, whole);
    if (method === 'PATCH') return void response.writeHead(202, progress(id, whole)).end();
    return finish(response, id, whole, url.searchParams.get('digest') ?? '');
  }

  async function begin(request: IncomingMessage, response: ServerResponse): Promise<void> {
    await buffer(request);
    const id = String(uploads.size + 1);
    uploads.set(id, Buffer.alloc(0));
    response.writeHead(202, { location: `/v2/web/blobs/uploads/${id}`, ...behaviour.begins }).end();
  }

  function finish(response: ServerResponse, id: string, whole: Buffer, digest: string): void {
    uploads.delete(id);
    if (digest !== `sha256:${createHash('sha256').update(whole).digest('hex')}`) {
      const error = { errors: [{ code: 'DIGEST_INVALID', message: 'not its digest' }] };
      return void response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify(error));
    }
    blobs.set(digest, whole);
    response.writeHead(201, { 'docker-content-digest': digest }).end();
  }
}

function progress(id: string, upload: Buffer): OutgoingHttpHeaders {
  const range = upload.byteLength === 0 ? {} : { range: `0-${upload.byteLength - 1}` };
  return { location: `/v2/web/blobs/uploads/${id}`, ...range };
}

import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';

export interface SlowRegistry extends AsyncDisposable {
  /** `127.0.0.1:port` */
  readonly host: string;
  /** Of each GET of the blob that was asked for so far: where it began, and how many bytes were sent. */
  readonly downloads: readonly { readonly from: number; sent: number }[];
  /** From now on nothing is held back. */
  release(): void;
}

/**
 * Stands before a registry, counts the bytes of one blob's downloads, and stops sending it after `holdAfter` bytes of a
 * download until it is released.
 */
export async function openSlowRegistry(
  behind: string,
  options: { readonly digest: string; readonly holdAfter: number },
): Promise<SlowRegistry> {
  const downloads: { from: number; sent: number }[] = [];
  const released = Promise.withResolvers<void>();
  const server = createServer((incoming, answer) => {
    pass(incoming, answer).catch(() => answer.destroy());
  });

  async function pass(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const [host, port] = behind.split(':');
    const asking = request({ host, port, method: incoming.method, path: incoming.url, headers: incoming.headers });
    incoming.pipe(asking);
    const [response] = (await once(asking, 'response')) as [IncomingMessage];
    answer.writeHead(response.statusCode ?? 500, response.headers);
    const isCounted = incoming.method === 'GET' && incoming.url?.endsWith(`/blobs/${options.digest}`);
    const download = { from: Number(/^bytes=(\d+)-/.exec(incoming.headers.range ?? '')?.[1] ?? 0), sent: 0 };
    if (isCounted) downloads.push(download);
    const closed = once(answer, 'close');
    for await (const chunk of response as AsyncIterable<Buffer>) {
      if (isCounted && download.sent >= options.holdAfter) await Promise.race([released.promise, closed]);
      if (answer.destroyed) break;
      download.sent += chunk.byteLength;
      if (!answer.write(chunk)) await drained(answer, closed);
    }
    response.destroy();
    answer.end();
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no port was given');
  return {
    host: `127.0.0.1:${address.port}`,
    downloads,
    release: () => released.resolve(),
    async [Symbol.asyncDispose]() {
      released.resolve();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Returns when more can be written, or nobody reads any more. */
async function drained(answer: ServerResponse, closed: Promise<unknown>): Promise<void> {
  const stop = new AbortController();
  await Promise.race([once(answer, 'drain', { signal: stop.signal }).catch(() => undefined), closed]);
  stop.abort();
}

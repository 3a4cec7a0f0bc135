import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

export interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
}

export interface MisbehavingServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly origin: string;
  /** What was asked, in order. */
  readonly asked: readonly Asked[];
}

/** A web server on loopback that does what a test wants it to; `turn` counts requests from 1. */
export async function startServer(
  answer: (request: IncomingMessage, response: ServerResponse, turn: number) => void,
): Promise<MisbehavingServer> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    asked.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers });
    answer(request, response, asked.length);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    origin: `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`,
    asked,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Sends the beginning of what it announced, and then breaks the connection. */
export function breakOff(response: ServerResponse, bytes: Buffer, from: number, to: number): void {
  response.writeHead(from === 0 ? 200 : 206, {
    'content-length': bytes.length - from,
    etag: '"one"',
    ...(from === 0 ? {} : { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` }),
  });
  response.write(bytes.subarray(from, to), () => response.destroy());
}

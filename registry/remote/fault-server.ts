import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { CredentialSource } from '../credentials/credentials.ts';
import { openRepository, type RemoteRepository } from './repository.ts';
import type { RemoteOptions } from './session.ts';

export interface Exchange {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
}

export interface FaultServer extends AsyncDisposable {
  readonly host: string;
  /** What was asked, in order. */
  readonly seen: readonly Exchange[];
  /** The repository `web` on this server. */
  readonly repository: RemoteRepository;
  readonly warnings: readonly string[];
}

/** A registry on loopback that misbehaves as a test wants it to. */
export async function startFaultServer(
  answer: (request: IncomingMessage, response: ServerResponse, turn: number) => void,
  credentials: CredentialSource = { find: async () => undefined },
  options: Partial<RemoteOptions> = {},
): Promise<FaultServer> {
  const seen: Exchange[] = [];
  const server = createServer((request, response) => {
    seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers });
    answer(request, response, seen.length);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const host = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  const warnings: string[] = [];
  const onWarning = (text: string) => warnings.push(text);
  return {
    host,
    seen,
    warnings,
    repository: openRepository(
      { registry: host, repository: 'web' },
      { credentials, onWarning, timing: { backoffMs: 4 }, ...options },
    ),
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}

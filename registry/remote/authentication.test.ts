import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { blobOf, json } from '../content-suite.ts';
import type { Credential } from '../credentials/credentials.ts';
import { type FaultServer, startFaultServer } from './fault-server.ts';

const blob = blobOf('some bytes');
const user: Credential = { username: 'kiln', secret: 'top-secret-password' };

interface TokenRegistry {
  /** What is answered to a request for a token. */
  readonly grant: (request: IncomingMessage, response: ServerResponse, form: URLSearchParams) => void;
  /** What is answered to a bearer token; undefined lets it in. */
  readonly refuse?: (token: string) => string | undefined;
}

/** A registry whose token server is beside it. */
function startTokenRegistry(
  { grant, refuse }: TokenRegistry,
  credential: Credential | 'nobody' = user,
): Promise<FaultServer> {
  return startFaultServer(
    (request, response) => {
      const url = new URL(request.url ?? '', 'http://127.0.0.1');
      if (url.pathname === '/token') {
        void text(request).then((body) => {
          grant(request, response, request.method === 'POST' ? new URLSearchParams(body) : url.searchParams);
        });
        return;
      }
      const realm = `Bearer realm="http://${request.headers.host}/token",service="s"`;
      const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
      const why = token === undefined ? '' : refuse?.(token);
      if (why === undefined) return response.end(blob.bytes);
      response.writeHead(401, { 'www-authenticate': `${realm}${why}` }).end();
    },
    { find: async () => (credential === 'nobody' ? undefined : credential) },
  );
}

function tokenRequests(server: FaultServer): readonly string[] {
  return server.seen
    .filter(({ url }) => url.startsWith('/token'))
    .map(({ method, url }) => `${method} ${decodeURIComponent(url)}`);
}

describe('bearer tokens', () => {
  it('are fetched anew when they have expired', async () => {
    let count = 0;
    await using server = await startTokenRegistry({
      grant: (_request, response) => {
        count += 1;
        response.end(json({ token: `token-${count}`, expires_in: count === 1 ? 0.001 : 300 }));
      },
    });

    for (let turn = 0; turn < 3; turn++) await server.repository.has(blob.descriptor);

    const sent = server.seen.map(({ headers }) => headers.authorization).filter((value) => value?.startsWith('Bearer'));
    expect(sent).toEqual(['Bearer token-1', 'Bearer token-2', 'Bearer token-2']);
  });

  it('that the registry refuses before their time are replaced', async () => {
    let count = 0;
    const gone = new Set<string>();
    await using server = await startTokenRegistry({
      grant: (_request, response) => {
        count += 1;
        response.end(json({ access_token: `token-${count}` }));
      },
      refuse: (token) => (gone.has(token) ? ',error="invalid_token"' : undefined),
    });
    expect(await server.repository.has(blob.descriptor)).toBe(true);
    gone.add('token-1');

    expect(await server.repository.has(blob.descriptor)).toBe(true);

    expect(server.seen.at(-1)?.headers.authorization).toBe('Bearer token-2');
  });

  it('are asked for with the scope that the registry says is missing, once', async () => {
    await using server = await startTokenRegistry({
      grant: (_request, response, form) =>
        response.end(json({ token: form.getAll('scope').includes('repository:proxy/web:pull') ? 'wide' : 'narrow' })),
      refuse: (token) =>
        token === 'wide' ? undefined : ',error="insufficient_scope",scope="repository:proxy/web:pull"',
    });

    // Its first challenge says nothing of scopes.
    expect(await server.repository.has(blob.descriptor)).toBe(true);
    expect(await server.repository.has(blob.descriptor)).toBe(true);

    expect(tokenRequests(server).at(-1)).toContain('scope=repository:web:pull&scope=repository:proxy/web:pull');
    expect(tokenRequests(server)).toHaveLength(2);
  });

  it('are had without a user where there is none', async () => {
    const sent: unknown[] = [];
    await using server = await startTokenRegistry(
      {
        grant: (request, response) => {
          sent.push(request.headers.authorization);
          response.end(json({ token: 'anonymous' }));
        },
      },
      'nobody',
    );

    expect(await server.repository.has(blob.descriptor)).toBe(true);
    expect(sent).toEqual([undefined]);
  });
});

it('a token that is never enough is not asked for again and again', async () => {
  await using server = await startTokenRegistry({
    grant: (_request, response) => response.end(json({ token: 'narrow' })),
    refuse: () => `,error="insufficient_scope",scope="repository:web-${Math.trunc(performance.now() * 1e6)}:pull"`,
  });

  await expect(server.repository.has(blob.descriptor)).rejects.toMatchObject({ code: 'REGISTRY_UNAUTHORIZED' });
  expect(server.seen.length).toBeLessThan(8);
});

describe('an identity token', () => {
  const identity: Credential = { username: 'me', identityToken: 'long-lived-secret' };

  it('is exchanged by POST', async () => {
    const forms: string[] = [];
    await using server = await startTokenRegistry(
      {
        grant: (_request, response, form) => {
          forms.push(form.toString());
          response.end(json({ access_token: 'short' }));
        },
      },
      identity,
    );

    expect(await server.repository.has(blob.descriptor)).toBe(true);
    expect(tokenRequests(server)).toEqual(['POST /token']);
    expect(forms[0]).toContain('grant_type=refresh_token');
  });

  it.each([404, 405, 401])('stands for a password where POST is answered %d', async (status) => {
    await using server = await startTokenRegistry(
      {
        grant: (request, response) => {
          if (request.method === 'POST') return response.writeHead(status).end();
          const expected = `Basic ${Buffer.from('me:long-lived-secret').toString('base64')}`;
          if (request.headers.authorization !== expected) return response.writeHead(403).end();
          response.end(json({ token: 'short' }));
        },
      },
      identity,
    );

    expect(await server.repository.has(blob.descriptor)).toBe(true);
  });

  it('is in no message when neither is taken', async () => {
    await using server = await startTokenRegistry(
      {
        grant: (request, response, form) => {
          const said = `${form.get('refresh_token')} ${request.headers.authorization}`;
          response.writeHead(401).end(json({ message: said }));
        },
      },
      identity,
    );

    const error = await server.repository.has(blob.descriptor).catch((reason: unknown) => reason);

    expect(error).toMatchObject({ code: 'REGISTRY_UNAUTHORIZED' });
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('long-lived-secret');
  });
});

describe('an address that repeats what was sent', () => {
  it('shows it in no message and in no list of exchanges', async () => {
    const exchanges: unknown[] = [];
    await using server = await startFaultServer(
      (request, response) => {
        const { authorization } = request.headers;
        if (request.url?.startsWith('/gone')) return request.socket.destroy();
        if (authorization === undefined) {
          return response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
        }
        response.writeHead(302, { location: `/gone/${encodeURIComponent(authorization)}?n=${authorization}` }).end();
      },
      { find: async () => user },
      { onExchange: (exchange) => exchanges.push(exchange) },
    );

    const error = await server.repository.has(blob.descriptor).catch((reason: unknown) => reason);

    const shown = inspect([error, exchanges], { depth: 9, showHidden: true });
    expect(shown).toContain('REGISTRY_UNREACHABLE');
    expect(shown).toContain('/gone/');
    expect(shown).not.toContain(Buffer.from('kiln:top-secret-password').toString('base64').replace(/=+$/, ''));
  });
});

import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { mediaTypes, sleep, streamOf } from '../../core/index.ts';
import { blobOf, json } from '../content-suite.ts';
import type { Credential } from '../credentials/credentials.ts';
import type { RegistryEndpoint } from '../hosts/endpoint.ts';
import { type FaultServer, startFaultServer } from './fault-server.ts';
import { openRepository } from './repository.ts';
import { type RemoteOptions, verifyLogin } from './session.ts';

const blob = blobOf('some bytes');
const manifest = blobOf(
  json({ schemaVersion: 2, mediaType: mediaTypes.manifest, config: blob.descriptor, layers: [] }).toString(),
  mediaTypes.manifest,
);
const all = new Set(['pull', 'resolve', 'push'] as const);
const reading = new Set(['pull', 'resolve'] as const);

/** Has the blob and the manifest, under whatever name. */
function serve(request: IncomingMessage, response: ServerResponse): void {
  const isManifest = request.url?.includes('/manifests/') === true;
  const { bytes, descriptor } = isManifest ? manifest : blob;
  if (request.method === 'POST') return void response.writeHead(202, { location: '/upload' }).end();
  if (request.method === 'PUT') return void request.resume().on('end', () => response.writeHead(201).end());
  response.writeHead(200, {
    'content-type': isManifest ? mediaTypes.manifest : 'application/octet-stream',
    'content-length': bytes.byteLength,
    'docker-content-digest': descriptor.digest,
  });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

function endpointAt(server: FaultServer, more: Partial<RegistryEndpoint> = {}): RegistryEndpoint {
  const isMirror = more.isMirror ?? true;
  return {
    base: new URL(`http://${server.host}/v2/`),
    repository: 'team/web',
    credentialsOf: server.host,
    capabilities: isMirror ? reading : all,
    tls: {},
    isMirror,
    ...more,
  };
}

function open(endpoints: readonly RegistryEndpoint[], options: Partial<RemoteOptions> = {}) {
  const warnings: string[] = [];
  const repository = openRepository(
    { registry: 'registry.example', repository: 'team/web' },
    {
      credentials: { find: async () => undefined },
      timing: { backoffMs: 2 },
      hosts: { endpoints: async () => endpoints },
      onWarning: (warning) => warnings.push(warning),
      ...options,
    },
  );
  return { repository, warnings };
}

describe('a mirror', () => {
  it('is asked before the registry, by its own path, name, query and headers', async () => {
    await using mirror = await startFaultServer(serve);
    await using registry = await startFaultServer(serve);
    const { repository } = open([
      endpointAt(mirror, {
        base: new URL(`http://${mirror.host}/proxy/v2/`),
        repository: 'cache/team/web',
        query: { ns: 'registry.example' },
        headers: { 'X-Site': 'lab' },
      }),
      endpointAt(registry, { isMirror: false }),
    ]);

    const root = await repository.resolve('latest');
    await text(await repository.read(blob.descriptor));

    expect(root).toEqual(manifest.descriptor);
    expect(mirror.seen.map(({ method, url }) => `${method} ${url}`)).toEqual([
      'HEAD /proxy/v2/cache/team/web/manifests/latest?ns=registry.example',
      `GET /proxy/v2/cache/team/web/blobs/${blob.descriptor.digest}?ns=registry.example`,
    ]);
    expect(mirror.seen.every(({ headers }) => headers['x-site'] === 'lab')).toBe(true);
    expect(registry.seen).toEqual([]);
  });

  it.each([401, 403, 404, 429, 500, 502])(
    'that answers %d gives way to the next, and to the registry',
    async (status) => {
      await using mirror = await startFaultServer((_request, response) => response.writeHead(status).end());
      await using second = await startFaultServer((_request, response) => response.writeHead(404).end());
      await using registry = await startFaultServer(serve);
      const { repository } = open([endpointAt(mirror), endpointAt(second), endpointAt(registry, { isMirror: false })]);

      expect(await repository.resolve('latest')).toEqual(manifest.descriptor);
      expect(second.seen).toHaveLength(1);
    },
  );

  it('that is dead is tried once in a session, and the user told so once', async () => {
    let dead: FaultServer;
    {
      await using closed = await startFaultServer(serve);
      dead = closed;
    }
    await using failing = await startFaultServer((_request, response) => response.writeHead(503).end());
    await using registry = await startFaultServer(serve);
    const { repository, warnings } = open([
      endpointAt(dead),
      endpointAt(failing),
      endpointAt(registry, { isMirror: false }),
    ]);

    await repository.resolve('latest');
    await repository.resolve('latest');
    await text(await repository.read(blob.descriptor));

    expect(failing.seen).toHaveLength(2);
    expect(registry.seen).toHaveLength(3);
    expect(warnings).toEqual([
      expect.stringContaining(`its mirror ${dead.host} is left out: `),
      expect.stringContaining(`its mirror ${failing.host} is left out: it answered 503`),
    ]);
  });

  it('that just does not have something is asked for the next', async () => {
    await using mirror = await startFaultServer((request, response) =>
      request.url?.includes('/manifests/') ? response.writeHead(404).end() : serve(request, response),
    );
    await using registry = await startFaultServer(serve);
    const { repository, warnings } = open([endpointAt(mirror), endpointAt(registry, { isMirror: false })]);

    await repository.resolve('latest');
    await text(await repository.read(blob.descriptor));

    expect(mirror.seen).toHaveLength(2);
    expect(registry.seen).toHaveLength(1);
    expect(warnings).toEqual([]);
  });

  it('that is busy is not waited for', async () => {
    await using mirror = await startFaultServer((_request, response) =>
      response.writeHead(429, { 'retry-after': '30' }).end(),
    );
    await using registry = await startFaultServer(serve);
    const { repository } = open([endpointAt(mirror), endpointAt(registry, { isMirror: false })]);

    expect(await repository.resolve('latest')).toEqual(manifest.descriptor);
    expect(mirror.seen).toHaveLength(1);
  });

  it('behind a page to log in at is left out', async () => {
    await using mirror = await startFaultServer((_request, response) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
    );
    await using registry = await startFaultServer(serve);
    const { repository } = open([endpointAt(mirror), endpointAt(registry, { isMirror: false })]);

    expect(await repository.resolve('latest')).toEqual(manifest.descriptor);
  });

  it('for digests is asked for no tag; one for tags for what its tags name, and nothing else', async () => {
    await using digests = await startFaultServer(serve);
    await using tags = await startFaultServer(serve);
    await using registry = await startFaultServer(serve);
    const own = endpointAt(registry, { isMirror: false });
    const first = open([endpointAt(digests, { answers: 'digests' }), own]).repository;
    const second = open([endpointAt(tags, { answers: 'tags' }), own]).repository;

    await first.resolve('latest');
    await text(await first.read(blob.descriptor));
    expect([digests.seen.length, registry.seen.length]).toEqual([1, 1]);
    await text(await second.read(blob.descriptor));
    expect([tags.seen.length, registry.seen.length]).toEqual([0, 2]);
    await second.resolve('latest');
    await text(await second.read(blob.descriptor));

    expect([tags.seen.length, registry.seen.length]).toEqual([2, 2]);
  });

  it('is not pushed to, and not asked what a push may leave out', async () => {
    await using mirror = await startFaultServer(serve);
    await using registry = await startFaultServer((request, response) =>
      request.method === 'HEAD' ? response.writeHead(404).end() : serve(request, response),
    );
    const { repository } = open([endpointAt(mirror), endpointAt(registry, { isMirror: false })]);

    expect(await repository.has(blob.descriptor)).toBe(false);
    await repository.write(blob.descriptor, streamOf(blob.bytes));

    expect(mirror.seen).toEqual([]);
    expect(registry.seen.map(({ method }) => method)).toEqual(['HEAD', 'POST', 'PUT']);
  });

  it('that may be pushed to is; where nothing may, that is said', async () => {
    await using mirror = await startFaultServer(serve);
    await using registry = await startFaultServer(serve);
    const own = endpointAt(registry, { isMirror: false, capabilities: reading });
    const { repository } = open([endpointAt(mirror, { capabilities: all }), own]);

    expect(await repository.has(blob.descriptor)).toBe(true);
    expect(mirror.seen).toHaveLength(1);
    await expect(open([own]).repository.has(blob.descriptor)).rejects.toMatchObject({ code: 'REGISTRY_DENIED' });
  });

  it('gets its own credentials, for the name it has the repository under, and never those of the registry', async () => {
    const asked: unknown[] = [];
    const refuse = (request: IncomingMessage, response: ServerResponse) => {
      if (request.headers.authorization !== undefined) return void response.writeHead(404).end();
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
    };
    await using mirror = await startFaultServer(refuse);
    await using registry = await startFaultServer((request, response) =>
      request.headers.authorization === undefined ? refuse(request, response) : serve(request, response),
    );
    const find = async (host: string, { repository = '' } = {}): Promise<Credential> => {
      asked.push([host, repository]);
      return { username: 'u', secret: host };
    };
    const { repository } = open(
      [
        endpointAt(mirror, { repository: 'cache/web' }),
        endpointAt(registry, { isMirror: false, credentialsOf: 'registry.example' }),
      ],
      { credentials: { find } },
    );

    await repository.resolve('latest');

    expect(asked).toEqual([
      [mirror.host, 'cache/web'],
      ['registry.example', 'team/web'],
    ]);
    const sent = Buffer.from(mirror.seen[1]?.headers.authorization?.slice(6) ?? '', 'base64').toString();
    expect(sent).toBe(`u:${mirror.host}`);
  });

  it('is not what a login is tried at', async () => {
    await using mirror = await startFaultServer(serve);
    await using registry = await startFaultServer((_request, response) => response.end('{}'));
    const endpoints = [
      endpointAt(mirror),
      endpointAt(registry, { isMirror: false, credentialsOf: 'registry.example' }),
    ];

    await verifyLogin(
      'registry.example',
      { username: 'u', secret: 's' },
      { credentials: { find: async () => undefined }, hosts: { endpoints: async () => endpoints } },
    );

    expect(mirror.seen).toEqual([]);
    expect(registry.seen.map(({ url }) => url)).toEqual(['/v2/']);
  });
});

describe('one registry', () => {
  it('that is busy is spared by all that is opened with the same options', async () => {
    const order: string[] = [];
    await using server = await startFaultServer((request, response, turn) => {
      order.push(request.url?.includes('one') ? 'one' : 'two');
      if (turn === 1) return response.writeHead(429, { 'retry-after': '1' }).end();
      serve(request, response);
    });
    const refused = Promise.withResolvers<void>();
    const options: RemoteOptions = {
      credentials: { find: async () => undefined },
      random: () => 0,
      timing: { backoffMs: 2 },
      onExchange: () => refused.resolve(),
    };
    const [one, two] = ['one', 'two'].map((repository) =>
      openRepository({ registry: server.host, repository }, options),
    );

    const first = one?.has(blob.descriptor);
    await refused.promise;
    const second = two?.has(blob.descriptor);
    // Less than the second that it asked for.
    await sleep(300);
    expect(order).toEqual(['one']);

    expect(await Promise.all([first, second])).toEqual([true, true]);
  });
});

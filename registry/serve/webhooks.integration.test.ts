import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { parseWebhook } from './webhooks.ts';
import { pushImage, startWireRegistry } from './wire.ts';

interface Told {
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

interface Event {
  readonly action: string;
  readonly target: Readonly<Record<string, unknown>>;
}

/** Somebody who is told; `statuses` are the answers to the first calls. */
async function startListener(statuses: readonly number[] = []) {
  const told: Told[] = [];
  const server = createServer(async (request, response) => {
    const body = await buffer(request);
    const status = statuses[told.length] ?? 200;
    told.push({ headers: request.headers, body });
    response.writeHead(status).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  return {
    url: `http://127.0.0.1:${port}/hook/secret-path?token=secret-query`,
    told,
    events: () => told.flatMap(({ body }) => (JSON.parse(body.toString()) as { events: Event[] }).events),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

describe('notifications', () => {
  it('tell of pushes, mounts and deletions, in the envelope of docker-registry', async () => {
    await using listener = await startListener();
    await using registry = await startWireRegistry({ webhooks: { urls: [listener.url] } });
    const image = await pushImage(registry, 'org/web', '1.0');
    await registry.send('POST', `/v2/other/blobs/uploads/?mount=${image.layer}&from=org/web`);
    await registry.send('DELETE', '/v2/org/web/manifests/1.0');
    await registry.send('DELETE', `/v2/org/web/manifests/${image.digest}`);
    await registry.send('DELETE', `/v2/org/web/blobs/${image.layer}`);

    await expect.poll(() => listener.events().length).toBe(7);

    expect(listener.told[0]?.headers['content-type']).toBe('application/vnd.docker.distribution.events.v2+json');
    const events = listener.events();
    expect(events.map(({ action }) => action)).toEqual(['push', 'push', 'push', 'mount', 'delete', 'delete', 'delete']);
    expect(events[2]).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      action: 'push',
      target: {
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        size: image.bytes.byteLength,
        length: image.bytes.byteLength,
        digest: image.digest,
        repository: 'org/web',
        url: `${registry.url}/v2/org/web/manifests/${image.digest}`,
        tag: '1.0',
      },
      request: {
        id: expect.any(String),
        addr: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
        host: registry.host,
        method: 'PUT',
        useragent: '',
      },
      actor: {},
      source: { addr: registry.host, instanceID: expect.any(String) },
    });
    expect(events[3]?.target).toMatchObject({ repository: 'other', fromRepository: 'org/web', digest: image.layer });
    expect(events[4]?.target).toEqual({ digest: image.digest, repository: 'org/web', tag: '1.0' });
    expect(events[5]?.target).toEqual({ digest: image.digest, repository: 'org/web' });
  });

  it('are signed with the secret', async () => {
    await using listener = await startListener();
    await using registry = await startWireRegistry({ webhooks: { urls: [listener.url], secret: 'shared' } });
    await pushImage(registry, 'web', '1.0');

    await expect.poll(() => listener.told.length).toBeGreaterThan(0);

    const [{ headers, body }] = listener.told as [Told];
    const signature = createHmac('sha256', 'shared').update(body).digest('hex');
    expect(headers['x-hub-signature-256']).toBe(`sha256=${signature}`);
  });

  it('are repeated until they are taken, and delivered when the registry stops', async () => {
    await using listener = await startListener([500, 400]);
    const registry = await startWireRegistry({ webhooks: { urls: [listener.url] }, stopMs: 30_000 });
    await pushImage(registry, 'web', '1.0');

    await registry[Symbol.asyncDispose]();

    expect(new Set(listener.events().map(({ action }) => action))).toEqual(new Set(['push']));
    expect(listener.told.length).toBeGreaterThan(2);
    expect(registry.warnings).toEqual([]);
  });

  it('hold up neither pushes nor the end, where nobody listens; and do not show the address', async () => {
    await using listener = await startListener();
    const { url } = listener;
    await listener[Symbol.asyncDispose]();
    const registry = await startWireRegistry({ webhooks: { urls: [url] }, stopMs: 100 });

    await pushImage(registry, 'web', '1.0');
    await registry[Symbol.asyncDispose]();

    expect(registry.warnings).toEqual([expect.stringContaining('were not delivered')]);
    expect(registry.warnings.join()).not.toContain('secret');
  });

  it('are not sent to where a listener redirects them', async () => {
    await using other = await startListener();
    await using listener = await startListener([307]);
    const registry = await startWireRegistry({ webhooks: { urls: [listener.url] }, stopMs: 100 });
    await pushImage(registry, 'web', '1.0');
    await registry[Symbol.asyncDispose]();

    expect(other.told).toEqual([]);
  });
});

describe('parseWebhook', () => {
  it.each(['https://hooks.example/x', 'http://127.0.0.1:1/x', 'http://localhost/x', 'http://[::1]/x'])(
    'takes %s',
    (text) => {
      expect(parseWebhook(text, false).href).toBe(text);
    },
  );

  it.each(['http://hooks.example/secret', 'ftp://127.0.0.1/secret', 'secret'])(
    'refuses %s without showing it all',
    (text) => {
      expect(() => parseWebhook(text, false)).toThrow(expect.objectContaining({ code: 'SERVE_WEBHOOK_INVALID' }));
      expect(() => parseWebhook(text, false)).not.toThrow('secret');
    },
  );

  it('takes http to other machines when that is said', () => {
    expect(parseWebhook('http://hooks.example/x', true).protocol).toBe('http:');
  });
});

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { LockFolder, sha256, streamOf } from '../../core/index.ts';
import { registryHtpasswd, registryUser } from '../../test/docker-registry.ts';
import { sampleImage } from '../content-suite.ts';
import { copyImage } from '../copy/copy-image.ts';
import { OciLayout } from '../layout/oci-layout.ts';
import { startTokenServer } from '../remote/token-server.ts';
import type { AccessEntry } from './serve-options.ts';
import { serveRegistry } from './server.ts';
import { codesOf, locationOf, pushBlob, pushImage, send, startWireRegistry } from './wire.ts';

const clock = { now: () => Date.now() };

function basic({ username, secret }: { username: string; secret: string }): Record<string, string> {
  return { Authorization: `Basic ${Buffer.from(`${username}:${secret}`).toString('base64')}` };
}

function raw(url: string): Socket {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => {});
  return socket;
}

describe('stopping and starting', () => {
  it('goes on with an upload that was begun before, and ends what hangs', async () => {
    await using folder = await mkdtempDisposable(path.join(tmpdir(), 'kiln-serve-'));
    const bytes = randomBytes(300_000);
    const content = { root: folder.path };
    const first = await serveRegistry({ content, clock, stopMs: 50 });
    const location = locationOf(await send(first.url, 'POST', '/v2/web/blobs/uploads/'));
    const socket = raw(first.url);
    socket.write(`PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: ${bytes.byteLength}\r\n\r\n`);
    socket.write(bytes.subarray(0, 200_000));
    await expect.poll(async () => (await send(first.url, 'GET', location)).headers.range).toBe('0-199999');

    await first[Symbol.asyncDispose]();
    await using second = await serveRegistry({ content, clock });
    const status = await send(second.url, 'GET', location);
    const rest = await send(second.url, 'PATCH', location, {
      headers: { 'Content-Range': '200000-299999' },
      body: bytes.subarray(200_000),
    });
    const done = await send(second.url, 'PUT', `${location}?digest=${sha256(bytes)}`);

    expect([status.status, status.headers.range]).toEqual([204, '0-199999']);
    expect([rest.status, done.status]).toEqual([202, 201]);
    expect((await send(second.url, 'GET', locationOf(done))).body.equals(bytes)).toBe(true);
  });

  it('lets a request that is under way come to its end', async () => {
    const stop = new AbortController();
    const registry = await startWireRegistry({ signal: stop.signal, stopMs: 20_000 });
    const socket = raw(registry.url);
    socket.write(
      `POST /v2/web/blobs/uploads/?digest=${sha256('some bytes')} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nsome `,
    );
    await once(socket, 'connect');
    // The request has been read when another one, sent later, is answered.
    await registry.send('GET', '/v2/');

    stop.abort();
    socket.write('bytes');
    const answer = await text(socket);
    await registry.stopped;

    expect(answer).toMatch(/^HTTP\/1\.1 201 /);
    expect(answer).toMatch(/^Connection: close\r$/im);
    await registry[Symbol.asyncDispose]();
  });

  it('takes a folder that another process serves for no one else', async () => {
    await using registry = await startWireRegistry();

    const again = serveRegistry({ content: { root: registry.root }, clock });

    await expect(again).rejects.toMatchObject({ code: 'SERVE_ROOT_IN_USE' });
  });

  it('says when an address is taken', async () => {
    await using registry = await startWireRegistry();
    const port = Number(new URL(registry.url).port);
    await using folder = await mkdtempDisposable(path.join(tmpdir(), 'kiln-serve-'));

    const again = serveRegistry({ content: { root: folder.path }, clock, listen: { port } });

    await expect(again).rejects.toMatchObject({ code: 'SERVE_ADDRESS_UNUSABLE' });
    // And lets go of the folder.
    await using later = await serveRegistry({ content: { root: folder.path }, clock });
    expect(later.host).toMatch(/^127\.0\.0\.1:\d+$/);
  });

  it('refuses records that are damaged', async () => {
    await using folder = await mkdtempDisposable(path.join(tmpdir(), 'kiln-serve-'));
    await writeFile(path.join(folder.path, 'records.sqlite'), 'no database at all, by far'.repeat(100));

    const opening = serveRegistry({ content: { root: folder.path }, clock });

    await expect(opening).rejects.toMatchObject({ code: 'SERVE_ROOT_INVALID' });
  });
});

describe('who may do what', () => {
  it('asks for a password before anything else', async () => {
    await using folder = await mkdtempDisposable(path.join(tmpdir(), 'kiln-serve-'));
    const htpasswd = path.join(folder.path, 'users');
    await writeFile(htpasswd, registryHtpasswd);
    const entries: AccessEntry[] = [];
    await using registry = await startWireRegistry({ auth: { htpasswd }, onRequest: (entry) => entries.push(entry) });

    const stranger = await registry.send('PUT', '/v2/web/manifests/1.0', { body: 'x' });
    const wrong = await registry.send('GET', '/v2/', { headers: basic({ username: 'kiln', secret: 'wrong secret' }) });
    const known = await registry.send('GET', '/v2/', { headers: basic(registryUser) });

    expect([stranger.status, codesOf(stranger)]).toEqual([401, ['UNAUTHORIZED']]);
    expect(stranger.headers['www-authenticate']).toMatch(/^Basic realm="/);
    expect(wrong.status).toBe(401);
    expect(known.status).toBe(200);
    await expect.poll(() => entries.length).toBe(3);
    expect(entries.map(({ user }) => user)).toEqual([undefined, undefined, 'kiln']);
    expect(JSON.stringify(entries)).not.toMatch(/secret|correct horse|Basic/);
  });

  it('gives a blob of another repository only to who may pull there', async () => {
    await using tokens = await startTokenServer();
    const { realm, service, issuer, rootcertbundle } = tokens.auth;
    const keys = await readFile(rootcertbundle, 'utf8');
    await using registry = await startWireRegistry({ auth: { token: { realm, service, issuer, keys } } });
    const tokenFor = async (scope: string): Promise<Record<string, string>> => {
      const url = `${realm}?${new URLSearchParams({ service, scope })}`;
      const answer = await fetch(url, { headers: basic(registryUser) });
      return { Authorization: `Bearer ${((await answer.json()) as { token: string }).token}` };
    };
    const digest = sha256('some bytes');
    const pushed = await registry.send('POST', `/v2/secret/blobs/uploads/?digest=${digest}`, {
      headers: await tokenFor('repository:secret:pull,push'),
      body: 'some bytes',
    });
    const mount = (query: string, headers: Record<string, string>) =>
      registry.send('POST', `/v2/web/blobs/uploads/?mount=${digest}${query}`, { headers });
    const own = await tokenFor('repository:web:pull,push');
    const both = await tokenFor('repository:web:pull,push repository:secret:pull');

    expect(pushed.status).toBe(201);
    expect((await mount('&from=secret', own)).status).toBe(202);
    expect((await mount('', own)).status).toBe(202);
    expect((await registry.send('GET', `/v2/secret/blobs/${digest}`, { headers: own })).status).toBe(401);
    expect((await mount('&from=secret', both)).status).toBe(201);
    const challenge = (await mount('&from=secret', {})).headers['www-authenticate'];
    expect(challenge).toContain('scope="repository:web:pull,push repository:secret:pull"');
    // A page of any site could have sent it.
    const deletion = await registry.send('DELETE', `/v2/web/blobs/${digest}`, { headers: both });
    expect(deletion.status).toBe(401);
  });

  it('takes no changes from web pages', async () => {
    await using registry = await startWireRegistry();
    const headers = { Origin: 'http://evil.example', 'Content-Type': 'text/plain' };

    const answer = await registry.send('POST', `/v2/web/blobs/uploads/?digest=${sha256('x')}`, { headers, body: 'x' });

    expect([answer.status, codesOf(answer)]).toEqual([403, ['DENIED']]);
    expect((await registry.send('GET', '/v2/', { headers })).headers).not.toHaveProperty('access-control-allow-origin');
  });

  it.each([
    [{ listen: { host: '127.0.0.1' } }, 0],
    [{ listen: { host: '0.0.0.0' } }, 2],
  ])('warns of %j without authentication and encryption', async (options, count) => {
    await using registry = await startWireRegistry(options);

    expect(registry.warnings).toHaveLength(count);
  });
});

describe('what is too much', () => {
  it('is refused without being read: a blob over the limit', async () => {
    await using registry = await startWireRegistry({ maxUploadBytes: 100 });
    await pushBlob(registry, 'web', 'x'.repeat(100));
    const location = locationOf(await registry.send('POST', '/v2/web/blobs/uploads/'));

    const answer = await registry.send('PATCH', location, { body: 'x'.repeat(101) });

    expect([answer.status, codesOf(answer)]).toEqual([413, ['SIZE_INVALID']]);
  });

  it('is a manifest that says how large it is, or sends without end', async () => {
    await using registry = await startWireRegistry();
    const claimed = raw(registry.url);
    claimed.write('PUT /v2/web/manifests/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n{');
    const endless = raw(registry.url);
    endless.write('PUT /v2/web/manifests/1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    const chunk = Buffer.concat([Buffer.from('100000\r\n'), Buffer.alloc(0x100000, 0x20), Buffer.from('\r\n')]);
    const sending = setInterval(() => endless.write(chunk), 5);

    const answers = await Promise.all([text(claimed), text(endless)]);
    clearInterval(sending);

    for (const answer of answers) expect(answer).toMatch(/^HTTP\/1\.1 413 /);
  });

  it('are headers without end, and what is no HTTP', async () => {
    await using registry = await startWireRegistry();
    const long = raw(registry.url);
    long.write(`GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Long: ${'a'.repeat(100_000)}`);
    const nonsense = raw(registry.url);
    nonsense.write('\x16\x03\x01 hello\r\n\r\n');

    expect(await text(long)).toMatch(/^HTTP\/1\.1 431 /);
    expect(await text(nonsense)).toMatch(/^HTTP\/1\.1 400 /);
    expect((await registry.send('GET', '/v2/')).status).toBe(200);
  });

  it('asks for no body that it does not want', async () => {
    await using registry = await startWireRegistry({ readOnly: true });
    const socket = raw(registry.url);
    socket.write('PUT /v2/web/manifests/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n');

    const answer = await text(socket);

    expect(answer).toMatch(/^HTTP\/1\.1 405 /);
    expect(answer).not.toContain('100 Continue');
  });

  it('asks for the body that it wants', async () => {
    await using registry = await startWireRegistry();
    const socket = raw(registry.url);
    const digest = sha256('some bytes');
    socket.write(
      `POST /v2/web/blobs/uploads/?digest=${digest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n`,
    );
    const [first] = await once(socket, 'data');
    socket.write('some bytes');

    expect(String(first)).toMatch(/^HTTP\/1\.1 100 Continue/);
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 201 /);
  });
});

describe('a layout that is served as it is', () => {
  async function startStore(names: Readonly<Record<string, string>>) {
    const folder = await mkdtempDisposable(path.join(tmpdir(), 'kiln-store-'));
    const layout = await OciLayout.open(path.join(folder.path, 'content'), {
      locks: new LockFolder(path.join(folder.path, 'locks')),
    });
    for (const [name, mark] of Object.entries(names)) {
      const image = await sampleImage(mark);
      await copyImage(image.content, layout, image.root);
      await layout.tag(image.root, name);
    }
    const registry = await startWireRegistry({ content: { store: layout } });
    return {
      layout,
      registry,
      async [Symbol.asyncDispose]() {
        await registry[Symbol.asyncDispose]();
        await folder.remove();
      },
    };
  }

  it('has its images under their repositories, whatever registry they were named for', async () => {
    await using store = await startStore({
      'localhost:5000/site:1.2': 'one',
      'docker.io/library/debian:bookworm': 'two',
      'registry.example/org/web:latest': 'three',
    });
    const { registry } = store;

    const catalog = JSON.parse((await registry.send('GET', '/v2/_catalog')).body.toString()) as object;
    const answer = await registry.send('GET', '/v2/site/manifests/1.2');
    const { layers } = JSON.parse(answer.body.toString()) as { layers: { digest: string }[] };
    const layer = await registry.send('GET', `/v2/site/blobs/${layers[0]?.digest}`);

    expect(catalog).toEqual({ repositories: ['debian', 'library/debian', 'org/web', 'site'] });
    expect(answer.headers['docker-content-digest']).toBe(
      (await store.layout.resolve('localhost:5000/site:1.2')).digest,
    );
    expect(layer.body.toString()).toBe('layer of one');
    expect((await registry.send('GET', `/v2/debian/blobs/${layers[0]?.digest}`)).status).toBe(404);
    expect((await registry.send('GET', '/v2/debian/tags/list')).body.toString()).toBe(
      '{"name":"debian","tags":["bookworm"]}',
    );
  });

  it('prefers the image named for this machine, and sees what is named later', async () => {
    await using store = await startStore({ 'registry.example/site:1': 'far', 'localhost:5000/site:1': 'near' });
    const digestOf = async () =>
      (await store.registry.send('HEAD', '/v2/site/manifests/1')).headers['docker-content-digest'];
    expect(await digestOf()).toBe((await sampleImage('near')).root.digest);

    const later = await sampleImage('later');
    await copyImage(later.content, store.layout, later.root);
    await store.layout.tag(later.root, 'localhost:5000/site:1');

    expect(await digestOf()).toBe(later.root.digest);
  });

  it('is not written to, and tells nothing of what has no name', async () => {
    await using store = await startStore({ 'localhost:5000/site:1': 'one' });
    const loose = sha256('nobody named this');
    await store.layout.write(
      { mediaType: 'application/octet-stream', digest: loose, size: 17 },
      streamOf(Buffer.from('nobody named this')),
    );

    expect((await store.registry.send('POST', '/v2/site/blobs/uploads/')).status).toBe(405);
    expect((await store.registry.send('DELETE', '/v2/site/manifests/1')).status).toBe(405);
    expect((await store.registry.send('GET', `/v2/site/blobs/${loose}`)).status).toBe(404);
    await expect(store.registry.collectGarbage()).rejects.toMatchObject({ code: 'SERVE_READ_ONLY' });
  });
});

it('writes one entry for each request', async () => {
  const entries: AccessEntry[] = [];
  await using registry = await startWireRegistry({ onRequest: (entry) => entries.push(entry) });
  await pushImage(registry, 'web', '1.0');
  entries.length = 0;

  await registry.send('GET', '/v2/web/manifests/1.0', { headers: { 'User-Agent': 'test/1' } });

  await expect.poll(() => entries).toHaveLength(1);
  expect(entries[0]).toMatchObject({
    address: '127.0.0.1',
    user: undefined,
    method: 'GET',
    target: '/v2/web/manifests/1.0',
    status: 200,
    userAgent: 'test/1',
  });
});

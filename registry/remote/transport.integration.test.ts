import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempDisposable, readFile, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import type { TLSSocket } from 'node:tls';
import { inspect, promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { streamOf } from '../../core/index.ts';
import { missing } from '../../test/requirements.ts';
import { blobOf } from '../content-suite.ts';
import type { RegistryEndpoint, TlsSettings } from '../hosts/endpoint.ts';
import { openRepository } from './repository.ts';
import type { RegistryExchange, RemoteOptions } from './session.ts';

const blob = blobOf('some bytes');
const skip = missing('openssl');

interface Pem {
  readonly certificate: string;
  readonly key: string;
}
interface Authority extends AsyncDisposable {
  readonly certificate: string;
  /** For `127.0.0.1`, `localhost` and `registry.test`. */
  readonly server: Pem;
  readonly client: Pem;
}

let authority: Authority;

describe.skipIf(skip)('TLS', () => {
  beforeAll(async () => {
    authority = await makeAuthority();
  });
  afterAll(() => authority[Symbol.asyncDispose]());

  it('is not taken from strangers, and names what to do', async () => {
    await using server = await listen(serveBlob, authority.server);

    const reading = readAt(server, {});

    await expect(reading).rejects.toMatchObject({ code: 'REGISTRY_TLS', hint: expect.stringContaining('certs.d') });
  });

  it.each<[string, () => TlsSettings]>([
    ['an authority that was named', () => ({ authorities: [authority.certificate] })],
    ['nobody, when the user said so', () => ({ skipVerify: true })],
  ])('is vouched for by %s', async (_who, tls) => {
    await using server = await listen(serveBlob, authority.server);

    expect(await readAt(server, { tls: tls() })).toBe('some bytes');
  });

  it('shows a client certificate to the host it is for, and to no other', async () => {
    const options = { ...authority.server, ca: authority.certificate, requestCert: true, rejectUnauthorized: false };
    const shown: unknown[] = [];
    const note = (request: IncomingMessage) => shown.push(subjectOf(request));
    await using storage = await listen((request, response) => {
      note(request);
      response.end(blob.bytes);
    }, options);
    await using server = await listen((request, response) => {
      note(request);
      response.writeHead(307, { location: `${storage.url}data?X-Signature=secret` }).end();
    }, options);
    const tls = { authorities: [authority.certificate], client: authority.client };

    expect(await readAt(server, { tls })).toBe('some bytes');
    expect(shown).toEqual(['kiln client', undefined]);
  });

  it('says that a key cannot be used, without a word of it', async () => {
    await using server = await listen(serveBlob, authority.server);
    const client = { certificate: authority.client.certificate, key: authority.server.key };

    const reading = readAt(server, { tls: { client } });

    await expect(reading).rejects.toMatchObject({ code: 'REGISTRY_TLS' });
    expect(inspect(await reading.catch((error: unknown) => error), { depth: 9 })).not.toContain('PRIVATE KEY');
  });

  it('is done without where nothing answers by it, when the user said so', async () => {
    await using server = await listen(serveBlob);
    const base = new URL(`https://${server.host}/v2/`);

    expect(await readAt(server, { base, orPlainHttp: true })).toBe('some bytes');
    await expect(readAt(server, { base })).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' });
  });

  it('is not given up for a certificate that is not accepted', async () => {
    await using server = await listen(serveBlob, authority.server);

    await expect(readAt(server, { orPlainHttp: true })).rejects.toMatchObject({ code: 'REGISTRY_TLS' });
  });

  it('goes through a proxy as it is, to the host the certificate is for', async () => {
    await using server = await listen(serveBlob, authority.server);
    await using proxy = await startProxy(server.host, 'user:pass%20word');
    const base = new URL('https://registry.test/v2/');
    const tls = { authorities: [authority.certificate] };

    expect(await readAt(server, { base, tls }, { proxies: { HTTPS_PROXY: proxy.address } })).toBe('some bytes');
    expect(proxy.asked).toEqual(['CONNECT registry.test:443']);
    const other = new URL('https://other.test/v2/');
    const astray = readAt(server, { base: other, tls }, { proxies: { https_proxy: proxy.address } });
    await expect(astray).rejects.toMatchObject({ code: 'REGISTRY_TLS' });
  });
});

describe('a proxy', () => {
  it('is asked for http, with its password; nothing of that shows', async () => {
    await using server = await listen(serveBlob);
    await using proxy = await startProxy(server.host, 'user:pass%20word');
    const base = new URL('http://registry.test:5000/v2/');
    const exchanges: RegistryExchange[] = [];
    const options = {
      proxies: { ALL_PROXY: proxy.address },
      onExchange: (one: RegistryExchange) => exchanges.push(one),
    };

    expect(await readAt(server, { base }, options)).toBe('some bytes');
    expect(proxy.asked).toEqual([`GET http://registry.test:5000/v2/web/blobs/${blob.descriptor.digest}`]);
    expect(exchanges).toMatchObject([
      {
        method: 'GET',
        url: `http://registry.test:5000/v2/web/blobs/${blob.descriptor.digest}`,
        status: 200,
        bytes: 10,
      },
    ]);
  });

  it('that does not let it through is named without its password', async () => {
    await using server = await listen(serveBlob);
    await using proxy = await startProxy(server.host, 'user:pass%20word');
    const proxies = { ALL_PROXY: proxy.address.replace('pass%20word', 'wrong-secret') };

    for (const [scheme, code] of [
      ['http', 'PROXY_DENIED'],
      ['https', 'REGISTRY_UNREACHABLE'],
    ]) {
      const reading = readAt(server, { base: new URL(`${scheme}://registry.test/v2/`) }, { proxies });
      await expect(reading).rejects.toMatchObject({ code });
      const shown = inspect(await reading.catch((error: unknown) => error), { depth: 9, showHidden: true });
      expect(shown).not.toContain('wrong-secret');
      expect(shown).not.toContain(Buffer.from('user:wrong-secret').toString('base64'));
    }
  });

  it('is not asked for this machine, nor for what NO_PROXY names', async () => {
    await using server = await listen(serveBlob);
    await using proxy = await startProxy(server.host);
    const proxies = { HTTP_PROXY: proxy.address, NO_PROXY: '.test' };

    expect(await readAt(server, {}, { proxies })).toBe('some bytes');
    const base = new URL('http://registry.test/v2/');
    await expect(readAt(server, { base }, { proxies })).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' });
    expect(proxy.asked).toEqual([]);
  });
});

describe('a registry', () => {
  it('may have an IPv6 address', async () => {
    await using server = await listen(serveBlob, undefined, '::1');
    const repository = openRepository(
      { registry: server.host, repository: 'web' },
      { credentials: { find: async () => undefined } },
    );

    expect(server.host).toMatch(/^\[::1\]:\d+$/);
    expect(await text(await repository.read(blob.descriptor))).toBe('some bytes');
  });

  it('that falls silent is left, twice', async () => {
    let asked = 0;
    await using server = await listen(() => {
      asked += 1;
    });

    const reading = readAt(server, {}, { timing: { stallMs: 100, backoffMs: 1 } });

    await expect(reading).rejects.toMatchObject({ code: 'REGISTRY_STALLED' });
    expect(asked).toBe(2);
  });

  it('that falls silent in an upload is told from a stream that broke', async () => {
    await using server = await listen((request, response) => {
      if (request.method === 'HEAD') response.writeHead(404).end();
      else if (request.method === 'POST') response.writeHead(202, { location: '/upload' }).end();
      else request.once('data', () => request.socket.destroy());
    });
    const large = blobOf('0123456789abcdef'.repeat(500_000));

    const writing = openAt(server).write(large.descriptor, streamOf(large.bytes));

    await expect(writing).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' });
  });

  it('is asked for so many blobs at once as were said', async () => {
    const waiting: (() => void)[] = [];
    let most = 0;
    await using server = await listen((_request, response) => {
      waiting.push(() => response.end(blob.bytes));
      most = Math.max(most, waiting.length);
      // All that may come together are there before the first is answered.
      if (waiting.length === 2) for (const answer of waiting.splice(0)) answer();
    });
    const repository = openAt(server, {}, { concurrencyPerHost: 2 });

    const read = Array.from({ length: 6 }, async () => text(await repository.read(blob.descriptor)));

    expect(new Set(await Promise.all(read))).toEqual(new Set(['some bytes']));
    expect(most).toBe(2);
  });
});

interface Listening extends AsyncDisposable {
  readonly host: string;
  readonly url: string;
}

function openAt(server: Listening, endpoint: Partial<RegistryEndpoint> = {}, options: Partial<RemoteOptions> = {}) {
  const own: RegistryEndpoint = {
    base: new URL('v2/', server.url),
    repository: 'web',
    credentialsOf: 'registry.test',
    capabilities: new Set(['pull', 'resolve', 'push'] as const),
    tls: {},
    isMirror: false,
    ...endpoint,
  };
  const hosts = { endpoints: async () => [own] };
  const credentials = { find: async () => undefined };
  return openRepository(
    { registry: 'registry.test', repository: 'web' },
    { credentials, hosts, timing: { backoffMs: 1 }, ...options },
  );
}

async function readAt(...at: Parameters<typeof openAt>): Promise<string> {
  return text(await openAt(...at).read(blob.descriptor));
}

const serveBlob: RequestListener = (_request, response) => {
  response.end(blob.bytes);
};

async function listen(answer: RequestListener, tls?: Pem & ServerOptions, address = '127.0.0.1'): Promise<Listening> {
  const server: Server =
    tls === undefined ? createServer(answer) : createTlsServer({ ...tls, cert: tls.certificate }, answer);
  server.listen(0, address);
  await once(server, 'listening');
  const host = placeOf(server);
  return {
    host,
    url: `${tls === undefined ? 'http' : 'https'}://${host}/`,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Leads everything to one server, whatever was asked for. */
async function startProxy(to: string, user?: string) {
  const asked: string[] = [];
  const expected = user === undefined ? undefined : basicOf(decodeURIComponent(user));
  const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(to) ?? [];
  const isDenied = ({ headers }: IncomingMessage) =>
    expected !== undefined && headers['proxy-authorization'] !== expected;
  const proxy = createServer((request, response) => {
    if (isDenied(request)) return void response.writeHead(407).end();
    asked.push(`${request.method} ${request.url}`);
    response.end(blob.bytes);
  });
  proxy.on('connect', (request, socket) => {
    if (isDenied(request)) return socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
    asked.push(`CONNECT ${request.url}`);
    const onward = connect(Number(port), host, () => socket.write('HTTP/1.1 200 Connection Established\r\n\r\n'));
    onward.on('error', () => socket.destroy());
    socket.on('error', () => onward.destroy());
    socket.on('close', () => onward.destroy());
    onward.pipe(socket).pipe(onward);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return {
    asked,
    address: `http://${user === undefined ? '' : `${user}@`}${placeOf(proxy)}`,
    async [Symbol.asyncDispose]() {
      proxy.close();
      proxy.closeAllConnections();
    },
  };
}

function basicOf(user: string): string {
  return `Basic ${Buffer.from(user).toString('base64')}`;
}

function placeOf(server: Server): string {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no port was given');
  return `${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
}

function subjectOf(request: IncomingMessage): unknown {
  const { subject } = (request.socket as TLSSocket).getPeerCertificate();
  return subject?.CN;
}

async function makeAuthority(): Promise<Authority> {
  const folder = await mkdtempDisposable(path.join(tmpdir(), 'kiln-authority-'));
  const at = (name: string) => path.join(folder.path, name);
  const openssl = (...options: string[]) => promisify(execFile)('openssl', options);
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  await openssl(
    ...['req', '-x509', ...newKey, '-subj', '/CN=kiln test authority', '-days', '2'],
    ...['-keyout', at('ca.key'), '-out', at('ca.crt')],
  );
  const issue = async (name: string, subject: string, extensions: string): Promise<Pem> => {
    await writeFile(at(`${name}.ext`), extensions);
    await openssl('req', ...newKey, '-subj', subject, '-keyout', at(`${name}.key`), '-out', at(`${name}.csr`));
    await openssl(
      ...['x509', '-req', '-in', at(`${name}.csr`), '-CA', at('ca.crt'), '-CAkey', at('ca.key'), '-CAcreateserial'],
      ...['-days', '2', '-extfile', at(`${name}.ext`), '-out', at(`${name}.crt`)],
    );
    const [certificate, key] = await Promise.all([
      readFile(at(`${name}.crt`), 'utf8'),
      readFile(at(`${name}.key`), 'utf8'),
    ]);
    return { certificate, key };
  };
  return {
    server: await issue('server', '/CN=server', 'subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:registry.test\n'),
    client: await issue('client', '/CN=kiln client', 'extendedKeyUsage=clientAuth\n'),
    certificate: await readFile(at('ca.crt'), 'utf8'),
    [Symbol.asyncDispose]: () => folder.remove(),
  };
}

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { type DownloadOptions, openDownload, StartAgain } from './download.ts';
import { HttpClient } from './http-client.ts';
import { breakOff, startServer } from './misbehaving-server.testing.ts';

const bytes = randomBytes(300_000);
const client = (proxies: Record<string, string> = {}, stallMs = 20_000) =>
  new HttpClient({ proxies, userAgent: 'kiln-test', stallMs });

async function read(url: string, options: DownloadOptions = {}, http = client()): Promise<Buffer> {
  const download = await openDownload(http, new URL(url), { retryDelayMs: 1, ...options });
  if (download.kind !== 'file') throw new TypeError('the file is unchanged');
  const chunks: Buffer[] = [];
  for await (const chunk of download.bytes) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

function rangeOf(header: string | undefined): number {
  return Number(/^bytes=(\d+)-$/.exec(header ?? '')?.[1] ?? 0);
}

function whole(response: ServerResponse, headers: Record<string, string> = {}): void {
  response.writeHead(200, { 'content-length': bytes.length, ...headers }).end(bytes);
}

describe('a download', () => {
  it('goes on where the connection broke off, as often as bytes come', async () => {
    await using server = await startServer((request, response, turn) => {
      const from = rangeOf(request.headers.range);
      breakOff(response, bytes, from, turn < 8 ? Math.min(bytes.length, from + 40_000) : bytes.length);
    });

    expect((await read(`${server.origin}/file`)).equals(bytes)).toBe(true);
    expect(server.asked.length).toBeGreaterThan(2);
    expect(server.asked[1]?.headers).toMatchObject({ 'if-range': '"one"' });
    expect(rangeOf(server.asked[1]?.headers.range)).toBeGreaterThan(0);
  });

  it('skips what it has when the server sends all of the same file again', async () => {
    await using server = await startServer((_request, response, turn) => {
      if (turn === 1) breakOff(response, bytes, 0, 100_000);
      else whole(response, { etag: '"one"' });
    });

    expect((await read(`${server.origin}/file`)).equals(bytes)).toBe(true);
  });

  it.each([
    ['another file', { etag: '"two"' }],
    ['a file without an ETag', {}],
  ])('has to start again when what follows is %s', async (_, headers) => {
    await using server = await startServer((_request, response, turn) => {
      if (turn === 1) breakOff(response, bytes, 0, 100_000);
      else whole(response, headers);
    });

    await expect(read(`${server.origin}/file`)).rejects.toBeInstanceOf(StartAgain);
  });

  it('does not trust a range that begins elsewhere', async () => {
    await using server = await startServer((_request, response, turn) => {
      if (turn === 1) breakOff(response, bytes, 0, 100_000);
      else {
        const wrong = bytes.subarray(5);
        response.writeHead(206, { 'content-length': wrong.length, 'content-range': `bytes 5-${bytes.length - 1}/*` });
        response.end(wrong);
      }
    });

    await expect(read(`${server.origin}/file`)).rejects.toBeInstanceOf(StartAgain);
  });

  it('asks for the rest when a range gives less than was asked for', async () => {
    await using server = await startServer((request, response, turn) => {
      if (turn === 1) return breakOff(response, bytes, 0, 100_000);
      const from = rangeOf(request.headers.range);
      const part = bytes.subarray(from, from + 90_000);
      response.writeHead(206, {
        'content-length': part.length,
        'content-range': `bytes ${from}-${from + part.length - 1}/*`,
      });
      response.end(part);
    });

    expect((await read(`${server.origin}/file`)).equals(bytes)).toBe(true);
  });

  it('resumes only what it can recognise: a weak ETag promises nothing', async () => {
    await using server = await startServer((_request, response) => {
      response.writeHead(200, { 'content-length': bytes.length, etag: 'W/"one"' });
      response.write(bytes.subarray(0, 100_000), () => response.destroy());
    });

    await expect(read(`${server.origin}/file`)).rejects.toBeInstanceOf(StartAgain);
    await expect(read(`${server.origin}/file`, { isVerified: true })).rejects.toBeInstanceOf(StartAgain);
    expect(server.asked.map(({ headers }) => headers.range)).toEqual([
      undefined,
      undefined,
      expect.stringMatching(/^bytes=/),
    ]);
  });

  it.each([429, 500, 502, 503, 504, 408])('tries again after status %i', async (status) => {
    await using server = await startServer((_request, response, turn) => {
      if (turn < 3) response.writeHead(status, { 'retry-after': '0' }).end('busy');
      else whole(response);
    });

    expect((await read(`${server.origin}/file`)).equals(bytes)).toBe(true);
  });

  it.each([
    [503, 5],
    [404, 1],
    [403, 1],
    [206, 1],
  ])('gives up on status %i after %i requests', async (status, count) => {
    await using server = await startServer((_request, response) => response.writeHead(status).end('no'));

    await expect(read(`${server.origin}/secret/file?token=abc`)).rejects.toMatchObject({
      code: 'FETCH_STATUS',
      message: `${server.origin}/secret/file answered with status ${status}`,
    });
    expect(server.asked).toHaveLength(count);
  });

  it('gives up when the connection breaks before every first byte', async () => {
    await using server = await startServer((request) => request.socket.destroy());

    await expect(read(`${server.origin}/file`)).rejects.toMatchObject({ code: 'FETCH_BROKEN_OFF' });
    expect(server.asked).toHaveLength(5);
  });

  it('ends what has come to rest, in the headers and in the body', async () => {
    await using server = await startServer((request, response) => {
      if (request.url !== '/body') return;
      response.writeHead(200, { 'content-length': 10 });
      response.write('a');
    });
    const impatient = client({}, 40);

    await expect(read(`${server.origin}/headers`, {}, impatient)).rejects.toMatchObject({ code: 'FETCH_STALLED' });
    await expect(read(`${server.origin}/body`, {}, impatient)).rejects.toBeInstanceOf(StartAgain);
  });

  it('says that nothing listens, at once', async () => {
    const server = await startServer(() => {});
    await server[Symbol.asyncDispose]();

    await expect(read(`${server.origin}/file`)).rejects.toMatchObject({ code: 'FETCH_UNREACHABLE' });
  });

  it('stops at a limit, announced or not', async () => {
    await using server = await startServer((request, response) => {
      response.writeHead(200, request.url === '/announced' ? { 'content-length': bytes.length } : {});
      response.end(bytes);
    });

    for (const path of ['announced', 'silent']) {
      await expect(read(`${server.origin}/${path}`, { maxBytes: 1000 })).rejects.toMatchObject({
        code: 'FETCH_TOO_LARGE',
      });
    }
  });

  it('keeps the bytes of an encoded answer as they are', async () => {
    await using server = await startServer((_request, response) => whole(response, { 'content-encoding': 'gzip' }));

    expect((await read(`${server.origin}/file`)).equals(bytes)).toBe(true);
    expect(server.asked[0]?.headers['accept-encoding']).toBe('identity');
  });

  it('is called off by its signal, while waiting and while reading', async () => {
    await using server = await startServer((request, response) => {
      if (request.url === '/status') return void response.writeHead(503).end();
      response.writeHead(200, { 'content-length': bytes.length });
      response.write(bytes.subarray(0, 1000));
    });
    for (const path of ['status', 'body']) {
      const controller = new AbortController();
      const reading = read(`${server.origin}/${path}`, {
        signal: controller.signal,
        retryDelayMs: 60_000,
        onProgress: () => controller.abort(new Error('enough')),
      });
      if (path === 'status') {
        while (!server.asked.some(({ url }) => url === '/status')) await new Promise(setImmediate);
        controller.abort(new Error('enough'));
      }

      await expect(reading).rejects.toThrow('enough');
    }
  });

  it('asks whether a known file is still the one', async () => {
    await using server = await startServer((request, response) => {
      if (request.headers['if-none-match'] === '"one"') response.writeHead(304).end();
      else whole(response, { etag: '"one"', 'last-modified': 'Mon, 01 Jan 2024 00:00:00 GMT' });
    });
    const url = new URL(`${server.origin}/file`);

    const first = await openDownload(client(), url);
    if (first.kind !== 'file') throw new TypeError('nothing came');
    for await (const _ of first.bytes);
    const second = await openDownload(client(), url, { known: first.validators });

    expect(first.validators).toEqual({ etag: '"one"', lastModified: 'Mon, 01 Jan 2024 00:00:00 GMT' });
    expect(second.kind).toBe('unchanged');
  });
});

describe('redirects', () => {
  it('are followed, and the authorization stays with its origin', async () => {
    await using other = await startServer((_request, response) => whole(response));
    await using server = await startServer((request, response) => {
      const location = request.url === '/a' ? '/b' : `${other.origin}/c?signature=1`;
      response.writeHead(302, { location }).end();
    });

    expect((await read(`${server.origin}/a`, { authorization: 'Bearer t' })).equals(bytes)).toBe(true);
    expect(server.asked.map(({ headers }) => headers.authorization)).toEqual(['Bearer t', 'Bearer t']);
    expect(other.asked.map(({ headers }) => headers.authorization)).toEqual([undefined]);
  });

  it.each([
    ['for ever', '/a'],
    ['to files of this machine', 'file:///etc/passwd'],
    ['with credentials', 'http://user:secret@127.0.0.1/'],
    ['to nonsense', 'http://[/'],
  ])('are refused %s', async (_, location) => {
    await using server = await startServer((_request, response) => response.writeHead(301, { location }).end());

    const failure = await read(`${server.origin}/a`).catch((error: unknown) => error);

    expect(failure).toMatchObject({ code: 'FETCH_REDIRECT' });
    expect(String(failure)).not.toContain('secret');
    expect(server.asked.length).toBeLessThanOrEqual(11);
  });
});

describe('a proxy', () => {
  it('is asked for http, and tunnels https, but not for what NO_PROXY names', async () => {
    await using server = await startServer((_request, response) => whole(response));
    const tunnels: string[] = [];
    const seen: string[] = [];
    const proxy = createServer((request, response) => {
      seen.push(request.url ?? '');
      response.end('from the proxy');
    });
    proxy.on('connect', (request, socket) => {
      tunnels.push(request.url ?? '');
      const { port } = new URL(server.origin);
      const upstream = connect(Number(port), '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
      upstream.pipe(socket).pipe(upstream);
      socket.on('error', () => upstream.destroy());
      upstream.on('error', () => socket.destroy());
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const address = proxy.address();
    const place = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
    const proxies = { HTTP_PROXY: place, HTTPS_PROXY: place, NO_PROXY: '127.0.0.1' };
    try {
      expect(String(await read('http://files.example/x', {}, client(proxies)))).toBe('from the proxy');
      // What answers behind the tunnel speaks no TLS.
      await expect(read('https://files.example/x', {}, client(proxies))).rejects.toMatchObject({
        code: expect.stringMatching(/^FETCH_(UNREACHABLE|TLS|BROKEN_OFF)$/),
      });
      expect((await read(`${server.origin}/direct`, {}, client(proxies))).equals(bytes)).toBe(true);
    } finally {
      proxy.close();
      proxy.closeAllConnections();
    }

    expect(seen).toEqual(['http://files.example/x']);
    expect(new Set(tunnels)).toEqual(new Set(['files.example:443']));
  });
});

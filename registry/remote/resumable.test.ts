import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { blobOf } from '../content-suite.ts';
import { startFaultServer } from './fault-server.ts';

const { bytes, descriptor } = blobOf('0123456789');

function askedFrom(request: IncomingMessage): number {
  return Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
}

/** The range that was asked for, with a `Content-Range` as it should be unless one is given. */
function sendRange(request: IncomingMessage, response: ServerResponse, contentRange?: string): void {
  const from = askedFrom(request);
  response.writeHead(206, { 'content-range': contentRange ?? `bytes ${from}-9/10` }).end(bytes.subarray(from));
}

describe('a download', () => {
  it('begins at the byte that is wanted', async () => {
    await using server = await startFaultServer((request, response) => sendRange(request, response));

    expect(await text(await server.repository.read(descriptor, { from: 4 }))).toBe('456789');
    expect(server.seen.map(({ headers }) => headers.range)).toEqual(['bytes=4-']);
  });

  it('passes over what is not wanted when a registry knows no ranges', async () => {
    await using server = await startFaultServer((_request, response) => response.end(bytes));

    expect(await text(await server.repository.read(descriptor, { from: 4 }))).toBe('456789');
  });

  it('asks for nothing where nothing is wanted', async () => {
    await using server = await startFaultServer((_request, response) => response.writeHead(416).end());

    expect(await text(await server.repository.read(descriptor, { from: 10 }))).toBe('');
    expect(server.seen).toEqual([]);
  });

  it('goes on after it broke off, with what the registry recognises its bytes by', async () => {
    await using server = await startFaultServer((request, response, turn) => {
      if (turn > 1) return sendRange(request, response);
      response.writeHead(200, { 'content-length': 10, etag: '"v1"' });
      response.write(bytes.subarray(0, 3), () => response.destroy());
    });

    expect(await text(await server.repository.read(descriptor))).toBe('0123456789');
    expect(server.seen.map(({ headers }) => [headers.range, headers['if-range']])).toEqual([
      [undefined, undefined],
      ['bytes=3-', '"v1"'],
    ]);
  });

  it('does not recognise bytes by a weak ETag', async () => {
    await using server = await startFaultServer((request, response, turn) => {
      if (turn > 1) return sendRange(request, response);
      response.writeHead(200, { 'content-length': 10, etag: 'W/"v1"' });
      response.write(bytes.subarray(0, 3), () => response.destroy());
    });

    expect(await text(await server.repository.read(descriptor))).toBe('0123456789');
    expect(server.seen[1]?.headers['if-range']).toBeUndefined();
  });

  it('goes on from the whole when a range is answered with that', async () => {
    await using server = await startFaultServer((_request, response, turn) => {
      if (turn > 1) return response.end(bytes);
      response.writeHead(200, { 'content-length': 10 });
      response.write(bytes.subarray(0, 3), () => response.destroy());
    });

    expect(await text(await server.repository.read(descriptor))).toBe('0123456789');
  });

  it('asks for the rest of a range that was answered in part', async () => {
    await using server = await startFaultServer((request, response) => {
      const from = askedFrom(request);
      const to = Math.min(from + 4, 10);
      response.writeHead(206, { 'content-range': `bytes ${from}-${to - 1}/10` }).end(bytes.subarray(from, to));
    });

    expect(await text(await server.repository.read(descriptor, { from: 1 }))).toBe('123456789');
    expect(server.seen).toHaveLength(3);
  });

  it.each([
    ['starts elsewhere', 'bytes 3-9/10'],
    ['ends before it starts', 'bytes 4-3/10'],
    ['is longer than the blob', 'bytes 4-10/11'],
    ['is of something larger', 'bytes 4-9/4000'],
    ['is in other units', 'lines 4-9/10'],
    ['is none', ''],
  ])('is refused when the range it is sent %s', async (_what, contentRange) => {
    await using server = await startFaultServer((request, response) => sendRange(request, response, contentRange));

    await expect(server.repository.read(descriptor, { from: 4 })).rejects.toMatchObject({
      code: 'REGISTRY_UNEXPECTED_ANSWER',
    });
  });

  it('is refused when there is something of another size now', async () => {
    await using server = await startFaultServer((_request, response) => response.end(Buffer.alloc(4000)));

    await expect(server.repository.read(descriptor, { from: 4 })).rejects.toMatchObject({
      code: 'REGISTRY_UNEXPECTED_ANSWER',
    });
  });

  it('is not taken from a range that nobody asked for', async () => {
    await using server = await startFaultServer((request, response) => sendRange(request, response, 'bytes 0-9/10'));

    await expect(server.repository.read(descriptor)).rejects.toMatchObject({ code: 'REGISTRY_UNEXPECTED_ANSWER' });
  });

  it('is given up after it broke off several times in a row, not after many times with some bytes each', async () => {
    let goesOn = true;
    await using server = await startFaultServer((request, response) => {
      const from = askedFrom(request);
      response.writeHead(from === 0 ? 200 : 206, {
        'content-length': 10 - from,
        ...(from === 0 ? {} : { 'content-range': `bytes ${from}-9/10` }),
      });
      const end = goesOn ? from + 1 : from;
      response.write(bytes.subarray(from, end), () => (end === 10 ? response.end() : response.destroy()));
      response.flushHeaders();
    });

    expect(await text(await server.repository.read(descriptor))).toBe('0123456789');
    goesOn = false;
    const stuck = server.repository.read(descriptor, { from: 1 }).then(text);

    await expect(stuck).rejects.toMatchObject({ code: 'REGISTRY_UNREACHABLE' });
    expect(server.seen.length).toBeLessThan(10 + 40);
  });
});

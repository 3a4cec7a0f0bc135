import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { sha256 } from '../../core/index.ts';
import { codesOf, locationOf, pushBlob, startWireRegistry, type WireRegistry } from './wire.ts';

// The conformance workflow "push" of the distribution specification, request by request.

const bytes = Buffer.from('0123456789abcdef');
const digest = sha256(bytes);
const octets = { 'Content-Type': 'application/octet-stream' };

async function start(registry: WireRegistry, query = ''): Promise<string> {
  const answer = await registry.send('POST', `/v2/web/blobs/uploads/${query}`);
  expect(answer.status).toBe(202);
  expect(answer.headers.location).toMatch(/^\/v2\/web\/blobs\/uploads\/[0-9a-f-]{36}$/);
  return locationOf(answer);
}

function patch(registry: WireRegistry, location: string, part: Buffer | string, range?: string) {
  const headers = range === undefined ? octets : { ...octets, 'Content-Range': range };
  return registry.send('PATCH', location, { headers, body: part });
}

async function expectPullable(registry: WireRegistry, location: string, content: Buffer | string = bytes) {
  const answer = await registry.send('GET', location);
  expect(answer.status).toBe(200);
  expect(answer.body).toEqual(Buffer.from(content));
}

describe('end-4b: a single POST', () => {
  it('takes the blob', async () => {
    await using registry = await startWireRegistry();

    const answer = await registry.send('POST', `/v2/web/blobs/uploads/?digest=${digest}`, {
      headers: octets,
      body: bytes,
    });

    expect(answer.status).toBe(201);
    expect(answer.headers['docker-content-digest']).toBe(digest);
    await expectPullable(registry, locationOf(answer));
  });

  it('refuses other bytes, and keeps nothing of them', async () => {
    await using registry = await startWireRegistry();

    const answer = await registry.send('POST', `/v2/web/blobs/uploads/?digest=${digest}`, { body: 'other' });

    expect(answer.status).toBe(400);
    expect(codesOf(answer)).toEqual(['DIGEST_INVALID']);
    expect((await registry.send('HEAD', `/v2/web/blobs/${digest}`)).status).toBe(404);
  });
});

describe('end-4a and end-6: POST, then PUT', () => {
  it('takes the blob', async () => {
    await using registry = await startWireRegistry();

    const answer = await registry.send('PUT', `${await start(registry)}?digest=${digest}`, {
      headers: octets,
      body: bytes,
    });

    expect(answer.status).toBe(201);
    await expectPullable(registry, locationOf(answer));
  });

  it('takes a sha512 digest that was not announced', async () => {
    await using registry = await startWireRegistry();
    const long = `sha512:${createHash('sha512').update(bytes).digest('hex')}`;

    const answer = await registry.send('PUT', `${await start(registry)}?digest=${long}`, { body: bytes });

    expect(answer.status).toBe(201);
    expect(answer.headers['docker-content-digest']).toBe(long);
    await expectPullable(registry, locationOf(answer));
  });

  it.each([
    ['other bytes', `?digest=${digest}`, 'other'],
    ['a digest that is none', '?digest=sha256:abc', bytes],
    ['a digest of an unknown algorithm', '?digest=md5:d41d8cd98f00b204e9800998ecf8427e', bytes],
    ['no digest', '', bytes],
  ])('refuses %s', async (_what, query, body) => {
    await using registry = await startWireRegistry();

    const answer = await registry.send('PUT', `${await start(registry)}${query}`, { body });

    expect(answer.status).toBe(400);
    expect(codesOf(answer)).toEqual(['DIGEST_INVALID']);
  });

  it.each([
    ['never begun', '/v2/web/blobs/uploads/00000000-0000-4000-8000-000000000000'],
    ['of no known form', '/v2/web/blobs/uploads/..%2f..%2frecords.sqlite'],
  ])('knows no upload that was %s', async (_what, target) => {
    await using registry = await startWireRegistry();

    const answer = await registry.send('PUT', `${target}?digest=${digest}`, { body: bytes });

    expect([400, 404]).toContain(answer.status);
    expect((await registry.send('GET', `/v2/web/blobs/${digest}`)).status).toBe(404);
  });

  it('knows an upload only in its own repository', async () => {
    await using registry = await startWireRegistry();
    const elsewhere = (await start(registry)).replace('/v2/web/', '/v2/other/');

    const answer = await registry.send('PUT', `${elsewhere}?digest=${digest}`, { body: bytes });

    expect(answer.status).toBe(404);
    expect(codesOf(answer)).toEqual(['BLOB_UPLOAD_UNKNOWN']);
  });
});

describe('end-5: in chunks', () => {
  it('takes chunks, and tells how far they got', async () => {
    await using registry = await startWireRegistry();
    const location = await start(registry);

    const first = await patch(registry, location, bytes.subarray(0, 6), '0-5');
    const second = await patch(registry, locationOf(first), bytes.subarray(6), '6-15');
    const done = await registry.send('PUT', `${locationOf(second)}?digest=${digest}`);

    expect([first.status, first.headers.range]).toEqual([202, '0-5']);
    expect([second.status, second.headers.range]).toEqual([202, '0-15']);
    expect(done.status).toBe(201);
    await expectPullable(registry, locationOf(done));
  });

  it('takes the last chunk with the PUT', async () => {
    await using registry = await startWireRegistry();
    const first = await patch(registry, await start(registry), bytes.subarray(0, 6), '0-5');

    const done = await registry.send('PUT', `${locationOf(first)}?digest=${digest}`, {
      headers: { 'Content-Range': '6-15' },
      body: bytes.subarray(6),
    });

    expect(done.status).toBe(201);
    await expectPullable(registry, locationOf(done));
  });

  it('takes one stream without a Content-Range, as Docker sends it', async () => {
    await using registry = await startWireRegistry();
    const streamed = await patch(registry, await start(registry), bytes);

    const done = await registry.send('PUT', `${locationOf(streamed)}?digest=${digest}`);

    expect(streamed.status).toBe(202);
    expect(done.status).toBe(201);
  });

  it('takes chunks for a sha512 digest', async () => {
    await using registry = await startWireRegistry();
    const long = `sha512:${createHash('sha512').update(bytes).digest('hex')}`;
    const location = await start(registry, '?digest-algorithm=sha512');
    await patch(registry, location, bytes.subarray(0, 6), '0-5');
    await patch(registry, location, bytes.subarray(6), '6-15');

    expect((await registry.send('PUT', `${location}?digest=${long}`)).status).toBe(201);
  });

  it('answers 416 to chunks out of order, and says where to go on', async () => {
    await using registry = await startWireRegistry();
    const location = await start(registry);

    const early = await patch(registry, location, bytes.subarray(6), '6-15');
    await patch(registry, location, bytes.subarray(0, 6), '0-5');
    const again = await patch(registry, location, bytes.subarray(0, 6), '0-5');
    const last = await registry.send('PUT', `${location}?digest=${digest}`, {
      headers: { 'Content-Range': '7-15' },
      body: bytes.subarray(7),
    });
    const status = await registry.send('GET', location);

    expect(early.status).toBe(416);
    expect([again.status, again.headers.range, locationOf(again)]).toEqual([416, '0-5', location]);
    expect(last.status).toBe(416);
    expect([status.status, status.headers.range, locationOf(status)]).toEqual([204, '0-5', location]);
  });

  it.each([
    ['bytes 0-5/16', 'BLOB_UPLOAD_INVALID'],
    ['5-0', 'BLOB_UPLOAD_INVALID'],
    ['0-99999999999999999999', 'BLOB_UPLOAD_INVALID'],
    ['0-3', 'SIZE_INVALID'],
  ])('refuses Content-Range: %s for six bytes', async (range, code) => {
    await using registry = await startWireRegistry();
    const location = await start(registry);

    const answer = await patch(registry, location, bytes.subarray(0, 6), range);

    expect(answer.status).toBe(400);
    expect(codesOf(answer)).toEqual([code]);
    expect((await registry.send('GET', location)).headers.range).toBe('0-0');
  });

  it('keeps what arrived before the connection broke, and goes on there', async () => {
    await using registry = await startWireRegistry();
    const location = await start(registry);
    const socket = connect(Number(new URL(registry.url).port), '127.0.0.1');
    socket.write(`PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n0123456`);
    const rangeIs = async (wanted: string) => (await registry.send('GET', location)).headers.range === wanted;
    await expect.poll(() => rangeIs('0-6')).toBe(true);
    socket.destroy();

    const rest = await patch(registry, location, bytes.subarray(7), '7-15');

    expect(rest.status).toBe(202);
    expect((await registry.send('PUT', `${location}?digest=${digest}`)).status).toBe(201);
  });

  it('lets a new request take over from one that hangs', async () => {
    await using registry = await startWireRegistry();
    const location = await start(registry);
    const hanging = connect(Number(new URL(registry.url).port), '127.0.0.1');
    hanging.on('error', () => {});
    hanging.write(`PATCH ${location} HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n0123`);
    await expect.poll(async () => (await registry.send('GET', location)).headers.range).toBe('0-3');

    const rest = await patch(registry, location, bytes.subarray(4), '4-15');

    expect(rest.status).toBe(202);
    expect(await text(hanging)).not.toContain('202');
    expect((await registry.send('PUT', `${location}?digest=${digest}`)).status).toBe(201);
  });
});

describe('end-14: cancelling', () => {
  it('forgets the upload', async () => {
    await using registry = await startWireRegistry();
    const location = await start(registry);

    expect((await registry.send('DELETE', location)).status).toBe(204);

    const answer = await registry.send('GET', location);
    expect([answer.status, codesOf(answer)]).toEqual([404, ['BLOB_UPLOAD_UNKNOWN']]);
  });
});

describe('end-11: mounting', () => {
  it.each([
    ['from a repository that has it', `?mount=${digest}&from=other`, 201],
    ['from any repository', `?mount=${digest}`, 201],
    ['from one that has it not', `?mount=${digest}&from=empty`, 202],
    ['of what nobody has', `?mount=${sha256('x')}&from=other`, 202],
    ['from what is no repository', `?mount=${digest}&from=../other`, 202],
  ])('answers a mount %s with %s, %i', async (_what, query, status) => {
    await using registry = await startWireRegistry();
    await pushBlob(registry, 'other', bytes);

    const answer = await registry.send('POST', `/v2/web/blobs/uploads/${query}`);

    expect(answer.status).toBe(status);
    if (status === 201) await expectPullable(registry, locationOf(answer));
    else expect(locationOf(answer)).toContain('/blobs/uploads/');
  });
});

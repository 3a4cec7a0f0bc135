import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { mediaTypes, sha256 } from '../../core/index.ts';
import { codesOf, pushBlob, pushImage, startWireRegistry } from './wire.ts';

// The conformance workflow "pull" of the distribution specification, request by request.

const missing = sha256('nobody pushed this');

describe('end-1: determining support', () => {
  it.each(['/v2/', '/v2', '/'])('GET %s says that this is a registry', async (target) => {
    await using registry = await startWireRegistry();

    const answer = await registry.send('GET', target);

    expect(answer.status).toBe(200);
    expect(answer.headers['docker-distribution-api-version']).toBe('registry/2.0');
  });
});

describe('end-2: pulling blobs', () => {
  it('gives the bytes, their digest and their length', async () => {
    await using registry = await startWireRegistry();
    const digest = await pushBlob(registry, 'org/web', 'some bytes');

    const [head, get] = [
      await registry.send('HEAD', `/v2/org/web/blobs/${digest}`),
      await registry.send('GET', `/v2/org/web/blobs/${digest}`),
    ];

    for (const answer of [head, get]) {
      expect(answer.status).toBe(200);
      expect(answer.headers).toMatchObject({
        'docker-content-digest': digest,
        'content-length': '10',
        'content-type': 'application/octet-stream',
        'accept-ranges': 'bytes',
        etag: `"${digest}"`,
      });
    }
    expect(head.body.byteLength).toBe(0);
    expect(get.body.toString()).toBe('some bytes');
  });

  it('takes and gives the empty blob', async () => {
    await using registry = await startWireRegistry();
    const digest = await pushBlob(registry, 'web', '');

    const answer = await registry.send('GET', `/v2/web/blobs/${digest}`);

    expect(answer.status).toBe(200);
    expect(answer.headers['content-length']).toBe('0');
  });

  it.each([
    ['bytes=2-4', 206, 'me ', 'bytes 2-4/10'],
    ['bytes=5-', 206, 'bytes', 'bytes 5-9/10'],
    ['bytes=-3', 206, 'tes', 'bytes 7-9/10'],
    ['bytes=8-5000', 206, 'es', 'bytes 8-9/10'],
    ['bytes=5-0', 416, undefined, 'bytes */10'],
    ['bytes=10-20', 416, undefined, 'bytes */10'],
    ['lines=1-2', 200, 'some bytes', undefined],
    ['bytes=0-1,4-5', 200, 'some bytes', undefined],
  ])('answers Range: %s with %i', async (range, status, body, contentRange) => {
    await using registry = await startWireRegistry();
    const digest = await pushBlob(registry, 'web', 'some bytes');

    const answer = await registry.send('GET', `/v2/web/blobs/${digest}`, { headers: { Range: range } });

    expect(answer.status).toBe(status);
    expect(answer.headers['content-range']).toBe(contentRange);
    if (body !== undefined) {
      expect(answer.body.toString()).toBe(body);
      expect(answer.headers['content-length']).toBe(String(body.length));
    }
  });

  it('sends the whole when If-Range names other bytes', async () => {
    await using registry = await startWireRegistry();
    const digest = await pushBlob(registry, 'web', 'some bytes');
    const get = (condition: string) =>
      registry.send('GET', `/v2/web/blobs/${digest}`, { headers: { Range: 'bytes=5-', 'If-Range': condition } });

    expect((await get(`"${digest}"`)).status).toBe(206);
    expect((await get(`"${missing}"`)).status).toBe(200);
  });

  it('says 304 to who has it', async () => {
    await using registry = await startWireRegistry();
    const digest = await pushBlob(registry, 'web', 'some bytes');

    const answer = await registry.send('GET', `/v2/web/blobs/${digest}`, {
      headers: { 'If-None-Match': `"${digest}"` },
    });

    expect(answer.status).toBe(304);
  });

  it.each(['HEAD', 'GET'])('%s of an unknown blob is 404', async (method) => {
    await using registry = await startWireRegistry();

    const answer = await registry.send(method, `/v2/web/blobs/${missing}`);

    expect(answer.status).toBe(404);
    if (method === 'GET') expect(codesOf(answer)).toEqual(['BLOB_UNKNOWN']);
  });

  it('does not give a blob of one repository to another', async () => {
    await using registry = await startWireRegistry();
    const digest = await pushBlob(registry, 'secret', 'some bytes');

    expect((await registry.send('GET', `/v2/web/blobs/${digest}`)).status).toBe(404);
    expect((await registry.send('HEAD', `/v2/web/blobs/${digest}`)).status).toBe(404);
  });
});

describe('end-3: pulling manifests', () => {
  it.each(['tag', 'digest'])('gives the bytes that were pushed, by %s', async (by) => {
    await using registry = await startWireRegistry();
    const image = await pushImage(registry, 'org/web', '1.0', { custom: ['kept', 'as', 'it', 'is'] });
    const target = `/v2/org/web/manifests/${by === 'tag' ? '1.0' : image.digest}`;

    const [head, get] = [await registry.send('HEAD', target), await registry.send('GET', target)];

    for (const answer of [head, get]) {
      expect(answer.status).toBe(200);
      expect(answer.headers).toMatchObject({
        'content-type': mediaTypes.manifest,
        'docker-content-digest': image.digest,
        'content-length': String(image.bytes.byteLength),
        etag: `"${image.digest}"`,
      });
    }
    expect(head.body.byteLength).toBe(0);
    expect(get.body).toEqual(image.bytes);
  });

  it.each([
    [mediaTypes.manifest, 200],
    [`${mediaTypes.index}, ${mediaTypes.manifest};q=0.5`, 200],
    ['*/*', 200],
    ['application/*', 200],
    [mediaTypes.dockerManifest, 404],
    [`${mediaTypes.manifest};q=0`, 404],
  ])('answers Accept: %s with %i', async (accept, status) => {
    await using registry = await startWireRegistry();
    await pushImage(registry, 'web', '1.0');

    const answer = await registry.send('GET', '/v2/web/manifests/1.0', { headers: { Accept: accept } });

    expect(answer.status).toBe(status);
    if (status === 404) expect(codesOf(answer)).toEqual(['MANIFEST_UNKNOWN']);
  });

  it('says 304 to who has it', async () => {
    await using registry = await startWireRegistry();
    const { digest } = await pushImage(registry, 'web', '1.0');

    const answer = await registry.send('GET', '/v2/web/manifests/1.0', { headers: { 'If-None-Match': `"${digest}"` } });

    expect(answer.status).toBe(304);
  });

  it.each([
    ['/v2/web/manifests/never', 404, 'MANIFEST_UNKNOWN'],
    [`/v2/web/manifests/${missing}`, 404, 'MANIFEST_UNKNOWN'],
    ['/v2/nobody/manifests/1.0', 404, 'MANIFEST_UNKNOWN'],
    ['/v2/web/manifests/sha256:baddigeststring', 400, 'DIGEST_INVALID'],
    ['/v2/web/blobs/sha256:baddigeststring', 400, 'DIGEST_INVALID'],
    ['/v2/web/manifests/.hidden', 404, 'MANIFEST_UNKNOWN'],
    ['/v2/Web/manifests/1.0', 400, 'NAME_INVALID'],
    ['/v2/../../etc/manifests/passwd', 400, 'NAME_INVALID'],
    ['/v2/web/..%2f..%2fetc/manifests/passwd', 400, 'NAME_INVALID'],
    ['/v2/%ff/manifests/1.0', 400, 'NAME_INVALID'],
    [`/v2/${'a'.repeat(256)}/manifests/1.0`, 400, 'NAME_INVALID'],
    ['/v3/', 404, 'NAME_UNKNOWN'],
  ])('GET %s is %i %s', async (target, status, code) => {
    await using registry = await startWireRegistry();
    await pushImage(registry, 'web', '1.0');

    const answer = await registry.send('GET', target);

    expect(answer.status).toBe(status);
    expect(codesOf(answer)).toEqual([code]);
  });

  it('takes and gives manifests and blobs with sha512 digests', async () => {
    await using registry = await startWireRegistry();
    const image = await pushImage(registry, 'web', '1.0');
    const digest = `sha512:${createHash('sha512').update(image.bytes).digest('hex')}`;
    const put = await registry.send('PUT', `/v2/web/manifests/${digest}`, {
      headers: { 'Content-Type': mediaTypes.manifest },
      body: image.bytes,
    });

    const answer = await registry.send('GET', `/v2/web/manifests/${digest}`);

    expect(put.status).toBe(201);
    expect(put.headers['docker-content-digest']).toBe(digest);
    expect(answer.headers['docker-content-digest']).toBe(digest);
    expect(answer.body).toEqual(image.bytes);
  });
});

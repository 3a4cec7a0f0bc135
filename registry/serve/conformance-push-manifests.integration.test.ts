import { describe, expect, it } from 'vitest';
import { describe as describeBytes, mediaTypes } from '../../core/index.ts';
import { codesOf, locationOf, manifestOf, pushBlob, pushImage, startWireRegistry, type WireRegistry } from './wire.ts';

// The conformance workflow "push" of the distribution specification, as far as it is about manifests.

async function expectPullable(registry: WireRegistry, location: string, content: Buffer) {
  const answer = await registry.send('GET', location);
  expect(answer.status).toBe(200);
  expect(answer.body).toEqual(Buffer.from(content));
}

describe('end-7: pushing manifests', () => {
  it('answers with the digest and where it can be pulled', async () => {
    await using registry = await startWireRegistry();
    const image = await pushImage(registry, 'web', '1.0');

    const answer = await registry.send('PUT', '/v2/web/manifests/2.0', {
      headers: { 'Content-Type': `${mediaTypes.manifest}; charset=utf-8` },
      body: image.bytes,
    });

    expect(answer.status).toBe(201);
    expect(answer.headers['docker-content-digest']).toBe(image.digest);
    expect(answer.headers['oci-subject']).toBeUndefined();
    await expectPullable(registry, locationOf(answer), image.bytes);
  });

  it('takes many tags beside a digest', async () => {
    await using registry = await startWireRegistry();
    const image = await pushImage(registry, 'web', undefined);

    const answer = await registry.send('PUT', `/v2/web/manifests/${image.digest}?tag=1.2.3&tag=1.2&tag=latest`, {
      headers: { 'Content-Type': mediaTypes.manifest },
      body: image.bytes,
    });

    expect(answer.headers['oci-tag']).toBe('1.2.3, 1.2, latest');
    await expectPullable(registry, '/v2/web/manifests/1.2', image.bytes);
  });

  it('says that it minded the subject, whether that is here or not', async () => {
    await using registry = await startWireRegistry();
    const subject = describeBytes(mediaTypes.manifest, Buffer.from('nobody pushed this'));
    const image = await pushImage(registry, 'web', undefined, { subject });

    const answer = await registry.send('PUT', `/v2/web/manifests/${image.digest}`, {
      headers: { 'Content-Type': mediaTypes.manifest },
      body: image.bytes,
    });

    expect(answer.headers['oci-subject']).toBe(subject.digest);
  });

  it('names each blob that is missing', async () => {
    await using registry = await startWireRegistry();

    const answer = await registry.send('PUT', '/v2/web/manifests/1.0', {
      headers: { 'Content-Type': mediaTypes.manifest },
      body: manifestOf(Buffer.from('layer'), Buffer.from('config')),
    });

    expect(answer.status).toBe(404);
    expect(codesOf(answer)).toEqual(['MANIFEST_BLOB_UNKNOWN', 'MANIFEST_BLOB_UNKNOWN']);
    expect((await registry.send('GET', '/v2/web/manifests/1.0')).status).toBe(404);
  });

  it('does not count blobs of another repository as here', async () => {
    await using registry = await startWireRegistry();
    const image = await pushImage(registry, 'other', '1.0');

    const answer = await registry.send('PUT', '/v2/web/manifests/1.0', {
      headers: { 'Content-Type': mediaTypes.manifest },
      body: image.bytes,
    });

    expect(codesOf(answer)).toEqual(['MANIFEST_BLOB_UNKNOWN', 'MANIFEST_BLOB_UNKNOWN']);
  });

  it('does not ask for layers that may not be redistributed', async () => {
    await using registry = await startWireRegistry();
    const foreign = {
      ...describeBytes('application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', Buffer.from('elsewhere')),
      urls: ['https://store.example/layer'],
    };

    const image = await pushImage(registry, 'web', '1.0', { layers: [foreign] });

    expect((await registry.send('GET', `/v2/web/manifests/${image.digest}`)).status).toBe(200);
  });

  it('takes indexes: nested, empty, and with platforms that nobody pushed', async () => {
    await using registry = await startWireRegistry();
    const image = await pushImage(registry, 'web', undefined);
    const absent = describeBytes(mediaTypes.manifest, Buffer.from('not pushed'));
    const manifests = [{ ...describeBytes(mediaTypes.manifest, image.bytes) }, absent];
    const put = async (tag: string, list: readonly object[]) => {
      const body = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: list }));
      const headers = { 'Content-Type': mediaTypes.index };
      expect((await registry.send('PUT', `/v2/web/manifests/${tag}`, { headers, body })).status).toBe(201);
      return describeBytes(mediaTypes.index, body);
    };

    const inner = await put('sparse', manifests);
    await put('nested', [inner]);
    await put('empty', []);

    expect((await registry.send('GET', `/v2/web/manifests/${inner.digest}`)).headers['content-type']).toBe(
      mediaTypes.index,
    );
  });

  it.each([
    ['no JSON', Buffer.from('{'), mediaTypes.manifest],
    ['another type than it has inside', undefined, mediaTypes.index],
    ['a type of no manifest', undefined, 'application/json'],
    ['no layers', Buffer.from('{"schemaVersion":2}'), mediaTypes.manifest],
    ['schema 1', Buffer.from('{"schemaVersion":1}'), 'application/vnd.docker.distribution.manifest.v1+json'],
  ])('refuses a manifest of %s', async (_what, body, type) => {
    await using registry = await startWireRegistry();
    const image = await pushImage(registry, 'web', '1.0');

    const answer = await registry.send('PUT', '/v2/web/manifests/2.0', {
      headers: { 'Content-Type': type },
      body: body ?? image.bytes,
    });

    expect(answer.status).toBe(400);
    expect(codesOf(answer)).toEqual(['MANIFEST_INVALID']);
  });

  it('refuses a manifest that lies about the size of a layer', async () => {
    await using registry = await startWireRegistry();
    const [layer, config] = [Buffer.from('layer'), Buffer.from('{}')];
    for (const blob of [layer, config]) await pushBlob(registry, 'web', blob);
    const layers = [{ ...describeBytes(mediaTypes.layer, layer), size: 4 }];

    const answer = await registry.send('PUT', '/v2/web/manifests/1.0', {
      headers: { 'Content-Type': mediaTypes.manifest },
      body: manifestOf(layer, config, { layers }),
    });

    expect(codesOf(answer)).toEqual(['MANIFEST_INVALID']);
  });

  it('refuses a manifest under another digest', async () => {
    await using registry = await startWireRegistry();
    const image = await pushImage(registry, 'web', '1.0');

    const answer = await registry.send('PUT', `/v2/web/manifests/${image.digest}`, {
      headers: { 'Content-Type': mediaTypes.manifest },
      body: Buffer.concat([image.bytes, Buffer.from('  ')]),
    });

    expect(answer.status).toBe(400);
    expect(codesOf(answer)).toEqual(['DIGEST_INVALID']);
  });

  it('takes a manifest of almost 4 MiB, and none that is larger', async () => {
    await using registry = await startWireRegistry();
    const annotations = Object.fromEntries(
      Array.from({ length: 390 }, (_, index) => [`large-${index}`, 'A'.repeat(10_000)]),
    );
    const image = await pushImage(registry, 'web', 'large', { annotations });

    const answer = await registry.send('PUT', '/v2/web/manifests/larger', {
      headers: { 'Content-Type': mediaTypes.manifest },
      body: Buffer.concat([image.bytes, Buffer.alloc(300_000, ' ')]),
    });

    expect(answer.status).toBe(413);
    expect(codesOf(answer)).toEqual(['SIZE_INVALID']);
  });
});

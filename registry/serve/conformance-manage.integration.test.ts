import { describe, expect, it } from 'vitest';
import { describe as describeBytes, mediaTypes, sha256 } from '../../core/index.ts';
import { codesOf, pushBlob, pushImage, startWireRegistry, type WireAnswer, type WireRegistry } from './wire.ts';

// The conformance workflows "content discovery" and "content management", request by request.

function json(answer: WireAnswer): Record<string, unknown> {
  expect(answer.status, answer.body.toString()).toBe(200);
  return JSON.parse(answer.body.toString()) as Record<string, unknown>;
}

async function pushTags(registry: WireRegistry, ...tags: string[]): Promise<void> {
  for (const tag of tags) await pushImage(registry, 'web', tag, {}, 'the same');
}

describe('end-8: listing tags', () => {
  it('lists them in ASCII order', async () => {
    await using registry = await startWireRegistry();
    await pushTags(registry, 'b', 'a', 'B', '_x', '10', '9');

    const answer = await registry.send('GET', '/v2/web/tags/list');

    expect(answer.headers['content-type']).toBe('application/json');
    expect(json(answer)).toEqual({ name: 'web', tags: ['10', '9', 'B', '_x', 'a', 'b'] });
  });

  it.each([
    ['?n=2', ['a', 'b'], '</v2/web/tags/list?n=2&last=b>; rel="next"'],
    ['?n=2&last=b', ['c', 'd'], undefined],
    ['?n=2&last=a', ['b', 'c'], '</v2/web/tags/list?n=2&last=c>; rel="next"'],
    ['?last=b', ['c', 'd'], undefined],
    ['?last=bb', ['c', 'd'], undefined],
    ['?n=0', [], undefined],
    ['?n=4', ['a', 'b', 'c', 'd'], undefined],
    ['?n=1000000', ['a', 'b', 'c', 'd'], undefined],
  ])('%s gives %j', async (query, tags, link) => {
    await using registry = await startWireRegistry();
    await pushTags(registry, 'a', 'b', 'c', 'd');

    const answer = await registry.send('GET', `/v2/web/tags/list${query}`);

    expect(json(answer).tags).toEqual(tags);
    expect(answer.headers.link).toBe(link);
  });

  it.each(['?n=-1', '?n=many', '?last=../x'])('refuses %s', async (query) => {
    await using registry = await startWireRegistry();
    await pushTags(registry, 'a');

    expect((await registry.send('GET', `/v2/web/tags/list${query}`)).status).toBe(400);
  });

  it('does not know a repository that nobody pushed to', async () => {
    await using registry = await startWireRegistry();

    const answer = await registry.send('GET', '/v2/nobody/tags/list');

    expect([answer.status, codesOf(answer)]).toEqual([404, ['NAME_UNKNOWN']]);
  });
});

describe('_catalog', () => {
  it('lists repositories in pages', async () => {
    await using registry = await startWireRegistry();
    for (const repository of ['b', 'a/x', 'c']) await pushImage(registry, repository, '1');
    await pushBlob(registry, 'only-a-blob', 'x');

    const first = await registry.send('GET', '/v2/_catalog?n=2');
    const next = /<(.*)>/.exec(first.headers.link?.toString() ?? '')?.[1] ?? '';

    expect(json(first)).toEqual({ repositories: ['a/x', 'b'] });
    expect(json(await registry.send('GET', next))).toEqual({ repositories: ['c'] });
  });
});

describe('end-12: listing referrers', () => {
  const sbom = 'application/vnd.example.sbom.v1';

  async function withReferrers(registry: WireRegistry) {
    const image = await pushImage(registry, 'web', '1.0');
    const subject = describeBytes(mediaTypes.manifest, image.bytes);
    const named = await pushImage(registry, 'web', undefined, {
      subject,
      artifactType: sbom,
      annotations: { 'org.example': 'yes' },
    });
    const plain = await pushImage(registry, 'web', 'signed', { subject });
    return { image, named, plain };
  }

  it('describes each with artifact type and annotations', async () => {
    await using registry = await startWireRegistry();
    const { image, named, plain } = await withReferrers(registry);

    const answer = await registry.send('GET', `/v2/web/referrers/${image.digest}`);

    expect(answer.headers['content-type']).toBe(mediaTypes.index);
    expect(answer.headers['oci-filters-applied']).toBeUndefined();
    const { manifests, ...index } = json(answer);
    expect(index).toEqual({ schemaVersion: 2, mediaType: mediaTypes.index });
    expect(manifests).toHaveLength(2);
    expect(manifests).toContainEqual({
      ...describeBytes(mediaTypes.manifest, named.bytes),
      artifactType: sbom,
      annotations: { 'org.example': 'yes' },
    });
    // Without an artifact type, the type of the config counts.
    expect(manifests).toContainEqual({
      ...describeBytes(mediaTypes.manifest, plain.bytes),
      artifactType: mediaTypes.config,
    });
  });

  it('filters by artifact type, and says so', async () => {
    await using registry = await startWireRegistry();
    const { image, named } = await withReferrers(registry);
    const get = (type: string) =>
      registry.send('GET', `/v2/web/referrers/${image.digest}?artifactType=${encodeURIComponent(type)}`);

    const found = await get(sbom);

    expect(found.headers['oci-filters-applied']).toBe('artifactType');
    expect(json(found).manifests).toEqual([expect.objectContaining({ digest: named.digest })]);
    expect(json(await get('application/other')).manifests).toEqual([]);
  });

  it('gives what does not fit into one answer in the next', async () => {
    await using registry = await startWireRegistry();
    const image = await pushImage(registry, 'web', '1.0');
    const subject = describeBytes(mediaTypes.manifest, image.bytes);
    const pushed = [];
    for (const mark of ['one', 'two', 'three']) {
      const annotations = { mark, filling: 'A'.repeat(1_500_000) };
      pushed.push((await pushImage(registry, 'web', undefined, { subject, annotations })).digest);
    }

    const found: unknown[] = [];
    for (let next: string | undefined = `/v2/web/referrers/${image.digest}`; next !== undefined; ) {
      const answer: WireAnswer = await registry.send('GET', next);
      expect(answer.body.byteLength).toBeLessThan(4 * 1024 * 1024);
      found.push(...(json(answer).manifests as { digest: string }[]).map(({ digest }) => digest));
      next = /<(.*)>/.exec(answer.headers.link?.toString() ?? '')?.[1];
    }

    expect(found).toEqual(pushed.sort());
  });

  it('lists nothing, and never answers 404, where there is nothing', async () => {
    await using registry = await startWireRegistry();

    const answer = await registry.send('GET', `/v2/nobody/referrers/${sha256('x')}`);

    expect(json(answer)).toEqual({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: [] });
  });

  it('refuses what is no digest', async () => {
    await using registry = await startWireRegistry();

    expect((await registry.send('GET', '/v2/web/referrers/sha256:x')).status).toBe(400);
  });

  it('forgets a referrer that is deleted', async () => {
    await using registry = await startWireRegistry();
    const { image, named, plain } = await withReferrers(registry);

    await registry.send('DELETE', `/v2/web/manifests/${named.digest}`);

    const answer = await registry.send('GET', `/v2/web/referrers/${image.digest}`);
    expect(json(answer).manifests).toEqual([expect.objectContaining({ digest: plain.digest })]);
  });
});

describe('end-9: deleting tags and manifests', () => {
  it('takes a tag away, and leaves the manifest', async () => {
    await using registry = await startWireRegistry();
    const { digest } = await pushImage(registry, 'web', '1.0');

    expect((await registry.send('DELETE', '/v2/web/manifests/1.0')).status).toBe(202);

    expect((await registry.send('GET', '/v2/web/manifests/1.0')).status).toBe(404);
    expect((await registry.send('GET', `/v2/web/manifests/${digest}`)).status).toBe(200);
    expect(json(await registry.send('GET', '/v2/web/tags/list')).tags).toEqual([]);
  });

  it('takes a manifest away with all its tags', async () => {
    await using registry = await startWireRegistry();
    await pushTags(registry, '1.0', '2.0');
    const { digest } = await pushImage(registry, 'web', '3.0', {}, 'the same');

    expect((await registry.send('DELETE', `/v2/web/manifests/${digest}`)).status).toBe(202);

    for (const reference of ['1.0', '2.0', '3.0', digest])
      expect((await registry.send('GET', `/v2/web/manifests/${reference}`)).status).toBe(404);
  });

  it.each(['/v2/web/manifests/never', `/v2/web/manifests/${sha256('x')}`, '/v2/nobody/manifests/1.0'])(
    'answers DELETE %s with 404',
    async (target) => {
      await using registry = await startWireRegistry();
      await pushImage(registry, 'web', '1.0');

      const answer = await registry.send('DELETE', target);

      expect([answer.status, codesOf(answer)]).toEqual([404, ['MANIFEST_UNKNOWN']]);
    },
  );
});

describe('end-10: deleting blobs', () => {
  it('takes the blob away from this repository alone', async () => {
    await using registry = await startWireRegistry();
    const digest = await pushBlob(registry, 'web', 'some bytes');
    await pushBlob(registry, 'other', 'some bytes');

    expect((await registry.send('DELETE', `/v2/web/blobs/${digest}`)).status).toBe(202);

    expect((await registry.send('GET', `/v2/web/blobs/${digest}`)).status).toBe(404);
    expect((await registry.send('GET', `/v2/other/blobs/${digest}`)).status).toBe(200);
    expect((await registry.send('DELETE', `/v2/web/blobs/${digest}`)).status).toBe(404);
  });
});

describe('a registry that may not be changed', () => {
  const changes: readonly (readonly [string, string])[] = [
    ['POST', '/v2/web/blobs/uploads/'],
    ['PUT', '/v2/web/manifests/1.0'],
    ['DELETE', '/v2/web/manifests/1.0'],
    ['DELETE', `/v2/web/blobs/${sha256('x')}`],
  ];

  it.each(changes)('answers %s %s with 405 when it is read-only', async (method, target) => {
    await using registry = await startWireRegistry({ readOnly: true });

    const answer = await registry.send(method, target);

    expect([answer.status, codesOf(answer)]).toEqual([405, ['UNSUPPORTED']]);
    expect((await registry.send('GET', '/v2/')).status).toBe(200);
  });

  it('takes pushes and answers DELETE with 405 when it deletes nothing', async () => {
    await using registry = await startWireRegistry({ mayDelete: false });
    const { digest, layer } = await pushImage(registry, 'web', '1.0');

    for (const target of ['manifests/1.0', `manifests/${digest}`, `blobs/${layer}`])
      expect((await registry.send('DELETE', `/v2/web/${target}`)).status).toBe(405);
    expect((await registry.send('GET', '/v2/web/manifests/1.0')).status).toBe(200);
  });

  it.each([
    ['PUT', '/v2/', 'GET, HEAD'],
    ['POST', '/v2/web/tags/list', 'GET, HEAD'],
    ['PATCH', '/v2/web/manifests/1.0', 'GET, HEAD, PUT, DELETE'],
    ['OPTIONS', '/v2/_catalog', 'GET, HEAD'],
  ])('answers %s %s with 405 and what is allowed', async (method, target, allow) => {
    await using registry = await startWireRegistry();

    const answer = await registry.send(method, target);

    expect([answer.status, answer.headers.allow]).toEqual([405, allow]);
  });
});

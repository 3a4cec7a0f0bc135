import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Descriptor, type Digest, readVerified, streamOf } from '../../core/index.ts';
import { registryUser, startDockerRegistry } from '../../test/docker-registry.ts';
import { missing } from '../../test/requirements.ts';
import { emptyBlob, packArtifact } from '../artifact/artifact.ts';
import { referrersTag } from '../artifact/referrers-tag.ts';
import { blobOf, sampleImage } from '../content-suite.ts';
import { copyImage } from '../copy/copy-image.ts';
import { serveRegistry } from '../serve/index.ts';
import { listRepositories } from './catalog.ts';
import { openRepository, type RemoteRepository } from './repository.ts';
import { startTokenServer } from './token-server.ts';

const credentials = { find: async () => undefined };

interface Registry extends AsyncDisposable {
  readonly host: string;
}

async function startOwn(): Promise<Registry> {
  await using cleanup = new AsyncDisposableStack();
  const root = await mkdtemp(path.join(tmpdir(), 'kiln-objects-'));
  cleanup.defer(() => rm(root, { recursive: true, force: true, maxRetries: 3 }));
  const running = cleanup.use(await serveRegistry({ content: { root }, clock: { now: () => 1e12 }, graceMs: 0 }));
  const kept = cleanup.move();
  return { host: running.host, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

const open = (host: string, repository = 'team/web'): RemoteRepository =>
  openRepository({ registry: host, repository }, { credentials });

async function all(entries: AsyncIterable<string>): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of entries) found.push(entry);
  return found;
}

async function push(repository: RemoteRepository, mark: string, ...tags: readonly string[]): Promise<Descriptor> {
  const image = await sampleImage(mark);
  await copyImage(image.content, repository, image.root);
  for (const tag of tags) await repository.tag(image.root, tag);
  return image.root;
}

async function attach(repository: RemoteRepository, subject: Descriptor, mark: string, type: string): Promise<Digest> {
  const packed = packArtifact({ artifactType: type, layers: [], subject, annotations: { mark } });
  await repository.write(emptyBlob.descriptor, streamOf(emptyBlob.bytes));
  await repository.write(packed.descriptor, streamOf(packed.bytes));
  return packed.descriptor.digest;
}

describe.skipIf(missing('docker-registry'))('a registry that wants tokens', () => {
  it('is asked for leave to do just what is done', async () => {
    await using tokens = await startTokenServer();
    await using registry = await startDockerRegistry({ auth: tokens.auth });
    const options = { credentials: { find: async () => registryUser } };
    const repository = openRepository({ registry: registry.host, repository: 'web' }, options);
    const image = await push(repository, 'one', '1');
    const sbom = await attach(repository, image, 'sbom', 'a/sbom');
    tokens.granted.length = 0;

    expect(await all(listRepositories(registry.host, options))).toEqual(['web']);
    expect(await all(repository.tags())).toEqual(expect.arrayContaining(['1']));
    await repository.remove(sbom);

    expect(await repository.referrers(image.digest)).toEqual([]);
    expect(tokens.granted).toContain('registry:catalog:*');
    expect(tokens.granted).toContain('repository:web:pull,push,delete');
    const anonymous = openRepository({ registry: registry.host, repository: 'web' }, { credentials });
    await expect(anonymous.remove(image.digest)).rejects.toMatchObject({
      code: expect.stringMatching(/^REGISTRY_(?:UNAUTHORIZED|DENIED)$/),
    });
    expect(await repository.resolve('1')).toEqual(image);
  });
});

const registries: readonly (readonly [string, boolean, () => Promise<Registry>])[] = [
  ['docker-registry', missing('docker-registry'), () => startDockerRegistry()],
  ['kiln serve', false, startOwn],
];

describe.each(registries)('a repository of %s', (name, isMissing, start) => {
  const hasApi = name === 'kiln serve';
  const test = it.skipIf(isMissing);

  test('tells its tags', async () => {
    await using registry = await start();
    const repository = open(registry.host);
    await push(repository, 'one', 'b', 'a', 'c');

    expect((await all(repository.tags())).sort()).toEqual(['a', 'b', 'c']);
    await expect(all(open(registry.host, 'none').tags())).rejects.toMatchObject({ code: 'REFERENCE_NOT_FOUND' });
  });

  test('is among those that the registry lists', async () => {
    await using registry = await start();
    for (const repository of ['team/web', 'other', 'team/api']) await push(open(registry.host, repository), 'one', '1');

    expect(await all(listRepositories(registry.host, { credentials }))).toEqual(['other', 'team/api', 'team/web']);
  });

  test('tells what refers to an image, by type or all', async () => {
    await using registry = await start();
    const repository = open(registry.host);
    const image = await push(repository, 'one', '1');
    const other = await push(repository, 'two', '2');
    const sbom = await attach(repository, image, 'sbom', 'a/sbom');
    const signature = await attach(repository, image, 'signature', 'a/signature');
    await attach(repository, other, 'elsewhere', 'a/sbom');

    const found = await repository.referrers(image.digest);
    expect(found.map(({ digest }) => digest).sort()).toEqual([sbom, signature].sort());
    expect(await repository.referrers(image.digest, { artifactType: 'a/sbom' })).toMatchObject([
      { digest: sbom, artifactType: 'a/sbom', annotations: { mark: 'sbom' } },
    ]);
    expect(await repository.referrers(sbom)).toEqual([]);
    const tags = await all(repository.tags());
    expect(tags.includes(referrersTag(image.digest))).toBe(!hasApi);
  });

  test('loses no referrer when several attach at once', async () => {
    await using registry = await start();
    const image = await push(open(registry.host), 'one', '1');

    const digests = await Promise.all(
      ['a', 'b', 'c', 'd'].map((mark) => attach(open(registry.host), image, mark, 'a/sbom')),
    );

    const found = await open(registry.host).referrers(image.digest);
    expect(found.map(({ digest }) => digest).sort()).toEqual(digests.sort());
  });

  test('lets go of a manifest with its tags, and of its place among the referrers', async () => {
    await using registry = await start();
    const repository = open(registry.host);
    const image = await push(repository, 'one', '1', 'latest');
    const sbom = await attach(repository, image, 'sbom', 'a/sbom');
    const signature = await attach(repository, image, 'signature', 'a/signature');

    await repository.remove(sbom);
    expect((await repository.referrers(image.digest)).map(({ digest }) => digest)).toEqual([signature]);

    await repository.remove(image.digest);
    await expect(repository.resolve('1')).rejects.toMatchObject({ code: 'REFERENCE_NOT_FOUND' });
    await expect(repository.remove(image.digest)).rejects.toMatchObject({ code: 'REFERENCE_NOT_FOUND' });
  });

  test('lets go of a tag alone, or says that it cannot', async () => {
    await using registry = await start();
    const repository = open(registry.host);
    const image = await push(repository, 'one', '1', 'latest');

    const removing = repository.remove('latest');
    if (hasApi) await removing;
    else await expect(removing).rejects.toMatchObject({ code: 'REGISTRY_CANNOT_DELETE' });

    expect(await repository.resolve('1')).toEqual(image);
    expect((await all(repository.tags())).includes('latest')).toBe(!hasApi);
  });

  test('describes a blob by its digest, and lets go of it', async () => {
    await using registry = await start();
    const repository = open(registry.host);
    const { descriptor, bytes } = blobOf('some bytes');
    await repository.write(descriptor, streamOf(bytes));

    const found = await repository.describeBlob(descriptor.digest);
    expect(found).toMatchObject({ digest: descriptor.digest, size: 10 });
    expect((await readVerified(repository, found)).toString()).toBe('some bytes');

    await repository.removeBlob(descriptor.digest);
    await expect(repository.describeBlob(descriptor.digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
    await expect(repository.removeBlob(descriptor.digest)).rejects.toMatchObject({ code: 'BLOB_UNKNOWN' });
  });
});

import { describe, expect, it } from 'vitest';
import { streamOf } from '../../core/index.ts';
import { registryUser, startDockerRegistry } from '../../test/docker-registry.ts';
import { missing } from '../../test/requirements.ts';
import { blobOf, contentSuite, sampleImage } from '../content-suite.ts';
import { copyImage } from '../copy/copy-image.ts';
import type { Credential, CredentialSource } from '../credentials/credentials.ts';
import { openRepository } from './repository.ts';
import { verifyLogin } from './session.ts';
import { startTokenServer } from './token-server.ts';

const anonymous: CredentialSource = { find: async () => undefined };
const skip = missing('docker-registry');

function always(credential: Credential): CredentialSource {
  return { find: async () => credential };
}

if (!skip) {
  contentSuite('a repository of docker-registry', async () => {
    const registry = await startDockerRegistry();
    return {
      target: openRepository({ registry: registry.host, repository: 'kiln/web' }, { credentials: anonymous }),
      reference: '1.0',
      [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose](),
    };
  });
}

describe.skipIf(skip)('a repository of docker-registry', () => {
  it('takes a blob over from another repository without moving bytes', async () => {
    await using registry = await startDockerRegistry();
    const [from, to] = ['one', 'two/three'].map((repository) =>
      openRepository({ registry: registry.host, repository }, { credentials: anonymous }),
    );
    const blob = blobOf('shared');
    await from?.write(blob.descriptor, streamOf(blob.bytes));

    expect(await to?.mount(blob.descriptor, 'one')).toBe(true);
    expect(await to?.has(blob.descriptor)).toBe(true);
    expect(await to?.mount(blobOf('elsewhere').descriptor, 'one')).toBe(false);
  });

  it('mounts instead of copying where the copy is told from where', async () => {
    await using registry = await startDockerRegistry();
    const image = await sampleImage('one', ['a', 'b']);
    const base = openRepository({ registry: registry.host, repository: 'base' }, { credentials: anonymous });
    const web = openRepository({ registry: registry.host, repository: 'web' }, { credentials: anonymous });
    await copyImage(image.content, base, image.root);
    const events: string[] = [];

    await copyImage(image.content, web, image.root, { mountFrom: 'base', onEvent: ({ type }) => events.push(type) });

    expect(events.sort()).toEqual(['done', 'mount', 'mount', 'mount', 'start']);
  });

  it('resolves by digest too', async () => {
    await using registry = await startDockerRegistry();
    const image = await sampleImage('one');
    const web = openRepository({ registry: registry.host, repository: 'web' }, { credentials: anonymous });
    await copyImage(image.content, web, image.root);

    expect(await web.resolve(image.root.digest)).toEqual(image.root);
  });
});

describe.skipIf(skip)('basic authentication', () => {
  it('pushes and pulls with a user, and says so where there is none or a wrong one', async () => {
    await using registry = await startDockerRegistry({ auth: 'htpasswd' });
    const image = await sampleImage('one');
    const open = (credentials: CredentialSource) =>
      openRepository({ registry: registry.host, repository: 'web' }, { credentials });

    const web = open(always(registryUser));
    await copyImage(image.content, web, image.root);
    await web.tag(image.root, 'latest');

    expect(await open(always(registryUser)).resolve('latest')).toEqual(image.root);
    for (const credentials of [anonymous, always({ username: 'kiln', secret: 'wrong-secret' })]) {
      const denied = open(credentials).resolve('latest');
      await expect(denied).rejects.toMatchObject({ code: 'REGISTRY_UNAUTHORIZED' });
      await expect(denied).rejects.not.toThrow('wrong-secret');
    }
  });

  it('verifies a login', async () => {
    await using registry = await startDockerRegistry({ auth: 'htpasswd' });

    await verifyLogin(registry.host, registryUser, { credentials: anonymous });
    const wrong = verifyLogin(registry.host, { username: 'kiln', secret: 'x' }, { credentials: anonymous });

    await expect(wrong).rejects.toMatchObject({ code: 'REGISTRY_UNAUTHORIZED' });
  });
});

describe.skipIf(skip)('bearer tokens', () => {
  it.each([
    ['a password', registryUser],
    ['an identity token', { identityToken: 'long-lived' }],
  ])('pushes, mounts and pulls with tokens had for %s, one for each scope', async (_what, credential) => {
    await using tokens = await startTokenServer();
    await using registry = await startDockerRegistry({ auth: tokens.auth });
    const image = await sampleImage('one');
    const options = { credentials: always(credential) };
    const web = openRepository({ registry: registry.host, repository: 'web' }, options);

    await copyImage(image.content, web, image.root);
    await web.tag(image.root, 'latest');
    const other = openRepository({ registry: registry.host, repository: 'other' }, options);
    await copyImage(image.content, other, image.root, { mountFrom: 'web' });

    expect(await web.resolve('latest')).toEqual(image.root);
    expect(tokens.granted.sort()).toEqual([
      'repository:other:pull',
      'repository:other:pull,push',
      'repository:other:pull,push repository:web:pull',
      'repository:web:pull',
      'repository:web:pull,push',
    ]);
  });

  it('lets nobody push without a user, and refuses a wrong password without repeating it', async () => {
    await using tokens = await startTokenServer();
    await using registry = await startDockerRegistry({ auth: tokens.auth });
    const blob = blobOf('x');
    const open = (credentials: CredentialSource) =>
      openRepository({ registry: registry.host, repository: 'web' }, { credentials });

    const denied = open(anonymous).write(blob.descriptor, streamOf(blob.bytes));
    await expect(denied).rejects.toMatchObject({ code: 'REGISTRY_UNAUTHORIZED' });
    const wrong = open(always({ username: 'kiln', secret: 'wrong-secret' })).has(blob.descriptor);
    await expect(wrong).rejects.toMatchObject({ code: 'REGISTRY_UNAUTHORIZED' });
    await expect(wrong).rejects.not.toThrow('wrong-secret');
    expect(await open(anonymous).has(blob.descriptor)).toBe(false);
  });

  it('verifies a login', async () => {
    await using tokens = await startTokenServer();
    await using registry = await startDockerRegistry({ auth: tokens.auth });

    await verifyLogin(registry.host, registryUser, { credentials: anonymous });
    const wrong = verifyLogin(registry.host, { username: 'kiln', secret: 'x' }, { credentials: anonymous });

    await expect(wrong).rejects.toMatchObject({ code: 'REGISTRY_UNAUTHORIZED' });
  });
});

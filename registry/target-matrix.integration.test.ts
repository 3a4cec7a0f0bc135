import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import { makeAuthority, makeCertificate } from '../test/certificates.ts';
import { registryHtpasswd, registryUser, startDockerRegistry, type TokenAuth } from '../test/docker-registry.ts';
import { missing } from '../test/requirements.ts';
import { contentSuite, type OpenedTarget } from './content-suite.ts';
import type { CredentialSource } from './credentials/credentials.ts';
import type { HostConfiguration } from './hosts/index.ts';
import { openRepository } from './remote/index.ts';
import { startTokenServer } from './remote/token-server.ts';
import { type ServeAuth, type ServeTls, serveRegistry } from './serve/index.ts';

// Every registry here, over every transport and with every kind of authentication, keeps what a Target promises.

const anonymous: CredentialSource = { find: async () => undefined };
const user: CredentialSource = { find: async () => registryUser };

interface Certificates {
  readonly certificate: string;
  readonly key: string;
  readonly authority: string;
}

interface Terms {
  readonly tls?: Certificates;
  readonly auth?: 'htpasswd' | TokenAuth;
}

interface Started extends AsyncDisposable {
  readonly host: string;
}

const kinds: readonly (readonly [string, () => boolean, (terms: Terms) => Promise<Started>])[] = [
  ['docker-registry', () => missing('docker-registry'), startDocker],
  ['kiln serve', () => false, startKiln],
];

let folder = '';
let certificates: Certificates;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'kiln-matrix-'));
  const authority = await makeAuthority(folder, 'kiln test authority');
  certificates = { ...(await makeCertificate(folder, 'registry', authority)), authority: authority.certificate };
});

afterAll(() => rm(folder, { recursive: true, force: true }));

for (const [name, isMissing, start] of kinds) {
  if (isMissing()) continue;
  describe(name, () => {
    contentSuite(`${name} by http`, () => openTarget(start, {}, anonymous));
    contentSuite(`${name} by TLS of a private authority`, () => openTarget(start, { tls: certificates }, anonymous));
    contentSuite(`${name} with basic authentication`, () => openTarget(start, { auth: 'htpasswd' }, user));
    contentSuite(`${name} with tokens`, async () => {
      const tokens = await startTokenServer();
      const opened = await openTarget(start, { auth: tokens.auth }, user);
      return alsoClosing(opened, tokens);
    });
    contentSuite(`${name} with basic authentication, by TLS`, () =>
      openTarget(start, { auth: 'htpasswd', tls: certificates }, user),
    );
  });
}

async function openTarget(
  start: (terms: Terms) => Promise<Started>,
  terms: Terms,
  credentials: CredentialSource,
): Promise<OpenedTarget> {
  const registry = await start(terms);
  const hosts = terms.tls === undefined ? undefined : await trusting(registry.host, terms.tls.authority);
  const target = openRepository(
    { registry: registry.host, repository: 'kiln/web' },
    { credentials, ...(hosts === undefined ? {} : { hosts }) },
  );
  return { target, reference: '1.0', [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose]() };
}

/** The registry, by https, trusted for its authority and for no other reason. */
async function trusting(host: string, authority: string): Promise<HostConfiguration> {
  const authorities = [await readFile(authority, 'utf8')];
  return {
    endpoints: async ({ repository }) => [
      {
        base: new URL(`https://${host}/v2/`),
        repository,
        credentialsOf: host,
        capabilities: new Set(['pull', 'resolve', 'push'] as const),
        tls: { authorities },
        isMirror: false,
      },
    ],
  };
}

function startDocker({ tls, auth }: Terms): Promise<Started> {
  return startDockerRegistry({
    ...(auth === undefined ? {} : { auth }),
    ...(tls === undefined ? {} : { tls: { certificate: tls.certificate, key: tls.key } }),
  });
}

async function startKiln({ tls, auth }: Terms): Promise<Started> {
  const place = await mkdtemp(path.join(tmpdir(), 'kiln-serve-'));
  const served = await serveRegistry({
    content: { root: path.join(place, 'registry') },
    clock: { now: () => Date.now() },
    stopMs: 0,
    ...(tls === undefined ? {} : { tls: await tlsOf(tls) }),
    ...(auth === undefined ? {} : { auth: await authOf(auth, place) }),
  });
  return {
    host: served.host,
    async [Symbol.asyncDispose]() {
      await served[Symbol.asyncDispose]();
      await rm(place, { recursive: true, force: true });
    },
  };
}

async function tlsOf({ certificate, key }: Certificates): Promise<ServeTls> {
  return { certificate: await readFile(certificate, 'utf8'), key: await readFile(key, 'utf8') };
}

async function authOf(auth: NonNullable<Terms['auth']>, place: string): Promise<ServeAuth> {
  if (auth === 'htpasswd') {
    const file = path.join(place, 'htpasswd');
    await writeFile(file, registryHtpasswd);
    return { htpasswd: file };
  }
  const { realm, service, issuer, rootcertbundle } = auth;
  return { token: { realm, service, issuer, keys: await readFile(rootcertbundle, 'utf8') } };
}

function alsoClosing(opened: OpenedTarget, other: AsyncDisposable): OpenedTarget {
  return {
    ...opened,
    async [Symbol.asyncDispose]() {
      await opened[Symbol.asyncDispose]();
      await other[Symbol.asyncDispose]();
    },
  };
}

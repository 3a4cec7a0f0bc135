import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openAccount, signalGroup } from '../account.ts';
import { type DockerRegistry, startDockerRegistry } from '../docker-registry.ts';
import { firstAnswer, freePort } from '../loopback.ts';
import { isRoot, missing } from '../requirements.ts';
import { finished, type Kiln, openKiln, project } from './kiln.ts';
import { stillRunning, unfinished } from './nothing-left.ts';
import { openPodman, type Podman } from './peers.ts';

const fixtures = path.join(path.dirname(path.dirname(import.meta.dirname)), 'fixtures', 'projects');
const certificates = '/etc/ssl/certs/ca-certificates.crt';
const needs = ['apt', 'mmdebstrap', 'docker-registry', 'unprivileged-user', 'overlay', 'pasta', 'podman'] as const;

const names = ['c-program', 'python-service', 'node-web'] as const;
type Name = (typeof names)[number];

/** What the servers say at a path. */
const servers = [
  { name: 'node-web', asked: '', answer: /^fired by kiln, up for \d+m?s\n$/ },
  { name: 'python-service', asked: 'kiln', answer: /^\{"word": "kiln", "letters": 4\}$/ },
] as const;

/** Two stores that began empty. As root the second one is an ordinary user's. */
const stores = isRoot() ? (['root', 'unprivileged'] as const) : (['unprivileged', 'unprivileged-again'] as const);
type Store = (typeof stores)[number];

/** An image that was built, and pushed. */
interface Built {
  readonly kiln: Kiln;
  readonly name: string;
  readonly digest: string;
}

/** All is built once, before the tests: a base and the packages of three projects take each store two minutes. */
describe.skipIf(missing(...needs))('small real projects', () => {
  let registry: DockerRegistry;
  const built = new Map<string, Built>();
  const opened = new AsyncDisposableStack();
  let podman: Podman;

  beforeAll(async () => {
    registry = opened.use(await startDockerRegistry());
    const first = opened.use(await openKiln(isRoot() ? 'root' : 'unprivileged'));
    const second = isRoot() ? opened.use(await openKiln('unprivileged')) : first.withStore('again');
    podman = opened.use(openPodman(opened.use(openAccount('unprivileged'))));
    await Promise.all([buildAll(first, stores[0]), buildAll(second, stores[1])]);
  });
  afterAll(() => opened.disposeAsync());

  async function buildAll(kiln: Kiln, store: Store): Promise<void> {
    for (const name of names) {
      const image = `${registry.host}/${store}/${name}:1`;
      const secrets = name === 'node-web' ? npmSecrets(kiln) : [];
      const context = path.join(kiln.account.folder(`${store}-projects`), name);
      cpSync(path.join(fixtures, name), context, { recursive: true });
      const line = ['build', '--no-lock', '--push', '--progress', 'plain', '-t', image, ...secrets, context];
      const digest = (await kiln.ok(line, { timeoutMs: 480_000 })).trim();
      built.set(`${store}/${name}`, { kiln, name: image, digest });
    }
  }

  function image(store: Store, name: Name): Built {
    const found = built.get(`${store}/${name}`);
    if (found === undefined) throw new Error(`${name} was not built in the store of ${store}`);
    return found;
  }

  it.each(names)('%s has the same digest in both stores', (name) => {
    const [first, second] = stores.map((store) => image(store, name).digest);

    expect(first).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(second).toBe(first);
  });

  describe.each(stores)('built by %s', (store) => {
    it('the C program greets, run by kiln and by podman', async () => {
      const { kiln, name } = image(store, 'c-program');

      expect(await kiln.ok(['run', '--rm', name])).toBe('Hello, world.\n');
      expect(await kiln.ok(['run', '--rm', name, 'potter', 'kiln'])).toBe('Hello, potter.\nHello, kiln.\n');
      expect(await podman.run(name)).toBe('Hello, world.\n');
      expect(await podman.run(name, ['potter'])).toBe('Hello, potter.\n');
    });

    it.each(servers)('$name answers, run by kiln and by podman', async ({ name, asked, answer }) => {
      const { kiln, name: reference } = image(store, name);
      const [port, podmanPort] = [await freePort(), await freePort()];

      const variables = ['-e', `PORT=${port}`, '-e', 'HOST=127.0.0.1'];
      const server = kiln.start(['run', '--rm', '--network', 'host', ...variables, reference]);
      const outcome = finished(server);
      const page = await firstAnswer(`http://127.0.0.1:${port}/${asked}`);
      signalGroup(server, 'SIGTERM');
      const container = await podman.serve(reference, { PORT: String(podmanPort), HOST: '127.0.0.1' });
      const podmanPage = await firstAnswer(`http://127.0.0.1:${podmanPort}/${asked}`);

      expect(page).toMatch(answer);
      expect(podmanPage).toMatch(answer);
      expect(await container.stop()).toBe(0);
      expect(await outcome).toMatchObject({ status: name === 'node-web' ? 0 : 143 });
    });

    it('the web app brings what it needs, and neither npm nor what npm was told', async () => {
      const { kiln, name } = image(store, 'node-web');

      expect(await kiln.ok(['run', '--rm', name, 'ls', '/app/node_modules'])).toBe('ms\n');
      expect(await kiln.run(['run', '--rm', name, 'npm', '--version'])).toMatchObject({ status: 127 });
      expect(await kiln.ok(['run', '--rm', '--user', '0', name, 'ls', '-A', '/root', '/run'])).not.toContain('npmrc');
      expect(await kiln.ok(['run', '--rm', name, 'id', '-u'])).toBe('1000\n');
    });

    it('nothing is left running, mounted or unfinished', async () => {
      const { kiln } = image(store, 'c-program');

      expect(await stillRunning(kiln)).toEqual([]);
      expect(unfinished(kiln)).toEqual([]);
    });
  });
});

/** Where npm's registry is on this machine, and the certificates by which it is known. */
function npmSecrets({ account }: Kiln): readonly string[] {
  const env = { ...process.env, NODE_DISABLE_COMPILE_CACHE: '1' };
  const { stdout } = spawnSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8', env });
  const folder = project(account, 'npm', { npmrc: `registry=${stdout?.trim() || 'https://registry.npmjs.org/'}\n` });
  const secrets = ['--secret', `id=npmrc,src=${path.join(folder, 'npmrc')}`];
  const bundle = path.join(folder, 'certificates');
  try {
    writeFileSync(bundle, readFileSync(certificates));
  } catch {
    return secrets;
  }
  return [...secrets, '--secret', `id=certificates,src=${bundle}`];
}

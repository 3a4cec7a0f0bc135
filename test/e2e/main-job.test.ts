import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { accountKinds } from '../account.ts';
import { startDockerRegistry } from '../docker-registry.ts';
import { missing } from '../requirements.ts';
import { busyboxProject, type Kiln, openKiln, project } from './kiln.ts';
import { runWithBuildah, skopeoInspect, unpackWithUmoci } from './peers.ts';

const buildfile = `
from = "\${REGISTRY}/base:1"

[args]
REGISTRY = { required = true }

[[steps]]
workdir = "/app"

[[steps]]
copy = "greeting.txt"
to = "greeting.txt"

[[steps]]
run = """
echo made >> greeting.txt
rm /etc/base-version
"""

[image]
cmd = ["cat", "/app/greeting.txt"]
labels = { "org.example.story" = "main job" }
`;

describe.each(accountKinds())('as %s', (kind) => {
  it.skipIf(missing('docker-registry', 'busybox', 'unprivileged-user', 'overlay'))(
    'builds, pushes, pulls into an empty store, and runs',
    async () => {
      await using registry = await startDockerRegistry();
      await using kiln = await openKiln(kind);
      const { name, digest } = await buildAndPush(kiln, registry.host);

      rmSync(kiln.store, { recursive: true });
      const pulled = await kiln.ok(['pull', name]);

      expect(pulled).toContain(digest);
      expect(await kiln.digest(name)).toBe(digest);
      expect(await kiln.ok(['run', '--rm', name])).toBe('hello\nmade\n');
      expect(await kiln.run(['run', '--rm', name, 'sh', '-c', 'exit 7'])).toMatchObject({ status: 7 });
      expect(await kiln.ok(['run', '--rm', name, 'ls', '/etc'])).not.toContain('base-version');
    },
  );

  it.skipIf(missing('docker-registry', 'busybox', 'unprivileged-user', 'overlay', 'skopeo', 'umoci'))(
    'pushes what skopeo and umoci accept, and keeps a store that they read',
    async () => {
      await using registry = await startDockerRegistry();
      await using kiln = await openKiln(kind);
      const { name, digest } = await buildAndPush(kiln, registry.host);

      const remote = await skopeoInspect(kiln.account, `docker://${name}`);
      const root = await unpackWithUmoci(kiln.account, name);

      expect(remote).toMatchObject({ Digest: digest, Os: 'linux', Layers: expect.any(Array) });
      expect(remote.Labels).toEqual({ 'org.example.story': 'main job' });
      expect((await kiln.account.run(['cat', path.join(root, 'app/greeting.txt')])).stdout).toBe('hello\nmade\n');
      expect((await kiln.account.run(['ls', path.join(root, 'etc')])).stdout).not.toContain('base-version');
      expect(await kiln.account.run(['ls', path.join(kiln.store, 'content', 'oci-layout')])).toMatchObject({
        status: 0,
      });
    },
  );
});

it.skipIf(missing('busybox', 'unprivileged-user', 'overlay'))(
  'steps and containers can open /dev/stdout and /dev/stderr, where many images write their logs',
  async () => {
    await using kiln = await openKiln(accountKinds()[0] ?? 'unprivileged');
    const step = `\n[[steps]]\nrun = "echo step > /dev/stdout; echo step > /dev/stderr"\n`;
    const base = readFileSync(path.join(busyboxProject(kiln.account, 'base'), 'Buildfile'), 'utf8');
    const context = busyboxProject(kiln.account, 'app', { Buildfile: base.replace('\n[image]', `${step}\n[image]`) });

    await kiln.ok(['build', '-t', 'app:1', context]);

    expect(await kiln.piped(['run', '--rm', 'app:1', 'sh', '-c', 'echo run > /dev/stdout'])).toBe('run\n');
  },
);

it.skipIf(missing('root', 'docker-registry', 'busybox', 'overlay', 'buildah'))('pushes what buildah runs', async () => {
  await using registry = await startDockerRegistry();
  await using kiln = await openKiln('root');
  const { name } = await buildAndPush(kiln, registry.host);

  expect(await runWithBuildah(kiln.account, name, ['cat', '/app/greeting.txt'])).toBe('hello\nmade\n');
});

/** The image's name, and the digest that it has in the registry: there its layers are compressed. */
async function buildAndPush(kiln: Kiln, host: string): Promise<{ readonly name: string; readonly digest: string }> {
  const name = `${host}/app:1`;
  const app = project(kiln.account, 'app', { Buildfile: buildfile, 'greeting.txt': 'hello\n' });
  await kiln.ok(['build', '-t', `${host}/base:1`, '--push', busyboxProject(kiln.account, 'base')]);
  await kiln.ok(['build', '-t', name, '--build-arg', `REGISTRY=${host}`, app]);
  const pushed = await kiln.ok(['push', name]);
  const [digest] = pushed.match(/sha256:[0-9a-f]{64}/) ?? [];
  if (digest === undefined) throw new Error(`kiln push printed no digest: ${pushed}`);
  return { name, digest };
}

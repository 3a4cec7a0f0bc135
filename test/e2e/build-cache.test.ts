import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { accountKinds } from '../account.ts';
import { startDockerRegistry } from '../docker-registry.ts';
import { missing } from '../requirements.ts';
import { busyboxProject, type Kiln, openKiln } from './kiln.ts';

const files = {
  Buildfile: `
[stages.root]
from = "scratch"
steps = [
  { copy = "busybox", to = "/bin/busybox", mode = "0755" },
  { run = ["/bin/busybox", "sh", "-c", "/bin/busybox mkdir -m 1777 /tmp && /bin/busybox --install -s /bin"] },
]

[stages.tool]
from = "root"
steps = [{ run = "echo tool > /tool && chown 5:6 /tool" }]

[stages.app]
from = "root"
steps = [
  { copy = "/tool", from = "tool", to = "/" },
  { run = "echo a > /a", layer = "both" },
  { run = "rm /a; echo b > /b", layer = "both" },
  { test = "test -f /b" },
]
`,
};

const needs = ['busybox', 'unprivileged-user', 'overlay', 'docker-registry'] as const;

interface Built {
  readonly digest: string;
  readonly steps: number;
  readonly cachedSteps: number;
  readonly stderr: string;
}

async function build(kiln: Kiln, ...args: readonly string[]): Promise<Built> {
  const context = busyboxProject(kiln.account, 'app', files);
  const { status, stdout, stderr } = await kiln.run(['build', '--json', ...args, context]);
  expect({ status, stderr }).toMatchObject({ status: 0 });
  return { ...JSON.parse(stdout), stderr };
}

it.skipIf(missing('root', ...needs))(
  'what root built is all hits for a user of another machine, and the same image',
  async () => {
    await using registry = await startDockerRegistry();
    await using asRoot = await openKiln('root');
    await using asUser = await openKiln('unprivileged');
    const cache = `type=registry,ref=${registry.host}/team/cache:main`;
    const built = await build(asRoot, '--cache-to', `${cache},mode=max`);

    const again = await build(asUser, '--cache-from', cache);

    expect([built.cachedSteps, again.cachedSteps]).toEqual([0, built.steps]);
    expect(again.digest).toBe(built.digest);
    expect(again.stderr).not.toContain('warning');
  },
);

describe.each(accountKinds())('a cache, as %s', (kind) => {
  it.skipIf(missing(...needs))('goes from one store to another by registry and by folder', async () => {
    await using registry = await startDockerRegistry();
    await using kiln = await openKiln(kind);
    const folder = path.join(kiln.account.folder('out'), 'cache');
    const name = `${registry.host}/team/cache`;

    const built = await build(kiln, '--cache-to', `${name}`, '--cache-to', `type=local,dest=${folder},mode=max`);
    const byFolder = await build(kiln.withStore('two'), '--cache-from', `type=local,src=${folder}`);
    const byRegistry = await build(kiln.withStore('three'), '--cache-from', name);

    expect(byFolder).toMatchObject({ digest: built.digest, cachedSteps: built.steps });
    // By mode min, the stage that was copied from is not among the results; the root it began with is.
    expect(byRegistry).toMatchObject({ digest: built.digest, cachedSteps: built.steps - 1 });
    expect(statSync(folder).uid).toBe(kiln.account.uid);
  });

  it.skipIf(missing(...needs))('in a folder is replaced by the next one, and does not grow', async () => {
    await using kiln = await openKiln(kind);
    const folder = path.join(kiln.account.folder('out'), 'cache');
    const blobs = () => readdirSync(path.join(folder, 'blobs/sha256')).sort();
    const to = ['--cache-to', `type=local,dest=${folder},mode=max`];
    await build(kiln, ...to);
    const first = blobs();

    await build(kiln, ...to, '--build-arg', 'SOURCE_DATE_EPOCH=5');

    expect(blobs().length).toBe(first.length);
    await build(kiln, ...to);
    expect(blobs()).toEqual(first);
  });

  it.skipIf(missing(...needs))(
    'that is not there is a warning; one that cannot be written fails the build, unless told not to',
    async () => {
      await using kiln = await openKiln(kind);
      const nowhere = 'type=registry,ref=127.0.0.1:1/cache';
      const context = busyboxProject(kiln.account, 'app', files);

      const built = await build(
        kiln,
        '--cache-from',
        'type=local,src=/no/such/cache',
        '--cache-to',
        `${nowhere},ignore-error=true`,
      );
      const failed = await kiln.run(['build', '--cache-to', nowhere, context]);

      expect(built.stderr).toContain('warning: cache /no/such/cache: not used');
      expect(built.stderr).toContain('warning: cache 127.0.0.1:1/cache:latest: not exported');
      expect(failed).toMatchObject({ status: 4, stdout: '' });
    },
  );
});

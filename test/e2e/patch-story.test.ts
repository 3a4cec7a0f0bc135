import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { accountKinds } from '../account.ts';
import { startDockerRegistry } from '../docker-registry.ts';
import { missing } from '../requirements.ts';
import { busyboxProject, type Kiln, openKiln, project } from './kiln.ts';

describe.each(accountKinds())('as %s', (kind) => {
  it.skipIf(missing('docker-registry', 'busybox', 'unprivileged-user', 'overlay'))(
    'a patched base reaches the image on it, and no other',
    async () => {
      await using registry = await startDockerRegistry();
      await using kiln = await openKiln(kind);
      const { host } = registry;
      const pushBase = (name: string, version: string) =>
        kiln.ok([
          'build',
          '-t',
          `${host}/${name}:1`,
          '--push',
          busyboxProject(kiln.account, `${name}-${version}`, { 'etc/base-version': `${version}\n` }),
        ]);
      await pushBase('patched', '1');
      await pushBase('steady', '1');
      const folder = project(kiln.account, 'rebuilds', {
        'kiln.toml': ['moves', 'stays'].map((name) => imageEntry(name, host)).join('\n'),
        'moves/Buildfile': appOn(`${host}/patched:1`),
        'stays/Buildfile': appOn(`${host}/steady:1`),
      });
      const rebuild = (verb: string) => kiln.run(['rebuild', verb, '-f', path.join(folder, 'kiln.toml')]);
      for (const name of ['moves', 'stays']) {
        await kiln.ok(['build', '-t', `${host}/${name}:1`, '--push', path.join(folder, name)]);
      }
      const before = await pulledDigests(kiln.withStore('before'), host);
      expect(await rebuild('check')).toMatchObject({ status: 0 });

      await pushBase('patched', '2');
      const check = await rebuild('check');
      const run = await rebuild('run');
      const again = await rebuild('run');

      expect(check).toMatchObject({ status: 10 });
      expect(check.stdout).toContain('moves');
      expect(run).toMatchObject({ status: 0 });
      expect(again).toMatchObject({ status: 0 });
      expect(await rebuild('check')).toMatchObject({ status: 0 });
      const machine = kiln.withStore('after');
      const after = await pulledDigests(machine, host);
      expect(after.moves).not.toBe(before.moves);
      expect(after.stays).toBe(before.stays);
      expect(await machine.ok(['run', '--rm', `${host}/moves:1`])).toBe('2\n');
    },
  );
});

async function pulledDigests(machine: Kiln, host: string): Promise<{ readonly moves: string; readonly stays: string }> {
  const digestOf = async (name: string) => {
    await machine.ok(['pull', name]);
    return machine.digest(name);
  };
  return { moves: await digestOf(`${host}/moves:1`), stays: await digestOf(`${host}/stays:1`) };
}

function imageEntry(name: string, host: string): string {
  return `[images.${name}]\ntag = "${host}/${name}:1"\ncontext = "${name}"\n`;
}

function appOn(base: string): string {
  return `from = "${base}"\nsteps = [{ run = "cat /etc/base-version > /version" }]\n[image]\ncmd = ["cat", "/version"]\n`;
}

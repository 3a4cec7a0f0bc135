import { lstatSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { accountKinds } from '../../test/account.ts';
import { missing } from '../../test/requirements.ts';
import { SandboxHarness } from './sandbox-harness.ts';
import type { SandboxMount, SandboxSpec } from './spec.ts';

const skips = missing('busybox', 'overlay', 'user-namespace', 'unprivileged-user');

describe.skipIf(skips).each(accountKinds())('mounts of a sandbox of %s', (kind) => {
  let harness: SandboxHarness;
  let upper: string;

  beforeEach(() => {
    harness = new SandboxHarness(kind);
    upper = harness.folder('upper');
  });
  afterEach(() => harness[Symbol.asyncDispose]());

  function mounted(...mounts: readonly SandboxMount[]): Partial<SandboxSpec> {
    return { mounts, writable: { upper, work: harness.folder('work') } };
  }

  function secret(destination: string, text: string): SandboxMount {
    return { kind: 'file', destination, content: Buffer.from(text), mode: 0o400, uid: 1000, gid: 1001 };
  }

  it('gives a file that lies in memory, for its owner to read', async () => {
    const script = `
      cat /run/secrets/a; stat -c '%a %u:%g' /run/secrets/a; grep ' /run/secrets/a ' /proc/self/mountinfo | grep -o -- '- ramfs'
      echo x 2>/dev/null > /run/secrets/a || echo read-only`;
    const user = { uid: 1000, gid: 1001, additionalGids: [] };

    const output = await harness.output(script, { ...mounted(secret('/run/secrets/a', 'hidden\n')), user });

    expect(output.split('\n')).toEqual(['hidden', '400 1000:1001', '- ramfs', 'read-only']);
    expect(readdirSync(upper)).toEqual([]);
  });

  it('gives several files, large and empty ones', async () => {
    const large = 'secret line\n'.repeat(60_000);

    const output = await harness.output('md5sum < /a; stat -c %s /b/c', {
      ...mounted(secret('/a', large), secret('/b/c', '')),
      env: { PATH: '/bin' },
    });

    expect(output).toMatch(/^[0-9a-f]{32} {2}-\n0$/);
    expect(readdirSync(upper)).toEqual([]);
  });

  it('shows a folder of other layers, merged, and takes no changes', async () => {
    const layers = ['low', 'high'].map((name) => harness.folder(name, 'usr', 'src'));
    for (const [index, folder] of layers.entries()) writeFileSync(path.join(folder, `file-${index}`), `${index}\n`);
    const mount: SandboxMount = {
      kind: 'overlay',
      destination: '/mnt/src',
      layers: [path.join(harness.account.home, 'low'), path.join(harness.account.home, 'high')],
      source: 'usr/src',
      isFolder: true,
    };

    const output = await harness.output(
      'cat /mnt/src/file-*; touch /mnt/src/x 2>/dev/null || echo read-only; ls /; ls -A /mnt/src/inner',
      mounted(mount, { kind: 'tmpfs', destination: '/mnt/src/inner' }),
    );

    expect(output.split('\n').slice(0, 3)).toEqual(['0', '1', 'read-only']);
    expect(output).not.toContain('usr');
    expect(readdirSync(upper)).toEqual([]);
  });

  it('keeps changes to such a folder beside it', async () => {
    const source = harness.folder('low', 'src');
    harness.file(harness.folder('low', 'src', 'deep'), 'file', 'old');
    const changes = { upper: harness.folder('bind-upper'), work: harness.folder('bind-work') };
    const layers = [path.join(harness.account.home, 'low')];
    const mount: SandboxMount = {
      kind: 'overlay',
      destination: '/src',
      layers,
      source: 'src',
      isFolder: true,
      writable: changes,
    };

    const output = await harness.output(
      'echo new > /src/deep/file; touch /src/made; cat /src/deep/file; ls /src',
      mounted(mount),
    );

    expect(output).toBe('new\ndeep\nmade');
    expect(readdirSync(source)).toEqual(['deep']);
    expect(lstatSync(path.join(changes.upper, 'src', 'made')).isFile()).toBe(true);
    expect(readdirSync(upper)).toEqual([]);
  });

  it('shows a single file of other layers', async () => {
    writeFileSync(path.join(harness.folder('low', 'etc'), 'conf'), 'setting\n');
    const layers = [path.join(harness.account.home, 'low')];
    const common = { kind: 'overlay', layers, isFolder: false } as const;

    const output = await harness.output('cat /a /b', {
      ...mounted(
        { ...common, destination: '/a', source: 'etc/conf' },
        { ...common, destination: '/b', source: 'etc/conf' },
      ),
    });

    expect(output).toBe('setting\nsetting');
  });
});

import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { platformOf } from '../../core/index.ts';
import { minbase } from '../../fixtures/bases/debian-minbase.ts';
import { type Account, accountKinds, openAccount } from '../../test/account.ts';
import { processesOf } from '../../test/leftovers.ts';
import { missing } from '../../test/requirements.ts';
import { bootstrapRoot } from './bootstrap-root.ts';
import { resolveBootstrap } from './resolve.ts';

const { architecture } = platformOf(process.arch);
const makeLayout = path.join(import.meta.dirname, '..', '..', 'fixtures', 'bases', 'make-layout.ts');

describe.skipIf(missing('apt', 'mmdebstrap'))('resolveBootstrap', { timeout: 120_000 }, () => {
  it('finds the same packages twice, those of the variant and those that are included', async () => {
    await using scratch = await temporary();

    const once = await resolveBootstrap(minbase('bookworm'), { architecture, scratch: scratch.path });
    const again = await resolveBootstrap(minbase('bookworm'), { architecture, scratch: scratch.path });
    const more = await resolveBootstrap(minbase('bookworm', ['netbase']), { architecture, scratch: scratch.path });

    const names = once.packages.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['apt', 'base-files', 'dpkg', 'libc6', 'usr-is-merged']));
    expect(names).not.toContain('perl');
    expect(again).toEqual(once);
    expect(more.packages.map(({ name }) => name).filter((name) => !names.includes(name))).toEqual(['netbase']);
    expect(more.digest).not.toBe(once.digest);
    expect(await readdir(scratch.path)).toEqual([]);
  });

  it('takes locked versions although the archive has newer ones, and refuses when they are gone', async () => {
    await using scratch = await temporary();
    const options = { architecture, scratch: scratch.path };
    const unpatched = await resolveBootstrap({ ...minbase('bookworm'), security: false }, options);
    const pinned = unpatched.packages;

    const held = await resolveBootstrap(minbase('bookworm'), { ...options, pinned });
    const [first, ...others] = pinned;
    const gone = [{ ...first, version: '0.1' }, ...others] as typeof pinned;

    expect(pinned.every(({ hash }) => /^sha256:[0-9a-f]{64}$/.test(hash))).toBe(true);
    expect(held.packages).toEqual(pinned);
    await expect(resolveBootstrap(minbase('bookworm'), { ...options, pinned: gone })).rejects.toMatchObject({
      code: 'BOOTSTRAP_GONE',
      message: expect.stringContaining(`${first?.name}: locked 0.1, the archive now gives `),
      hint: expect.stringContaining('kiln update'),
    });
    expect(await readdir(scratch.path)).toEqual([]);
  });

  it('says what apt said about a suite or a package that is not there', async () => {
    await using scratch = await temporary();
    const options = { architecture, scratch: scratch.path };

    await expect(resolveBootstrap(minbase('nosuchsuite'), options)).rejects.toMatchObject({
      code: 'BOOTSTRAP_FAILED',
      message: expect.stringMatching(/debian\/nosuchsuite cannot be bootstrapped.*(?:\n.*)*\n {2}E: .*nosuchsuite/),
    });
    await expect(resolveBootstrap(minbase('bookworm', ['no-such-package']), options)).rejects.toMatchObject({
      code: 'BOOTSTRAP_FAILED',
      message: expect.stringContaining('Unable to locate package no-such-package'),
    });
    expect(await readdir(scratch.path)).toEqual([]);
  });
});

describe.skipIf(missing('apt', 'mmdebstrap', 'cc', 'unprivileged-user'))(
  'bootstrapEntries',
  { timeout: 400_000 },
  () => {
    it('gives the same bytes each time, as root and as an ordinary user with another umask', async () => {
      const digests: string[] = [];
      for (const kind of [...accountKinds(), 'unprivileged' as const].slice(0, 2)) {
        await using account = openAccount(kind);
        const made = await account.run(bootstrapCommand(account));
        expect(made).toMatchObject({ status: 0, stdout: expect.stringMatching(/^sha256:/) });
        digests.push(made.stdout);
      }

      expect(digests[1]).toBe(digests[0]);
    });

    it('leaves no process behind when it is killed', async () => {
      await using account = openAccount('unprivileged');
      const child = account.start(bootstrapCommand(account));
      await until(() => processesOf(account.home).some((line) => line.includes('mmdebstrap')));

      process.kill(child.pid ?? 0, 'SIGKILL');

      await until(() => processesOf(account.home).length === 0);
      expect(processesOf(account.home)).toEqual([]);
    });
  },
);

describe.skipIf(missing('apt', 'mmdebstrap', 'root'))('bootstrapRoot', { timeout: 300_000 }, () => {
  it('stops when it is aborted, and leaves neither process nor folder', async () => {
    await using scratch = await temporary();
    const resolved = await resolveBootstrap(minbase('bookworm'), { architecture, scratch: scratch.path });
    const controller = new AbortController();

    const running = bootstrapRoot(resolved, {
      scratch: scratch.path,
      signal: controller.signal,
      onOutput: (line) => {
        if (line.includes('installing essential packages')) controller.abort(new Error('enough'));
      },
    });

    await expect(running).rejects.toThrow('enough');
    expect(await readdir(scratch.path)).toEqual([]);
    expect(processesOf(scratch.path)).toEqual([]);
  });

  it('refuses to pass off other packages as the resolved ones', async () => {
    await using scratch = await temporary();
    const resolved = await resolveBootstrap(minbase('bookworm'), { architecture, scratch: scratch.path });
    const packages = resolved.packages.map((one) => (one.name === 'dash' ? { ...one, version: '0.1' } : one));

    const running = bootstrapRoot({ ...resolved, packages }, { scratch: scratch.path });

    await expect(running).rejects.toMatchObject({
      code: 'BOOTSTRAP_MOVED',
      message: expect.stringContaining('dash:'),
    });
    expect(await readdir(scratch.path)).toEqual([]);
  });
});

function bootstrapCommand(account: Account): string[] {
  const umask = ['sh', '-c', 'umask 077 && exec "$@"', 'sh'];
  const enter = account.kind === 'root' ? [] : [...umask, 'unshare', '--map-auto', '--map-root-user', '--mount', '--'];
  return [...enter, process.execPath, makeLayout, 'debian', path.join(account.folder('layout'), 'debian')];
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let waitedMs = 0; waitedMs < 60_000 && !isTrue(); waitedMs += 100) await delay(100);
}

async function temporary(): Promise<AsyncDisposable & { readonly path: string }> {
  const made = await mkdtemp(path.join(tmpdir(), 'bootstrap-test-'));
  return { path: made, [Symbol.asyncDispose]: () => rm(made, { recursive: true, force: true }) };
}

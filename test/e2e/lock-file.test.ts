import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { platformOf } from '../../core/index.ts';
import { accountKinds } from '../account.ts';
import { startDockerRegistry } from '../docker-registry.ts';
import { missing } from '../requirements.ts';
import { busyboxProject, type Kiln, openKiln, project } from './kiln.ts';

const needs = ['docker-registry', 'busybox', 'unprivileged-user', 'overlay'] as const;

it.skipIf(missing(...needs))('kiln update keeps what only a build for another platform needs', async () => {
  await using registry = await startDockerRegistry();
  await using kiln = await openKiln('unprivileged');
  const { architecture } = platformOf(process.arch);
  await pushBase(kiln, `${registry.host}/base-${architecture}:1`, '1');
  const folder = appOn(kiln, 'app', `${registry.host}/base-\${TARGETARCH}:1`);
  const lock = path.join(folder, 'Buildfile.lock');
  const entry = (name: string) => `"${registry.host}/${name}:1" = "sha256:${'0'.repeat(64)}"\n`;
  writeFileSync(lock, `version = 1\n[images]\n${entry('base-s390x')}${entry('base-none')}`);

  await kiln.ok(['update', folder]);

  const text = readFileSync(lock, 'utf8');
  expect(text).toContain(`/base-${architecture}:1`);
  expect(text).toContain('/base-s390x:1');
  expect(text).not.toContain('/base-none:1');
});

describe.each(accountKinds())('as %s', (kind) => {
  it.skipIf(missing(...needs))('holds a build to what its base was, until kiln update', async () => {
    await using registry = await startDockerRegistry();
    await using kiln = await openKiln(kind);
    const base = `${registry.host}/base:1`;
    await pushBase(kiln, base, '1');
    const folder = appOn(kiln, 'app', base);
    const lock = path.join(folder, 'Buildfile.lock');

    const first = await kiln.ok(['build', '-t', 'app', folder]);
    const written = statSync(lock);
    await pushBase(kiln.withStore('elsewhere'), base, '2');
    const held = await kiln.run(['build', '-t', 'app', '--json', folder], { env: { CI: '1' } });

    expect(readFileSync(lock, 'utf8')).toMatch(new RegExp(`^version = 1\n\n\\[images\\]\n"${base}" = "sha256:`, 'm'));
    expect(written.uid).toBe(kiln.account.uid);
    expect(JSON.parse(held.stdout)).toMatchObject({ digest: first.trim(), steps: 3, cachedSteps: 2 });
    expect(statSync(lock).mtimeMs).toBe(written.mtimeMs);

    const outdated = await kiln.run(['outdated', folder]);
    const checked = await kiln.run(['update', '--check', '--json', folder]);
    const before = readFileSync(lock, 'utf8');
    expect(outdated).toMatchObject({ status: 10, stdout: expect.stringContaining(base) });
    expect(checked).toMatchObject({ status: 10 });
    expect(JSON.parse(checked.stdout)).toMatchObject({ written: false, moves: [{ kind: 'images', key: base }] });
    expect(before).toBe(readFileSync(lock, 'utf8'));

    const updated = await kiln.run(['update', folder]);
    expect(updated).toMatchObject({ status: 0, stdout: expect.stringContaining(base) });
    expect(readFileSync(lock, 'utf8')).not.toBe(before);
    await kiln.ok(['build', '--frozen', '-t', 'app', folder]);
    expect(await kiln.ok(['run', '--rm', 'app'])).toBe('2\n');
    expect(await kiln.run(['outdated', folder])).toMatchObject({ status: 0, stdout: '' });
  });

  it.skipIf(missing(...needs))(
    'takes the locked image beside another one of its name, and needs no network for it',
    async () => {
      await using kiln = await openKiln(kind);
      const { base, folder } = await lockedToOldBase(kiln);

      // The registry is gone.
      const built = await kiln.run(['build', '-t', 'app', '--no-cache', folder]);

      expect(built).toMatchObject({ status: 0 });
      expect(await kiln.ok(['run', '--rm', 'app'])).toBe('1\n');
      expect(await kiln.ok(['run', '--rm', base, 'cat', '/etc/base-version'])).toBe('2\n');
    },
  );

  it.skipIf(missing(...needs))('refuses to change a frozen lock file, and names all that is missing', async () => {
    await using registry = await startDockerRegistry();
    await using kiln = await openKiln(kind);
    const [base, other] = [`${registry.host}/base:1`, `${registry.host}/other:1`];
    await pushBase(kiln, base, '1');
    await pushBase(kiln, other, '1');
    const folder = appOn(kiln, 'app', base);
    await kiln.ok(['build', folder]);
    const lock = readFileSync(path.join(folder, 'Buildfile.lock'), 'utf8');
    const steps = [`{ copy = "/etc/base-version", from = "${other}", to = "/other" }`];
    writeFileSync(path.join(folder, 'Buildfile'), buildfile(`${registry.host}/third:1`, steps));

    const refused = await kiln.run(['build', folder], { env: { CI: 'true' } });
    const asJson = await kiln.run(['build', '--json', '--progress', 'quiet', '--frozen', folder]);

    expect(refused).toMatchObject({ status: 9, stdout: '' });
    expect(refused.stderr).toContain(`  ${other} is new\n  ${registry.host}/third:1 is new\n`);
    expect(refused.stderr).toContain('hint: run kiln update');
    expect(JSON.parse(asJson.stderr)).toMatchObject({ error: { code: 'LOCK_FROZEN' } });
    expect(readFileSync(path.join(folder, 'Buildfile.lock'), 'utf8')).toBe(lock);

    writeFileSync(path.join(folder, 'Buildfile'), buildfile(base, steps));
    await kiln.ok(['build', '--frozen=false', folder], { env: { CI: 'true' } });
    expect(readFileSync(path.join(folder, 'Buildfile.lock'), 'utf8')).toContain(`"${other}" = `);
  });

  it.skipIf(missing(...needs))('is not made by CI, nor with --no-lock, nor by a build that fails', async () => {
    await using registry = await startDockerRegistry();
    await using kiln = await openKiln(kind);
    const base = `${registry.host}/base:1`;
    await pushBase(kiln, base, '1');
    const folder = appOn(kiln, 'app', base);
    const failing = project(kiln.account, 'failing', { Buildfile: `from = "${base}"\nsteps = [{ run = "exit 3" }]\n` });

    const ci = await kiln.run(['build', folder], { env: { CI: '1' } });
    const without = await kiln.run(['build', '--no-lock', folder]);
    const failed = await kiln.run(['build', failing]);
    const frozen = await kiln.run(['build', '--frozen', folder]);

    expect(ci).toMatchObject({ status: 0, stderr: expect.stringContaining('CI is set and there is no') });
    expect(without).toMatchObject({ status: 0 });
    expect(failed).toMatchObject({ status: 3 });
    expect(frozen).toMatchObject({ status: 9, stderr: expect.stringContaining(`${base} is new`) });
    for (const made of [folder, failing]) expect(existsSync(path.join(made, 'Buildfile.lock'))).toBe(false);
    expect(await kiln.run(['outdated', folder])).toMatchObject({ status: 2 });
  });

  it.skipIf(missing(...needs))('says where a lock file is damaged', async () => {
    await using kiln = await openKiln(kind);
    const folder = busyboxProject(kiln.account, 'base', { 'Buildfile.lock': 'version = 1\n[images]\n"a:1" = "x"\n' });

    const refused = await kiln.run(['build', folder]);

    expect(refused).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('Buildfile.lock:3:9: `x` is not a digest'),
    });
  });
});

/** A store whose name for a base means version 2, an app locked to version 1, and no registry any more. */
async function lockedToOldBase(kiln: Kiln): Promise<{ readonly base: string; readonly folder: string }> {
  await using registry = await startDockerRegistry();
  const base = `${registry.host}/base:1`;
  await pushBase(kiln, base, '1');
  const folder = appOn(kiln, 'app', base);
  await kiln.ok(['build', folder]);
  await pushBase(kiln, base, '2');
  await kiln.ok(['build', folder]);
  return { base, folder };
}

async function pushBase(kiln: Kiln, name: string, version: string): Promise<void> {
  const folder = busyboxProject(kiln.account, `base-${version}`, { 'etc/base-version': `${version}\n` });
  await kiln.ok(['build', '--no-lock', '-t', name, '--push', folder]);
}

function appOn(kiln: Kiln, name: string, base: string): string {
  return project(kiln.account, name, { Buildfile: buildfile(base) });
}

function buildfile(base: string, steps: readonly string[] = []): string {
  const all = [...steps, '{ copy = ".", to = "/context" }', '{ run = "cat /etc/base-version > /version" }'];
  return `from = "${base}"\nsteps = [${all.join(', ')}]\n[image]\ncmd = ["cat", "/version"]\n`;
}

import { cpSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { accountKinds } from '../account.ts';
import { startDockerRegistry } from '../docker-registry.ts';
import { dpkgStatus } from '../made-image.ts';
import { findProgram, missing } from '../requirements.ts';
import { type Kiln, openKiln, project } from './kiln.ts';

const needs = ['docker-registry', 'busybox', 'unprivileged-user', 'overlay'] as const;
const [before, after] = ['6.0-28', '6.0-28+deb12u1'];

/** A Debian of one package and a shell: what a security update of that package makes of a base. */
function basedOn(kiln: Kiln, version: string, more: Readonly<Record<string, string>> = {}): string {
  const folder = project(kiln.account, `base-${version}-${Object.keys(more).length}`, {
    Buildfile: `
from = "scratch"
steps = [
  { copy = "busybox", to = "/bin/busybox", mode = "0755" },
  { run = ["/bin/busybox", "sh", "-c", "mkdir -p /usr/bin /sbin && mkdir -m 1777 /tmp && /bin/busybox --install -s /bin"] },
  { copy = "root/", to = "/" },
]
[image]
cmd = ["/bin/sh"]
env = { PATH = "/usr/bin:/bin:/sbin" }
`,
    'root/etc/os-release': 'ID=debian\nVERSION_ID="12"\n',
    'root/etc/passwd': 'root:x:0:0:root:/root:/bin/sh\n',
    'root/var/lib/dpkg/status': dpkgStatus({ libc6: '2.36-9+deb12u9', unzip: version }),
    'root/usr/bin/unzip-version': `#!/bin/sh\necho ${version}\n`,
    ...more,
  });
  cpSync(findProgram('busybox') ?? '', path.join(folder, 'busybox'));
  return folder;
}

function appOn(kiln: Kiln, name: string, base: string, steps: string): string {
  return project(kiln.account, name, {
    Buildfile: `from = "${base}"\nsteps = [${steps}]\n[image]\ncmd = ["sh", "-c", "cat /srv/page; sh /usr/bin/unzip-version"]\n`,
    page: 'page\n',
  });
}

const copies = '{ copy = "page", to = "/srv/page" }';
const installs = `${copies}, { run = "printf '\\\\nPackage: own\\\\nStatus: install ok installed\\\\nArchitecture: all\\\\nVersion: 1\\\\n' >> /var/lib/dpkg/status" }`;

describe.each(accountKinds())('as %s', (kind) => {
  it.skipIf(missing(...needs))(
    'a patched base: what it brings, which images it leaves behind, and how they get it',
    async () => {
      await using registry = await startDockerRegistry();
      await using kiln = await openKiln(kind);
      const name = (text: string) => `${registry.host}/${text}`;
      const push = (tag: string, folder: string) => kiln.ok(['build', '-t', name(tag), '--push', folder]);
      await push('base:12', basedOn(kiln, before));
      await push('copies:1', appOn(kiln, 'copies', name('base:12'), copies));
      await push('installs:1', appOn(kiln, 'installs', name('base:12'), installs));
      const images = [name('copies:1'), `docker://${name('installs:1')}`];
      expect(await kiln.run(['stale', ...images])).toMatchObject({ status: 0 });
      const [oldBase, oldCopies] = [await kiln.digest(name('base:12')), await kiln.digest(name('copies:1'))];
      await kiln.ok(['tag', name('base:12'), 'base:old']);

      const patched = kiln.withStore('builder');
      await patched.ok(['build', '-t', name('base:12'), '--push', basedOn(kiln, after)]);

      // What does it bring?
      const note = await kiln.run(['diff', '--exit-code', name('base:12'), `docker://${name('base:12')}`]);
      expect(note).toMatchObject({ status: 11, stderr: '' });
      expect(note.stdout).toContain(`\nPackages: 1 changed\n  unzip   ${before} → ${after}\n`);
      expect(note.stdout).toMatch(/\n {2}~ \/usr\/bin\/unzip-version {2}size .*, content\n/);
      expect(await kiln.ok(['diff', 'base:old', name('base:12')])).toContain('are the same image');

      // Which images does it leave behind?
      const stale = await kiln.run(['stale', '--packages', ...images]);
      expect(stale).toMatchObject({ status: 10, stderr: '' });
      expect(stale.stdout.match(/ {3}stale {5}/g)).toHaveLength(2);
      expect(stale.stdout).toContain(`unzip   ${before} → ${after}`);
      const listed = await kiln.run(['stale', '--json', ...images, name('nowhere:1')]);
      const lines = listed.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(lines.map(({ state }) => state)).toEqual(['stale', 'stale', 'unknown']);
      expect(listed.status).toBe(7);
      expect(await kiln.ok(['stale', '-q', '--base', name('base:12'), `docker://${name('base:12')}`])).toBe(
        '\n'.slice(1),
      );

      // How do they get it? In the store, the same image as a build would have made.
      expect(await kiln.run(['rebase', '--check', name('copies:1')])).toMatchObject({ status: 10 });
      expect(await kiln.digest(name('copies:1'))).toBe(oldCopies);
      const rebased = JSON.parse(await kiln.ok(['rebase', '--json', '-t', 'rebased', name('copies:1')]));
      expect(rebased).toMatchObject({
        state: 'rebased',
        before: oldCopies,
        images: [{ packages: [{ kind: 'deb', name: 'unzip', from: before, to: after }] }],
      });
      expect(await kiln.digest('rebased')).toBe(rebased.after);
      expect(await kiln.ok(['run', '--rm', 'rebased'])).toBe(`page\n${after}\n`);
      expect(await kiln.ok(['run', '--rm', name('copies:1')])).toBe(`page\n${before}\n`);
      await kiln.ok(['build', '--pull', '-t', 'built', path.join(kiln.account.home, 'copies')]);
      expect(await kiln.digest('built')).toBe(rebased.after);
      expect(await kiln.run(['rebase', 'rebased'])).toMatchObject({
        status: 0,
        stdout: expect.stringContaining('as it is now'),
      });

      // And where that would not be safe?
      const refused = await kiln.run(['rebase', name('installs:1')]);
      expect(refused).toMatchObject({ status: 11, stdout: '' });
      expect(refused.stderr).toContain('/var/lib/dpkg/status');
      expect(refused.stderr).toContain('own 1');
      expect(refused.stderr).toContain('hint: build it again');
      expect(oldBase).not.toBe(await kiln.digest(name('base:12')));
    },
  );

  it.skipIf(missing(...needs))('a registry’s image is rebased there: its layers are mounted, not sent', async () => {
    await using registry = await startDockerRegistry();
    await using kiln = await openKiln(kind);
    const name = (text: string) => `${registry.host}/${text}`;
    const builder = kiln.withStore('builder');
    await builder.ok(['build', '-t', name('base:12'), '--push', basedOn(kiln, before)]);
    await builder.ok(['build', '-t', name('app:1'), '--push', appOn(kiln, 'app', name('base:12'), copies)]);
    await builder.ok(['build', '-t', name('base:12'), '--push', basedOn(kiln, after)]);

    const first = await kiln.run(['rebase', `docker://${name('app:1')}`, '-t', name('elsewhere/app:2')]);
    const again = await kiln.run(['rebase', '-q', `docker://${name('app:1')}`, '-t', name('third:1')]);
    const inPlace = await kiln.run(['rebase', '-q', `docker://${name('app:1')}`]);

    expect(first).toMatchObject({ status: 0, stdout: expect.stringContaining(`unzip   ${before} → ${after}`) });
    expect(first.stderr).toContain('Mounted from another repository');
    expect(first.stderr).not.toContain('Copied');
    expect(again).toMatchObject({ status: 0, stdout: expect.stringMatching(/^sha256:[0-9a-f]{64}\n$/) });
    expect(first.stdout).toContain(again.stdout.trim());
    expect(inPlace.stdout).toBe(again.stdout);
    expect(await kiln.ok(['images', '-q'])).toBe('');
    expect(await kiln.ok(['run', '--rm', name('elsewhere/app:2')])).toBe(`page\n${after}\n`);
    expect(await kiln.run(['stale', `docker://${name('app:1')}`])).toMatchObject({ status: 0 });
  });

  it.skipIf(missing(...needs))('images anywhere can be compared, and mistakes are told', async () => {
    await using kiln = await openKiln(kind);
    await kiln.ok(['build', '-t', 'one', basedOn(kiln, before)]);
    await kiln.ok(['build', '-t', 'two', basedOn(kiln, after, { 'root/etc/note': 'x\n' })]);
    const layout = path.join(kiln.account.home, 'layout');
    await kiln.ok(['copy', 'kiln:two', `oci:${layout}:two`]);

    const found = JSON.parse(await kiln.ok(['diff', '--json', 'one', `oci:${layout}:two`]));
    expect(found).toMatchObject({
      equal: false,
      packages: [{ kind: 'deb', name: 'unzip', from: before, to: after }],
      files: expect.arrayContaining([expect.objectContaining({ path: '/etc/note', change: 'added' })]),
    });
    expect(await kiln.ok(['diff', '--only', 'packages,files', 'two', `oci:${layout}:two`])).toContain(
      'are equal in packages and files',
    );
    expect(await kiln.ok(['diff', '--only', 'files', '--path', '/etc', 'one', 'two'])).toContain(
      'Files: 1 added\n  + /etc/note',
    );

    expect(await kiln.run(['diff', '--only', 'file', 'one', 'two'])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('did you mean files?'),
    });
    expect(await kiln.run(['diff', 'one', 'none'])).toMatchObject({ status: 7 });
    expect(await kiln.run(['rebase', 'one'])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('--old-base'),
    });
    expect(await kiln.run(['stale', 'one'])).toMatchObject({
      status: 2,
      stdout: expect.stringContaining('--base NAME'),
    });
  });
});

describe('Debian itself', () => {
  const debian = ['apt', 'mmdebstrap', 'unprivileged-user', 'overlay'] as const;
  const timeoutMs = 480_000;

  /** Takes a minute or two: makes a Debian without and one with its security updates. */
  it.skipIf(missing(...debian))(
    'security updates come below an app of copies, and not below one that installed packages',
    async () => {
      const [kind = 'unprivileged'] = accountKinds();
      await using kiln = await openKiln(kind);
      for (const security of [false, true]) {
        const folder = project(kiln.account, `debian-${security}`, {
          Buildfile: `from = { bootstrap = "debian", suite = "bookworm", security = ${security} }\n`,
        });
        await kiln.ok(['build', '-q', '-t', `debian:${security ? 'new' : 'old'}`, folder], { timeoutMs });
      }
      await kiln.ok(['build', '-q', '-t', 'copies', appOn(kiln, 'copies', 'debian:old', copies)]);
      await kiln.ok(['build', '-q', '-t', 'installs', appOn(kiln, 'installs', 'debian:old', installs)]);
      const bases = ['--old-base', 'kiln:debian:old', '--new-base', 'kiln:debian:new'];

      const { packages } = JSON.parse(
        await kiln.ok(['diff', '--json', '--only', 'packages', 'debian:old', 'debian:new']),
      );
      const rebased = JSON.parse(await kiln.ok(['rebase', '--json', ...bases, '-t', 'rebased', 'copies']));
      const refused = await kiln.run(['rebase', ...bases, 'installs']);

      // Which packages these are is the archive's matter: the image has what the new base has.
      expect(packages.length).toBeGreaterThan(0);
      expect(rebased).toMatchObject({ state: 'rebased', images: [{ reasons: [], packages }] });
      const versions = ['run', '--rm', 'rebased', 'dpkg-query', '-W', '-f', `\${Package} \${Version}\\n`];
      const installed = await kiln.ok(versions);
      for (const { name, to } of packages) expect(installed).toContain(`${name} ${to}\n`);
      expect(refused).toMatchObject({ status: 11, stderr: expect.stringContaining('/var/lib/dpkg/status') });
    },
  );
});

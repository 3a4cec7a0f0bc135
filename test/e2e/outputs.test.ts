import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Account, accountKinds } from '../account.ts';
import { startDockerRegistry } from '../docker-registry.ts';
import { missing } from '../requirements.ts';
import { busyboxProject, type Kiln, openKiln } from './kiln.ts';

const files = {
  Buildfile: `
[stages.base]
from = "scratch"
steps = [
  { copy = "busybox", to = "/bin/busybox", mode = "0755" },
  { run = ["/bin/busybox", "sh", "-c", "/bin/busybox mkdir -m 1777 /tmp && /bin/busybox --install -s /bin"] },
]

[stages.app]
from = "base"
steps = [
  { run = "mkdir /srv && echo hello > /srv/hello && ln /srv/hello /srv/same && chown 1000:1000 /srv/hello", layer = "srv" },
  { run = "rm /bin/vi && chmod 4755 /srv/hello", layer = "srv" },
  { workdir = "/srv" },
]
[stages.app.image]
cmd = ["cat", "/srv/hello"]
`,
};

const needs = ['busybox', 'unprivileged-user', 'overlay'] as const;

async function skopeo(account: Account, args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await account.run(['skopeo', ...args]);
  if (status === 0) return stdout;
  throw new Error(stderr);
}

/** Name, type and size of all files, as one who may not enter some of them sees them. */
async function listing(account: Account, folder: string): Promise<string[]> {
  const script = 'cd "$0" && find . -mindepth 1 -type f -printf "%P %s\\n" -o -mindepth 1 -printf "%P %y\\n"';
  const { stdout } = await account.run(['sh', '-c', script, folder]);
  return stdout.trim().split('\n').sort();
}

async function build(kiln: Kiln, ...args: readonly string[]): Promise<string> {
  const context = busyboxProject(kiln.account, 'app', files);
  return (await kiln.ok(['build', '-q', ...args, context])).trim();
}

describe.each(accountKinds())('outputs, as %s', (kind) => {
  it.skipIf(missing(...needs, 'skopeo', 'umoci'))('are read by peers with the same content', async () => {
    await using kiln = await openKiln(kind);
    const { account } = kiln;
    const out = account.folder('out');
    const outputs = [
      'type=oci,dest=i.tar',
      'type=docker,dest=d.tar',
      'type=oci,dest=layout,tar=false',
      'type=tar,dest=root.tar',
      'root',
    ];

    const digest = await kiln
      .ok(
        [
          'build',
          '-q',
          '-t',
          'app:1',
          ...outputs.flatMap((output) => ['-o', output]),
          busyboxProject(account, 'app', files),
        ],
        {
          cwd: out,
        },
      )
      .then((text) => text.trim());

    for (const image of ['oci-archive:i.tar:1', 'oci:layout:1']) {
      expect(JSON.parse(await skopeo(account, ['inspect', image.replace(':', `:${out}/`)])).Digest).toBe(digest);
    }
    const name = 'docker.io/library/app:1';
    expect(
      JSON.parse(await skopeo(account, ['inspect', '--config', `docker-archive:${out}/d.tar:${name}`])),
    ).toMatchObject({
      config: { Cmd: ['cat', '/srv/hello'], WorkingDir: '/srv' },
    });
    await skopeo(account, ['copy', '-q', '--insecure-policy', `docker-archive:${out}/d.tar`, `oci:${out}/again:x`]);
    const rootless = kind === 'root' ? [] : ['--rootless'];
    const seen = await listing(account, path.join(out, 'root'));
    for (const image of ['layout:1', 'again:x']) {
      const bundle = path.join(out, image.replace(':', '-'));
      const unpacked = await account.run(['umoci', 'unpack', ...rootless, '--image', path.join(out, image), bundle]);
      expect(unpacked).toMatchObject({ status: 0 });
      expect(await listing(account, path.join(bundle, 'rootfs'))).toEqual(seen);
    }
    const inTar = execFileSync('tar', ['-tf', path.join(out, 'root.tar')], { encoding: 'utf8' })
      .trim()
      .split('\n');
    expect(inTar.map((each) => each.replace(/\/$/, '')).sort()).toEqual(
      seen.map((each) => each.replace(/ \S*$/, '')).sort(),
    );
    expect(readdirSync(out).filter((each) => each.startsWith('.'))).toEqual([]);
  });

  it.skipIf(missing(...needs))(
    'give files to who builds: root keeps owners, a user gets them without setuid',
    async () => {
      await using kiln = await openKiln(kind);
      const root = path.join(kiln.account.folder('out'), 'root');

      await build(kiln, '-o', root);

      const hello = statSync(path.join(root, 'srv/hello'));
      const { uid } = kiln.account;
      expect([hello.uid, hello.mode & 0o7777]).toEqual(kind === 'root' ? [1000, 0o4755] : [uid, 0o755]);
      expect(statSync(root).uid).toBe(uid);
      expect(readFileSync(path.join(root, 'srv/hello'), 'utf8')).toBe('hello\n');
      expect(existsSync(path.join(root, 'bin/vi'))).toBe(false);
    },
  );

  it.skipIf(missing(...needs))('leave standard output to an archive that goes there', async () => {
    await using kiln = await openKiln(kind);
    const context = busyboxProject(kiln.account, 'app', files);
    const digest = await build(kiln);
    const place = path.join(kiln.account.folder('out'), 'piped.tar');
    const shell = ['sh', '-c', '"$@" | cat > "$0"', place, path.join(import.meta.dirname, '../../bin/kiln')];

    const { stderr } = await kiln.account.run([...shell, 'build', '-q', '-o', 'type=docker,dest=-', context], {
      env: { KILN_HOME: kiln.store },
    });

    const names = execFileSync('tar', ['-tf', place], { encoding: 'utf8' });
    expect(names).toContain('manifest.json');
    expect(names).toContain(`blobs/sha256/${digest.slice('sha256:'.length)}`);
    expect(stderr.trim()).toBe(digest);
  });

  it.skipIf(missing(...needs))('of one layer have the same files, and one line of history for it', async () => {
    await using kiln = await openKiln(kind);
    const out = kiln.account.folder('out');
    const [plain, squashed] = [path.join(out, 'plain.tar'), path.join(out, 'squashed.tar')];

    await build(kiln, '-o', `type=tar,dest=${plain}`);
    await build(kiln, '--squash', '-t', 'one', '-o', `type=tar,dest=${squashed}`);

    expect(readFileSync(squashed).equals(readFileSync(plain))).toBe(true);
    const inspected = await kiln.ok(['run', 'one']);
    expect(inspected).toBe('hello\n');
  });

  it.skipIf(missing(...needs, 'docker-registry', 'skopeo'))(
    'tell in files what was built, and what the registry calls it',
    async () => {
      await using registry = await startDockerRegistry();
      await using kiln = await openKiln(kind);
      const out = kiln.account.folder('out');
      const [metadata, iid] = [path.join(out, 'metadata.json'), path.join(out, 'iid')];
      const name = `${registry.host}/team/app:1`;
      const wanted = ['-o', `type=registry,name=${name}`, '--annotation', 'org.example.team=a', '--label', 'b=c'];

      const digest = await build(kiln, ...wanted, '--metadata-file', metadata, '--iidfile', iid);

      const pushed = JSON.parse(await skopeo(kiln.account, ['inspect', '--tls-verify=false', `docker://${name}`]));
      const raw = JSON.parse(
        await skopeo(kiln.account, ['inspect', '--raw', '--tls-verify=false', `docker://${name}`]),
      );
      expect(readFileSync(iid, 'utf8')).toBe(digest);
      const told = JSON.parse(readFileSync(metadata, 'utf8'));
      expect(told).toMatchObject({
        'containerimage.digest': pushed.Digest,
        'containerimage.config.digest': raw.config.digest,
        'image.name': name,
        kiln: { target: 'app', digest, pushed: { [name]: pushed.Digest } },
      });
      expect(told.kiln.platforms[0].layers.map((layer: { steps: string[] }) => layer.steps.length)).toEqual([1, 1, 2]);
      expect(raw.annotations).toMatchObject({ 'org.example.team': 'a' });
      expect(pushed.Labels).toEqual({ b: 'c' });
    },
  );

  it.skipIf(missing(...needs))(
    'are refused before the build where they cannot be, and not written when it fails',
    async () => {
      await using kiln = await openKiln(kind);
      const out = kiln.account.folder('out');
      const context = busyboxProject(kiln.account, 'app', files);
      const failing = busyboxProject(kiln.account, 'bad', {
        Buildfile: 'from = "scratch"\nsteps = [{ copy = "absent" }]\n',
      });
      const [metadata, iid, tar] = ['m.json', 'iid', 'x.tar'].map((name) => path.join(out, name));
      const refused = [
        ['-o', 'type=tar,dest=/no/such/folder/x.tar'],
        ['-o', `type=docker,dest=${tar}`, '--platform', 'linux/amd64,linux/arm64'],
        ['--metadata-file', '/no/such/folder/x'],
        ['--metadata-file', out],
        ['--iidfile', out],
        ['--cache-to', `type=local,dest=${context}`],
      ];

      for (const args of refused) {
        const outcome = await kiln.run(['build', '--progress', 'plain', ...args, context]);
        expect(outcome).toMatchObject({ status: 2, stdout: '' });
        expect(outcome.stderr).not.toContain('#1');
      }
      const wanted = ['-o', `type=tar,dest=${tar}`, '--metadata-file', metadata, '--iidfile', iid];
      const failed = await kiln.run(['build', ...wanted.map(String), failing]);

      expect(failed.status).toBe(2);
      expect(readdirSync(out)).toEqual([]);
    },
  );
});

it.skipIf(missing('root', ...needs, 'podman'))('podman, as a user, loads what was written for docker', async () => {
  await using kiln = await openKiln('unprivileged');
  const { account } = kiln;
  const out = account.folder('out');
  const [archive, metadata] = [path.join(out, 'd.tar'), path.join(out, 'm.json')];
  const storage = ['--root', path.join(account.home, 'storage'), '--runroot', path.join(account.home, 'runroot')];
  const podman = ['podman', ...storage, '--storage-driver', 'vfs', '--cgroup-manager', 'cgroupfs'];
  await build(kiln, '-t', 'app:1', '-o', `type=docker,dest=${archive}`, '--metadata-file', metadata);
  try {
    const loaded = await account.run([...podman, 'load', '-q', '-i', archive]);
    const name = 'docker.io/library/app:1';
    const inspected = await account.run([...podman, 'image', 'inspect', '--format', '{{json .RootFS.Layers}}', name]);

    expect(loaded.stdout).toContain(name);
    const layers: { diffId: string }[] = JSON.parse(readFileSync(metadata, 'utf8')).kiln.platforms[0].layers;
    expect(JSON.parse(inspected.stdout)).toEqual(layers.map(({ diffId }) => diffId));
  } finally {
    // It leaves a process that holds its namespaces.
    const file = path.join(account.home, 'run/libpod/tmp/pause.pid');
    if (existsSync(file)) process.kill(Number(readFileSync(file, 'utf8')), 'SIGKILL');
  }
});

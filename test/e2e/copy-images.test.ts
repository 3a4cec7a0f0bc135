import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Account, accountKinds, signalGroup } from '../account.ts';
import { startDockerRegistry } from '../docker-registry.ts';
import { missing } from '../requirements.ts';
import { hostileLayer, layoutOf, outsideFile } from './hand-made-layout.ts';
import { busyboxProject, finished, type Kiln, openKiln, project } from './kiln.ts';
import { unfinished } from './nothing-left.ts';
import { startStallingRegistry } from './stalling-registry.ts';

const needs = ['busybox', 'unprivileged-user', 'overlay'] as const;

async function ok(account: Account, argv: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await account.run(argv);
  if (status === 0) return stdout;
  throw new Error(`${argv.join(' ')} ended with ${status}: ${stderr}`);
}

const shell = (account: Account, script: string, ...args: readonly string[]) =>
  ok(account, ['sh', '-ec', script, 'sh', ...args]);

/** The image `app:1` in the store, and its digest. */
async function build(kiln: Kiln): Promise<string> {
  return (await kiln.ok(['build', '-q', '-t', 'app:1', busyboxProject(kiln.account, 'app')])).trim();
}

/** Runs inside what an ordinary user's containers see; as root just so. */
function inside({ kind }: Account): readonly string[] {
  return kind === 'root' ? [] : ['unshare', '--map-root-user', '--map-auto'];
}

describe.each(accountKinds())('kiln copy, save, load and unpack, as %s', (kind) => {
  it.skipIf(missing(...needs, 'docker-registry'))('copy between any two places and keep the digest', async () => {
    await using kiln = await openKiln(kind);
    await using registry = await startDockerRegistry();
    const out = kiln.account.folder('out');
    await build(kiln);
    const from: Record<string, string> = {
      registry: `docker://${registry.host}/app:1`,
      oci: 'oci:layout:app:1',
      'oci-archive': 'oci-archive:o.tar:app:1',
      'docker-archive': 'docker-archive:d.tar:app:1',
      store: 'kiln:again:1',
    };
    const copy = async (...args: readonly string[]) => (await kiln.ok(['copy', '-q', ...args], { cwd: out })).trim();
    const digest = await copy('kiln:app:1', `${registry.host}/app:1`);
    for (const place of Object.values(from)) expect(await copy(`${registry.host}/app:1`, place)).toBe(digest);

    for (const [kindOfSource, source] of Object.entries(from)) {
      for (const [kindOfPlace, place] of Object.entries(from)) {
        const to = place.replace('again', kindOfSource).replace('app:1', `${kindOfSource}:1`);
        const flags = kindOfSource === 'store' && kindOfPlace !== 'store' ? ['--preserve-digests'] : [];
        expect(await copy(...flags, source, to.replace(/\.tar/, `-${kindOfSource}.tar`)), `${source} ${to}`).toBe(
          digest,
        );
      }
    }
    expect(await kiln.digest('docker-archive:1')).toBe(digest);
    expect(readdirSync(out).filter((name) => name.startsWith('.'))).toEqual([]);
    expect(unfinished(kiln)).toEqual([]);
  });

  it.skipIf(missing(...needs, 'docker-registry', 'skopeo'))('is understood by skopeo, and understands it', async () => {
    await using kiln = await openKiln(kind);
    await using registry = await startDockerRegistry();
    const { account } = kiln;
    const out = account.folder('out');
    await build(kiln);
    await kiln.ok(['copy', 'kiln:app:1', 'docker-archive:d.tar:app:1'], { cwd: out });
    await kiln.ok(['copy', 'kiln:app:1', 'oci:layout:1'], { cwd: out });
    const layers = (text: string) => JSON.parse(text).Layers as readonly string[];

    const inspected = await ok(account, ['skopeo', 'inspect', `docker-archive:${out}/d.tar:app:1`]);
    const policy = ['--insecure-policy', '--quiet'];
    await ok(account, ['skopeo', 'copy', ...policy, `docker-archive:${out}/d.tar`, `docker-archive:${out}/s.tar:s:1`]);
    await ok(account, ['skopeo', 'copy', ...policy, `oci:${out}/layout:1`, `oci:${out}/theirs:2`]);
    const loaded = await kiln.ok(['load', '-q', '-i', path.join(out, 's.tar')]);
    const theirs = await kiln.ok(['copy', '-q', 'oci:theirs:2', `${registry.host}/app:2`, '-t', 'more'], { cwd: out });
    const remote = await ok(account, ['skopeo', 'inspect', '--tls-verify=false', `docker://${registry.host}/app:more`]);

    expect(layers(inspected)).toHaveLength(layers(remote).length);
    expect(loaded).toBe('Loaded image: s:1\n');
    expect(JSON.parse(remote).Digest).toBe(theirs.trim());
    expect(await kiln.ok(['run', '--rm', 's:1', 'cat', '/etc/base-version'])).toBe('1\n');
  });

  it.skipIf(missing(...needs))('save several images, load them all, under all their names', async () => {
    await using kiln = await openKiln(kind);
    const digest = await build(kiln);
    await kiln.ok(['tag', 'app:1', 'registry.example/other:2']);
    const next = kiln.withStore('next');
    const program = [path.resolve('bin/kiln')];
    const pipe = `KILN_HOME=${kiln.store} "$1" save app:1 registry.example/other:2 | KILN_HOME=${next.store} "$1" load -q`;

    const loaded = await shell(kiln.account, pipe, ...program);
    const gzipped = await shell(
      kiln.account,
      `KILN_HOME=${kiln.store} "$1" save -q app:1 | gzip -1 > a.tgz; KILN_HOME=${next.store}2 "$1" load -q -i a.tgz --json`,
      ...program,
    );

    expect(loaded).toBe('Loaded image: app:1\nLoaded image: registry.example/other:2\n');
    expect(await next.digest('registry.example/other:2')).toBe(digest);
    expect(JSON.parse(gzipped)).toMatchObject({ names: ['docker.io/library/app:1'], digest });
  });

  it.skipIf(missing(...needs, 'docker-registry'))('copy all platforms, or some, to places that hold them', async () => {
    await using kiln = await openKiln(kind);
    await using registry = await startDockerRegistry();
    const { account } = kiln;
    const out = account.folder('out');
    const context = project(account, 'many', {
      Buildfile: 'from = "scratch"\nsteps = [{ copy = "file", to = "/" }]\n',
      file: 'content',
    });
    const platforms = ['linux/amd64', 'linux/arm64', 'linux/s390x'];
    const words = ['build', '-q', '-t', 'many:1', '--platform', platforms.join(','), context];
    const index = (await kiln.ok(words)).trim();
    const copy = async (...args: readonly string[]) => (await kiln.ok(['copy', '-q', ...args], { cwd: out })).trim();
    const manifestOf = async (tag: string) => {
      const headers = { accept: 'application/vnd.oci.image.index.v1+json' };
      const answer = await fetch(`http://${registry.host}/v2/many/manifests/${tag}`, { headers });
      return ((await answer.json()) as { manifests: { digest: string }[] }).manifests;
    };

    const whole = await copy('--preserve-digests', 'kiln:many:1', `${registry.host}/many:whole`);
    await copy(
      '--platform',
      'linux/amd64',
      '--platform',
      'linux/s390x',
      `${registry.host}/many:whole`,
      `${registry.host}/many:two`,
    );
    const one = await copy('--platform', 'linux/arm64', `${registry.host}/many:whole`, 'oci:one:arm');
    const own = await copy(`${registry.host}/many:whole`, 'docker-archive:own.tar:many:1');

    expect(whole).toBe(index);
    const all = await manifestOf('whole');
    expect(await manifestOf('two')).toEqual([all[0], all[2]]);
    expect([one, own]).toEqual([all[1]?.digest, all[process.arch === 'arm64' ? 1 : 0]?.digest]);
    expect(await kiln.run(['copy', 'kiln:many:1', 'docker-archive:x.tar', '-a'], { cwd: out })).toMatchObject({
      status: 2,
    });
  });

  it.skipIf(missing(...needs))('save by digest what has no name then, and load a layout in a folder', async () => {
    await using kiln = await openKiln(kind);
    const digest = await build(kiln);
    const out = kiln.account.folder('out');
    const next = kiln.withStore('next');

    await kiln.ok(['save', '-o', 'a.tar', '--format', 'oci-archive', digest], { cwd: out });
    await kiln.ok(['save', '-o', 'layout', '--format', 'oci-dir', 'app:1'], { cwd: out });

    expect(await next.ok(['load', '-q', '-i', 'a.tar'], { cwd: out })).toBe(`Loaded image: ${digest}\n`);
    expect(await next.ok(['load', '-q', '-i', 'layout'], { cwd: out })).toBe('Loaded image: app:1\n');
    expect(await next.digest('app:1')).toBe(digest);
  });

  it.skipIf(missing(...needs))('say what there is where a name is wrong, and leave nothing', async () => {
    await using kiln = await openKiln(kind);
    const out = kiln.account.folder('out');
    await build(kiln);
    await kiln.ok(['copy', 'kiln:app:1', 'oci:layout:stable'], { cwd: out });
    const run = (...args: readonly string[]) => kiln.run(args, { cwd: out });

    expect(await run('copy', 'oci:layout:stabel', 'oci:other')).toMatchObject({
      status: 7,
      stderr: expect.stringContaining('did you mean stable?'),
    });
    expect((await run('unpack', 'oci:layout:x', 'root')).stderr).toContain('it holds: stable');
    expect((await run('save', '-o', 'a.tar', 'ap:1')).stderr).toContain('did you mean app:1?');
    expect(await run('load', '-i', 'none.tar')).toMatchObject({ status: 2 });
    expect(await run('copy', 'oci:layout', 'docker-archive:a.tar', '--all')).toMatchObject({ status: 2 });
    expect(await run('copy', 'oci:layout', 'kiln:x', '--platform', 'linux/s390x')).toMatchObject({ status: 7 });
    expect(readdirSync(out)).toEqual(['layout']);
  });

  it.skipIf(missing(...needs))('end on SIGINT with nothing half-made, wherever the image was to go', async () => {
    await using kiln = await openKiln(kind);
    const { account } = kiln;
    mkdirSync(path.join(account.folder('out'), 'empty'));
    await ok(account, ['true']);
    if (kind !== 'root') execFileSync('chown', [`${account.uid}`, path.join(account.home, 'out', 'empty')]);
    const out = path.join(account.home, 'out');
    const commands = [
      ['copy', 'SRC', 'oci:layout:1'],
      ['copy', 'SRC', 'oci-archive:o.tar'],
      ['copy', 'SRC', 'docker-archive:d.tar:x'],
      ['copy', 'SRC', 'kiln:x:1'],
      ['save', '-o', 's.tar', 'docker://SRC'],
      ['unpack', 'docker://SRC', 'root'],
      ['unpack', 'docker://SRC', 'empty'],
    ];

    for (const command of commands) {
      await using registry = await startStallingRegistry();
      const words = command.map((word) => word.replace('SRC', `${registry.host}/slow:1`));
      const child = kiln.start(words, { cwd: out });
      const ended = finished(child);
      await Promise.race([registry.stalled, ended]);
      signalGroup(child, 'SIGINT');

      expect(await ended, words.join(' ')).toMatchObject({ status: 130, stdout: '' });
      expect(readdirSync(out), words.join(' ')).toEqual(['empty']);
      expect(readdirSync(path.join(out, 'empty'))).toEqual([]);
      expect(unfinished(kiln)).toEqual([]);
    }
    expect(await kiln.ok(['images', '-q'])).toBe('');
  });

  it.skipIf(missing(...needs))('unpack refuses what would leave the folder, and touches nothing outside', async () => {
    await using kiln = await openKiln(kind);
    const { account } = kiln;
    const out = account.folder('out');
    for (const [name, layers] of Object.entries(hostileLayer)) {
      layoutOf(path.join(out, name), layers(out));
      execFileSync('chown', ['-R', `${account.uid}`, path.join(out, name)]);
      writeFileSync(path.join(out, outsideFile), 'untouched');

      const outcome = await kiln.run(['unpack', `oci:${name}`, 'root'], { cwd: out });

      expect(readFileSync(path.join(out, outsideFile), 'utf8'), name).toBe('untouched');
      expect(statSync(path.join(out, outsideFile)).nlink).toBe(1);
      expect(readdirSync(out).sort(), name).toEqual(
        [name, outsideFile, ...(outcome.status === 0 ? ['root'] : [])].sort(),
      );
      if (name.startsWith('refused')) expect(outcome, name).toMatchObject({ status: 6, stdout: '' });
      await ok(account, [...inside(account), 'rm', '-rf', path.join(out, 'root'), path.join(out, name)]);
    }
    expect(existsSync('/kiln-escaped')).toBe(false);
  });

  it.skipIf(missing(...needs))('unpack takes a folder that is new or empty, and no other', async () => {
    await using kiln = await openKiln(kind);
    const out = kiln.account.folder('out');
    await build(kiln);
    await kiln.ok(['unpack', 'app:1', 'deep/new'], { cwd: out });
    await shell(kiln.account, 'mkdir "$1/empty"', out);

    await kiln.ok(['unpack', 'app:1', 'empty'], { cwd: out });
    const full = await kiln.run(['unpack', 'app:1', 'empty'], { cwd: out });
    const piped = await shell(
      kiln.account,
      `KILN_HOME=${kiln.store} "$1" save -q app:1 | KILN_HOME=${kiln.store} "$1" unpack - "$2/piped"`,
      path.resolve('bin/kiln'),
      out,
    );

    expect(full).toMatchObject({ status: 2, stderr: expect.stringContaining('not empty') });
    expect(piped.trim()).toBe(await kiln.digest('app:1'));
    const files = (folder: string) => shell(kiln.account, 'cd "$1/$2" && find . | sort', out, folder);
    expect(await files('empty')).toBe(await files('deep/new'));
    expect(await files('piped')).toBe(await files('deep/new'));
  });
});

/** All that a file system tells of a tree, as one tar. */
function treeOf(folder: string): Buffer {
  const flags = ['--sort=name', '--numeric-owner', '--xattrs', '--xattrs-include=*', '--format=posix'];
  return execFileSync('tar', ['-C', folder, ...flags, '--pax-option=delete=atime,delete=ctime', '-cf', '-', '.'], {
    maxBuffer: 1 << 26,
  });
}

describe.skipIf(missing('root', ...needs, 'umoci', 'setcap'))('kiln unpack as root', () => {
  it('makes what umoci makes: owners, modes, times, attributes, links, devices, whiteouts', async () => {
    await using kiln = await openKiln('root');
    const out = kiln.account.folder('out');
    const script = `
      mkdir -p one/srv/sub one/bin two/srv/sub two/bin one/opt two/opt
      echo hello > one/srv/hello; ln one/srv/hello one/srv/same; chown 1000:1001 one/srv/hello; chmod 4755 one/srv/hello
      ln -s ../srv/hello one/bin/link; mkfifo one/srv/pipe; mknod one/srv/null c 1 3; touch one/srv/gone one/opt/hidden
      cp /bin/true one/bin/able; setcap cap_net_raw+ep one/bin/able; chmod 1777 one/opt
      echo two > two/srv/sub/file; touch two/srv/.wh.gone two/opt/.wh..wh..opq; echo new > two/opt/new; mkdir two/bin/link
      find one two -exec touch -h -d '2020-02-03 04:05:06' {} +
      for each in one two; do tar -C $each --xattrs --xattrs-include='*' --numeric-owner --sort=name -cf $each.tar .; done`;
    execFileSync('sh', ['-ec', script], { cwd: out });
    layoutOf(
      path.join(out, 'layout'),
      ['one', 'two'].map((name) => readFileSync(path.join(out, `${name}.tar`))),
    );

    await kiln.ok(['unpack', 'oci:layout', 'ours'], { cwd: out });
    execFileSync('umoci', ['raw', 'unpack', '--image', 'layout:image', 'theirs'], { cwd: out, stdio: 'pipe' });

    expect(readdirSync(path.join(out, 'ours/srv')).sort()).toEqual(['hello', 'null', 'pipe', 'same', 'sub']);
    expect(readdirSync(path.join(out, 'ours/opt'))).toEqual(['new']);
    expect(treeOf(path.join(out, 'ours')).equals(treeOf(path.join(out, 'theirs')))).toBe(true);
  });
});

describe.skipIf(missing(...needs, 'subids'))('kiln unpack as an ordinary user', () => {
  it('keeps owners as the user’s containers see them, or makes everything the user’s', async () => {
    await using kiln = await openKiln('unprivileged');
    const { account } = kiln;
    const out = account.folder('out');
    layoutOf(path.join(out, 'layout'), hostileLayer.ownersOfAllKinds());

    await kiln.ok(['unpack', 'oci:layout', 'mapped'], { cwd: out });
    await kiln.ok(['unpack', '--no-same-owner', 'oci:layout', 'own'], { cwd: out });

    const stats = (folder: string) =>
      ok(account, [...inside(account), 'stat', '-c', '%u:%g %a', `${out}/${folder}/owned`, `${out}/${folder}/closed`]);
    expect(await stats('mapped')).toBe('1000:0 4755\n0:0 500\n');
    expect(await stats('own')).toBe('0:0 755\n0:0 700\n');
    expect(statSync(path.join(out, 'own/owned')).uid).toBe(account.uid);
  });

  it('refuses device nodes with what to do, and leaves them out when told', async () => {
    await using kiln = await openKiln('unprivileged');
    const out = kiln.account.folder('out');
    layoutOf(path.join(out, 'layout'), hostileLayer.deviceNode());

    expect(await kiln.run(['unpack', 'oci:layout', 'root'], { cwd: out })).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/dev\/sda, which only root can make\n.*--no-devices/),
    });
    expect(readdirSync(out)).toEqual(['layout']);
    await kiln.ok(['unpack', '--no-devices', 'oci:layout', 'root'], { cwd: out });
    expect(readdirSync(path.join(out, 'root/dev'))).toEqual([]);
  });

  it.skipIf(missing('podman'))('is loaded by podman, out of a pipe', async () => {
    await using kiln = await openKiln('unprivileged');
    const { account } = kiln;
    await build(kiln);
    const storage = `--root ${account.home}/podman --runroot ${account.home}/r --storage-driver vfs --cgroup-manager cgroupfs`;

    const loaded = await shell(
      account,
      `KILN_HOME=${kiln.store} "$1" save -q app:1 | podman ${storage} load -q`,
      path.resolve('bin/kiln'),
    );

    expect(loaded).toContain('docker.io/library/app:1');
    const holder = path.join(account.home, 'run', 'libpod', 'tmp', 'pause.pid');
    if (existsSync(holder)) process.kill(Number(readFileSync(holder, 'utf8')), 'SIGKILL');
  });
});

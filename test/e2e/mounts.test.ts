import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { accountKinds } from '../account.ts';
import { isRoot, missing } from '../requirements.ts';
import { busyboxProject, type Kiln, openKiln, project } from './kiln.ts';

const needs = ['busybox', 'unprivileged-user', 'overlay'] as const;

/** A context whose Buildfile has one `run` step with mounts on an image of busybox, and any number of files. */
function mounted(
  kiln: Kiln,
  run: string,
  mounts: readonly string[],
  { files = {}, more = '' }: { readonly files?: Readonly<Record<string, string>>; readonly more?: string } = {},
): string {
  return project(kiln.account, 'context', {
    Buildfile: `from = "base"\n[[steps]]\nrun = ${JSON.stringify(run)}\nmounts = [${mounts.join(', ')}]\n${more}`,
    ...files,
  });
}

async function withBase(kiln: Kiln): Promise<void> {
  await kiln.ok(['build', '-q', '-t', 'base', busyboxProject(kiln.account, 'base')]);
}

/** Everything that Kiln keeps, as text. Only root may read what subordinate ids own in it. */
function storedText(kiln: Kiln): string {
  const files = readdirSync(kiln.store, { recursive: true, withFileTypes: true });
  return files
    .filter((file) => file.isFile())
    .map((file) => readFileSync(path.join(file.parentPath, file.name), 'latin1'))
    .join('\n');
}

describe.each(accountKinds())('mounts, as %s', (kind) => {
  it.skipIf(missing(...needs))('a secret is seen by its step, and by nobody else', async () => {
    await using kiln = await openKiln(kind);
    await withBase(kiln);
    const run =
      'cat /run/secrets/token; echo "it is $TOKEN"; stat -c "%a %u" /run/secrets/token; cp /run/secrets/token /dev/shm/; sort /run/secrets/token | md5sum > /out';
    const context = mounted(kiln, run, ['{ secret = "token" }', '{ secret = "other", env = "TOKEN" }'], {
      more: 'workdir = "/tmp"\n',
      files: { 'token.txt': 'hunter22-in-a-file\n' },
    });
    const flags = ['--secret', `id=token,src=${path.join(context, 'token.txt')}`, '--secret', 'id=other,env=MINE'];

    const built = await kiln.run(['build', '--progress', 'plain', '-t', 'app', ...flags, context], {
      env: { MINE: 'hunter22-in-a-variable' },
    });

    expect(built).toMatchObject({ status: 0 });
    expect(built.stderr).toContain('it is ***');
    expect(built.stderr).toContain('400 0');
    expect(built.stderr + built.stdout).not.toContain('hunter22');
    if (isRoot()) expect(storedText(kiln)).not.toContain('hunter22');
    const seen = await kiln.ok(['run', '--rm', 'app', 'sh', '-c', 'ls -A /run; cat /out']);
    expect(seen).toMatch(/^[0-9a-f]{32} {2}-\n$/);
  });

  it.skipIf(missing(...needs))('a required secret is asked for by the flag that gives it', async () => {
    await using kiln = await openKiln(kind);
    await withBase(kiln);
    const context = mounted(kiln, 'true', ['{ secret = "token", required = true }']);

    const outcome = await kiln.run(['build', '-q', context]);

    expect(outcome.status).toBe(2);
    expect(outcome.stderr).toContain('--secret id=token,src=FILE');
  });

  it.skipIf(missing(...needs))('a cache is there in the next build, and is listed and deleted', async () => {
    await using kiln = await openKiln(kind);
    await withBase(kiln);
    const mounts = ['{ cache = "/var/cache/x", id = "mine" }'];
    await kiln.ok(['build', '-q', mounted(kiln, 'echo one >> /var/cache/x/log', mounts)]);
    await kiln.ok(['build', '-q', '-t', 'app', mounted(kiln, 'cp /var/cache/x/log /log', mounts)]);

    const files = await kiln.ok(['run', '--rm', 'app', 'sh', '-c', 'cat /log; ls /']);
    expect(files).toMatch(/^one\n/);
    expect(files).not.toContain('var');
    const [listed] = (await kiln.ok(['cache', 'ls', '--json']))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(listed).toMatchObject({ id: 'mine', instance: 0, lastUsed: expect.stringMatching(/^\d{4}-/) });
    expect(listed.sizeBytes).toBeGreaterThan(0);
    expect(await kiln.ok(['cache', 'ls'])).toMatch(/^ID +PLATFORM +SIZE +LAST USED\nmine /);
    expect(await kiln.ok(['cache', 'rm', 'mine'])).toMatch(/^mine \(linux\//);
    expect((await kiln.run(['cache', 'rm', 'mine'])).status).toBe(7);
  });

  it.skipIf(missing(...needs))('a bind shows the context, a stage or an image, and takes no changes', async () => {
    await using kiln = await openKiln(kind);
    await withBase(kiln);
    const context = project(kiln.account, 'context', {
      Buildfile: `
        [stages.made]
        from = "base"
        steps = [{ run = "mkdir /made; echo made > /made/file; chown 1000:1000 /made/file" }]
        [stages.app]
        from = "base"
        [[stages.app.steps]]
        run = "cat /c/a.txt /s/file /i/busybox | wc -c > /out; stat -c %u /s/file >> /out; ls /c >> /out; for d in /c /s /i; do if touch $d/x 2>/dev/null; then exit 1; fi; done; echo changed > /rw/a.txt; cat /rw/a.txt >> /out"
        mounts = [{ bind = ".", to = "/c" }, { bind = "made", from = "made", to = "/s" }, { bind = "bin", from = "base", to = "/i" }, { bind = ".", to = "/rw", rw = true }]`,
      '.buildignore': '*.secret\nBuildfile*\n.buildignore\n',
      'a.txt': 'a\n',
      'b.secret': 'b\n',
    });

    await kiln.ok(['build', '-q', '-t', 'app', context]);

    const out = await kiln.ok(['run', '--rm', 'app', 'cat', '/out']);
    expect(out).toMatch(/^\d{6,}\n1000\na\.txt\nchanged\n$/);
    expect(await kiln.ok(['run', '--rm', 'app', 'ls', '/'])).not.toMatch(/^(c|s|i|rw)$/m);
    expect(readFileSync(path.join(context, 'a.txt'), 'utf8')).toBe('a\n');
  });

  it.skipIf(missing(...needs))('an ssh agent can be used by any user of a step', async () => {
    await using kiln = await openKiln(kind);
    await withBase(kiln);
    const file = path.join(kiln.account.folder('agent'), 'agent.sock');
    const agent = createServer((socket) => socket.on('data', (bytes) => socket.write(bytes)));
    agent.listen(file);
    await once(agent, 'listening');
    chownSync(file, kiln.account.uid, kiln.account.uid);
    chmodSync(file, 0o600);
    try {
      const run =
        '[ -S "$SSH_AUTH_SOCK" ]; [ -w "$SSH_AUTH_SOCK" ]; echo "$SSH_AUTH_SOCK $(id -u)"; stat -c "%a %u" "$SSH_AUTH_SOCK"';
      const context = mounted(kiln, run, ['{ ssh = "default" }'], { more: 'user = "1000"\n' });

      const built = await kiln.run(['build', '--progress', 'plain', '--ssh', 'default', context], {
        env: { SSH_AUTH_SOCK: file },
      });
      const without = await kiln.run(['build', '-q', '--no-cache', context]);

      expect(built.stderr).toContain('/run/ssh-agent/default.sock 1000');
      expect(built.stderr).toContain('600 1000');
      expect(built.status).toBe(0);
      expect(without.stderr).toContain('--ssh default');
    } finally {
      agent.close();
    }
  });

  it.skipIf(missing(...needs))('a script of 300 KiB runs, and a test fails the build', async () => {
    await using kiln = await openKiln(kind);
    await withBase(kiln);
    const script = `${`: ${'x'.repeat(98)}\n`.repeat(3000)}echo done > /out\n`;
    const context = project(kiln.account, 'context', {
      Buildfile: `from = "base"\n[[steps]]\nrun = ${JSON.stringify(script)}\n[[steps]]\ntest = "grep done /out; touch /made; echo seen; exit \${FAIL:-0}"\n`,
    });
    await kiln.ok(['build', '-q', '-t', 'app', context]);
    expect(await kiln.ok(['run', '--rm', 'app', 'sh', '-c', 'ls /made /run/kiln 2>/dev/null; cat /out'])).toBe(
      'done\n',
    );
    writeFileSync(path.join(context, 'Buildfile'), 'from = "base"\n[[steps]]\ntest = "echo why; exit 9"\n');

    const failed = await kiln.run(['build', '--progress', 'plain', context]);

    expect(failed.status).toBe(3);
    expect(failed.stderr).toMatch(/exit status: 9\n {2}last lines of its output:\n {4}why/);
  });
});

it.skipIf(missing('root', ...needs))('caches go from root to an ordinary user and back', async () => {
  await using asRoot = await openKiln('root');
  await using asUser = await openKiln('unprivileged');
  for (const kiln of [asRoot, asUser]) await withBase(kiln);
  const fill =
    'echo from root > /cache/file; chown 1000:1000 /cache/file; chmod 640 /cache/file; ln -s file /cache/link';
  const mounts = ['{ cache = "/cache" }'];
  await asRoot.ok(['build', '-q', mounted(asRoot, fill, mounts)]);
  const archive = path.join(asUser.account.folder('exchange'), 'caches.tar');

  await asRoot.ok(['cache', 'export', '-o', archive]);
  chmodSync(archive, 0o644);
  expect(await asUser.ok(['cache', 'import', archive])).toContain('/cache (linux/');
  const look = 'cat /cache/link; stat -c "%u:%g %a" /cache/file; echo from user >> /cache/file';
  const seen = await asUser.run(['build', '--progress', 'plain', mounted(asUser, look, mounts)]);
  const back = path.join(asUser.account.folder('exchange'), 'back.tar');
  await asUser.ok(['cache', 'export', '/cache', '-o', back]);
  await asRoot.ok(['cache', 'import', back]);
  const again = await asRoot.run(['build', '--progress', 'plain', mounted(asRoot, 'cat /cache/file', mounts)]);

  expect(seen.stderr).toContain('from root');
  expect(seen.stderr).toContain('1000:1000 640');
  expect(again.stderr).toContain('from user');
  expect(existsSync(`${back}.part`)).toBe(false);
});

it.skipIf(missing(...needs))('caches go into a pipe that has a name, and leave it one', async () => {
  await using kiln = await openKiln('unprivileged');
  await withBase(kiln);
  await kiln.ok(['build', '-q', mounted(kiln, 'echo text > /c/f', ['{ cache = "/c" }'])]);
  const pipe = path.join(kiln.account.folder('pipes'), 'pipe');
  await kiln.account.run(['mkfifo', pipe]);

  const read = kiln.account.run(['timeout', '60', 'tar', '-tf', pipe]);
  await kiln.ok(['cache', 'export', '-o', pipe]);

  expect(await kiln.run(['cache', 'import', path.dirname(pipe)])).toMatchObject({ status: 2, stdout: '' });
  expect((await read).stdout).toContain('caches/0/f');
  expect(lstatSync(pipe).isFIFO()).toBe(true);
});

it.skipIf(missing(...needs))('caches go through a pipe', async () => {
  await using kiln = await openKiln('unprivileged');
  await withBase(kiln);
  await kiln.ok(['build', '-q', mounted(kiln, 'dd if=/dev/zero of=/c/f bs=1M count=5', ['{ cache = "/c" }'])]);
  const other = kiln.withStore('other');
  const program = path.join(path.dirname(path.dirname(import.meta.dirname)), 'bin', 'kiln');

  const piped = await kiln.account.run([
    'sh',
    '-c',
    `KILN_HOME=${kiln.store} ${program} cache export -o - | KILN_HOME=${other.store} ${program} cache import -`,
  ]);

  expect(piped).toMatchObject({ status: 0 });
  expect(await other.ok(['cache', 'ls'])).toMatch(/\/c +linux\/\S+ +5\.\d+MB/);
});

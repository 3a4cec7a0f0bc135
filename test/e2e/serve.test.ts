import type { ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Account, accountKinds } from '../account.ts';
import { makeAuthority, makeCertificate } from '../certificates.ts';
import { registryHtpasswd, registryUser } from '../docker-registry.ts';
import { missing } from '../requirements.ts';
import { busyboxProject, finished, type Kiln, openKiln } from './kiln.ts';
import { openPodman, skopeoInspect } from './peers.ts';

const needs = ['busybox', 'unprivileged-user', 'overlay'] as const;
const insecure = ['--insecure-policy', '--src-tls-verify=false', '--dest-tls-verify=false'] as const;

interface Served extends AsyncDisposable {
  readonly host: string;
  readonly url: string;
  readonly child: ChildProcess;
  /** Status and all that was written, once it ended by SIGTERM. */
  stop(): Promise<{ readonly status: number; readonly stdout: string; readonly stderr: string }>;
}

/** `kiln serve` on a free port, once it says that it listens. */
async function serve(kiln: Kiln, flags: readonly string[] = []): Promise<Served> {
  const child = kiln.start(['serve', '--listen', '127.0.0.1:0', ...flags]);
  const outcome = finished(child);
  const url = await Promise.race([
    firstMatch(child, /^listening on (\S+)$/m),
    outcome.then(({ stderr }) => Promise.reject(new Error(`kiln serve ended: ${stderr}`))),
  ]);
  const stop: Served['stop'] = () => {
    child.kill('SIGTERM');
    return outcome;
  };
  return { url, host: new URL(url).host, child, stop, [Symbol.asyncDispose]: async () => void (await stop()) };
}

async function firstMatch(child: ChildProcess, pattern: RegExp): Promise<string> {
  let text = '';
  for (;;) {
    const [chunk] = await once(child.stdout ?? child, 'data');
    text += String(chunk);
    const [, found] = pattern.exec(text) ?? [];
    if (found !== undefined) return found;
  }
}

async function ok(account: Account, argv: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await account.run(argv);
  if (status === 0) return stdout;
  throw new Error(`${argv.join(' ')} ended with ${status}: ${stderr}`);
}

/** Of the process itself: bin/kiln becomes Node. */
function peakMegabytes({ pid }: ChildProcess): number {
  const [, kilobytes = ''] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes || Number.NaN) / 1024;
}

describe.each(accountKinds())('kiln serve as %s', (kind) => {
  it.skipIf(missing(...needs, 'skopeo'))(
    'takes and gives images: kiln pushes, skopeo copies on, an empty store pulls and runs',
    async () => {
      await using kiln = await openKiln(kind);
      await using served = await serve(kiln);
      const name = `${served.host}/org/app`;
      await kiln.ok(['build', '-t', `${name}:1`, busyboxProject(kiln.account, 'app')]);
      await kiln.ok(['push', `${name}:1`]);

      await ok(kiln.account, [
        'skopeo',
        'copy',
        ...insecure,
        '--quiet',
        `docker://${name}:1`,
        `docker://${name}-copy:2`,
      ]);
      const copied = await skopeoInspect(kiln.account, `docker://${name}-copy:2`);
      const original = await skopeoInspect(kiln.account, `docker://${name}:1`);
      // Docker's own types, as its daemon pushes them.
      await ok(kiln.account, [
        'skopeo',
        'copy',
        ...insecure,
        '--quiet',
        '--format',
        'v2s2',
        `docker://${name}:1`,
        `docker://${name}:docker`,
      ]);
      expect(await kiln.ok(['pull', '--quiet', `${name}:docker`])).toMatch(/sha256:|docker/);
      const other = kiln.withStore('other');
      await other.ok(['pull', `${name}-copy:2`]);
      const ran = await other.ok(['run', '--rm', `${name}-copy:2`, '/bin/busybox', 'echo', 'hello']);

      expect(copied.Digest).toBe(original.Digest);
      expect(ran).toBe('hello\n');
      const { status, stderr } = await served.stop();
      expect(status).toBe(0);
      expect(stderr).toMatch(/ PUT \/v2\/org\/app\/manifests\/1 201 /);
    },
  );

  it.skipIf(missing(...needs))('gives what was just built, from the store', async () => {
    await using kiln = await openKiln(kind);
    await kiln.ok(['build', '-t', 'site:1.2', busyboxProject(kiln.account, 'app')]);
    await using served = await serve(kiln, ['--store']);
    const other = kiln.withStore('other');

    await other.ok(['pull', `${served.host}/site:1.2`]);

    expect(await other.digest(`${served.host}/site:1.2`)).toBe(await kiln.digest('site:1.2'));
    const refused = await kiln.run(['push', 'site:1.2', `${served.host}/site:2`]);
    expect(refused.status).not.toBe(0);
  });

  it('goes on with an upload after kill -9', async () => {
    await using kiln = await openKiln(kind);
    const bytes = randomBytes(8 * 1024 * 1024);
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    const first = await serve(kiln);
    const begun = await fetch(`${first.url}/v2/web/blobs/uploads/`, { method: 'POST' });
    const location = begun.headers.get('location') ?? '';
    const half = bytes.subarray(0, 5 * 1024 * 1024);
    // The rest of this request never comes.
    const body = new ReadableStream({ start: (controller) => controller.enqueue(half) });
    const hanging = fetch(first.url + location, { method: 'PATCH', body, duplex: 'half' } as RequestInit).catch(
      () => undefined,
    );
    const uploaded = async () => (await fetch(first.url + location)).headers.get('range');
    await expect.poll(uploaded, { timeout: 30_000 }).toBe(`0-${half.byteLength - 1}`);
    first.child.kill('SIGKILL');
    await Promise.all([hanging, first.stop()]);

    await using second = await serve(kiln);
    const status = await fetch(second.url + location);
    const rest = await fetch(second.url + location, {
      method: 'PATCH',
      headers: { 'Content-Range': `${half.byteLength}-${bytes.byteLength - 1}` },
      body: bytes.subarray(half.byteLength),
    });
    const done = await fetch(`${second.url}${location}?digest=${digest}`, { method: 'PUT' });

    expect(status.headers.get('range')).toBe(`0-${half.byteLength - 1}`);
    expect([rest.status, done.status]).toEqual([202, 201]);
    const blob = await fetch(`${second.url}/v2/web/blobs/${digest}`);
    expect(Buffer.from(await blob.arrayBuffer()).equals(bytes)).toBe(true);
  });

  it('needs no more memory for a large upload', async () => {
    await using kiln = await openKiln(kind);
    await using served = await serve(kiln, ['--quiet']);
    const part = randomBytes(1024 * 1024);
    const hash = createHash('sha256');
    const begun = await fetch(`${served.url}/v2/web/blobs/uploads/`, { method: 'POST' });
    const location = served.url + (begun.headers.get('location') ?? '');
    let left = 400;
    const body = new ReadableStream({
      pull(controller) {
        hash.update(part);
        controller.enqueue(part);
        if (--left === 0) controller.close();
      },
    });

    const sent = await fetch(location, { method: 'PATCH', body, duplex: 'half' } as RequestInit);
    const done = await fetch(`${location}?digest=sha256:${hash.digest('hex')}`, { method: 'PUT' });

    expect([sent.status, done.status]).toEqual([202, 201]);
    expect(peakMegabytes(served.child)).toBeLessThan(200);
  });

  it.skipIf(missing('skopeo'))('lets in who has a password, over TLS of a private authority', async () => {
    await using kiln = await openKiln(kind);
    const folder = kiln.account.folder('tls');
    const authority = await makeAuthority(folder, 'ca');
    const { certificate, key } = await makeCertificate(folder, 'registry', authority);
    // The account reads them; openssl ran as whoever runs the tests.
    for (const file of [certificate, key, authority.certificate]) {
      writeFileSync(path.join(folder, `${path.basename(file)}.crt`), readFileSync(file), { mode: 0o644 });
    }
    writeFileSync(path.join(folder, 'users'), registryHtpasswd);
    const tls = ['--tls-cert', `${certificate}.crt`, '--tls-key', path.join(folder, 'registry.key.crt')];
    await using served = await serve(kiln, [...tls, '--htpasswd', path.join(folder, 'users')]);
    const trusted = kiln.account.folder('trusted');
    writeFileSync(path.join(trusted, 'ca.crt'), readFileSync(authority.certificate), { mode: 0o644 });
    const list = (credentials: string) =>
      kiln.account.run([
        'skopeo',
        'list-tags',
        '--cert-dir',
        trusted,
        '--creds',
        credentials,
        `docker://${served.host}/web`,
      ]);

    const stranger = await list('kiln:wrong');
    const known = await list(`${registryUser.username}:${registryUser.secret}`);
    const { stderr } = await served.stop();

    expect(served.url).toMatch(/^https:/);
    expect(stranger.stderr).toMatch(/unauthorized|authentication required/i);
    // Nobody pushed there yet.
    expect(known.stderr).toContain('404');
    expect(stderr).not.toMatch(/wrong|correct horse/);
  });

  it('tells what it does as JSON, and ends with 0', async () => {
    await using kiln = await openKiln(kind);
    const child = kiln.start(['serve', '--listen', '127.0.0.1:0', '--json']);
    const outcome = finished(child);
    const { listening, host } = JSON.parse(await firstMatch(child, /^(.*)\n/)) as { listening: string; host: string };
    await fetch(`${listening}/v2/`);

    child.kill('SIGINT');
    const { status, stderr } = await outcome;

    expect(host).toBe(new URL(listening).host);
    expect(status).toBe(0);
    expect(JSON.parse(stderr.trim())).toMatchObject({ method: 'GET', target: '/v2/', status: 200 });
  });

  it('collects garbage without serving, and not beside a server', async () => {
    await using kiln = await openKiln(kind);
    const served = await serve(kiln);
    const bytes = 'nothing leads here';
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    await fetch(`${served.url}/v2/web/blobs/uploads/?digest=${digest}`, { method: 'POST', body: bytes });

    const beside = await kiln.run(['serve', '--gc']);
    await served.stop();
    const early = await kiln.ok(['serve', '--gc']);
    const late = await kiln.ok(['serve', '--gc', '--gc-grace', '0']);

    expect([beside.status, beside.stderr]).toEqual([5, expect.stringContaining('another process serves')]);
    expect(early).toContain(': 0 blobs');
    expect(late).toContain(': 1 blobs');
  });

  it.each([
    [['--listen', 'nonsense'], 2],
    [['--store', '--root', 'x'], 2],
    [['--tls-cert', 'absent.pem'], 2],
    [['--token-realm', 'http://127.0.0.1/token'], 2],
    [['--webhook', 'http://hooks.example/secret'], 2],
    [['--htpasswd', 'absent'], 2],
    [['--listen', '192.0.2.1:5000'], 5],
  ])('refuses %j', async (flags, status) => {
    await using kiln = await openKiln(kind);

    const outcome = await kiln.run(['serve', ...flags]);

    expect(outcome.status).toBe(status);
    expect(outcome.stderr).toMatch(/^kiln: /m);
    expect(outcome.stderr).not.toContain('hooks.example/secret');
  });
});

describe.skipIf(missing(...needs, 'podman'))('kiln serve and podman', () => {
  it('podman runs what kiln pushed, and pushes what kiln runs', async () => {
    await using kiln = await openKiln('unprivileged');
    await using served = await serve(kiln);
    const name = `${served.host}/org/app:1`;
    await kiln.ok(['build', '-t', name, busyboxProject(kiln.account, 'app')]);
    await kiln.ok(['push', name]);
    await using podman = openPodman(kiln.account);

    const ran = await podman.run(name, ['/bin/busybox', 'echo', 'by podman']);
    await podman.push(name, `${served.host}/org/again:1`);
    const again = await kiln.ok(['run', '--rm', `${served.host}/org/again:1`, '/bin/busybox', 'echo', 'by kiln']);

    expect(ran).toBe('by podman\n');
    expect(again).toBe('by kiln\n');
  });
});

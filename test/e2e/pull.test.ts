import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type Descriptor, formatPlatform, type Platform, sha256 } from '../../core/index.ts';
import { type Account, accountKinds } from '../account.ts';
import { startDockerRegistry } from '../docker-registry.ts';
import { noise, openLoopbackRepository, putImage, putIndex } from '../registry-images.ts';
import { findProgram, missing } from '../requirements.ts';
import { openSlowRegistry } from '../slow-registry.ts';
import { finished, type Kiln, openKiln } from './kiln.ts';

const needs = ['docker-registry', 'busybox', 'unprivileged-user', 'overlay'] as const;
const bigBytes = 64 * 1024 * 1024;
const amd64: Platform = { os: 'linux', architecture: 'amd64' };
const arm64: Platform = { os: 'linux', architecture: 'arm64' };

/** A tar of /bin/busybox and the like, with a file that makes it differ from others. */
function busyboxTar(account: Account, mark: string): Buffer {
  const folder = account.folder(`root-${mark}`);
  mkdirSync(path.join(folder, 'bin'), { recursive: true });
  const busybox = findProgram('busybox') ?? '';
  cpSync(busybox, path.join(folder, 'bin', 'busybox'));
  for (const name of ['sh', 'cat', 'sha256sum']) cpSync(busybox, path.join(folder, 'bin', name));
  execFileSync('sh', ['-c', `echo ${mark} > ${folder}/mark`]);
  return execFileSync('tar', ['--numeric-owner', '--owner=0', '--group=0', '-C', folder, '-cf', '-', '.'], {
    maxBuffer: 1 << 30,
  });
}

/** A tar with one file of bytes that do not compress. */
function bigTar(account: Account): Buffer {
  const folder = account.folder('big');
  execFileSync('sh', ['-c', `cat > ${folder}/big`], { input: noise(bigBytes, 'big') });
  return execFileSync('tar', ['--numeric-owner', '--owner=0', '--group=0', '-C', folder, '-cf', '-', '.'], {
    maxBuffer: 1 << 30,
  });
}

/** Bytes that lie in the store for blobs on their way in. */
function incomingBytes(kiln: Kiln): number {
  const folder = path.join(kiln.store, 'content', '.incoming');
  try {
    return readdirSync(folder).reduce((sum, name) => sum + statSync(path.join(folder, name)).size, 0);
  } catch {
    return 0;
  }
}

describe.each(accountKinds())('kiln pull as %s', (kind) => {
  it.skipIf(missing(...needs))('killed in the middle of a layer, fetches only the rest the next time', async () => {
    await using registry = await startDockerRegistry();
    await using kiln = await openKiln(kind);
    const tar = bigTar(kiln.account);
    await publish(`${registry.host}/big:1`, (repository) =>
      putImage(repository, { layers: [tar], form: { types: 'oci', compression: 'none' } }),
    );
    const holdAfter = 24 * 1024 * 1024;
    await using slow = await openSlowRegistry(registry.host, { digest: sha256(tar), holdAfter });
    const name = `${slow.host}/big:1`;

    const child = kiln.start(['pull', '--plain-http', name]);
    const outcome = finished(child);
    while (incomingBytes(kiln) < holdAfter / 2 && child.exitCode === null) await delay(20);
    child.kill('SIGKILL');
    await outcome;
    const kept = incomingBytes(kiln);
    const used = JSON.parse(await kiln.ok(['prune', '--dry-run', '--json'])) as { removed: { id: string }[] };
    slow.release();
    await kiln.ok(['pull', '--plain-http', name]);

    expect(kept).toBeGreaterThan(0);
    expect(used.removed.map(({ id }) => id).join()).toContain(sha256(tar).slice(7));
    expect(slow.downloads).toHaveLength(2);
    expect(slow.downloads[1]).toEqual({ from: kept, sent: tar.length - kept });
    expect(incomingBytes(kiln)).toBe(0);
    expect(
      execFileSync('sha256sum', [path.join(kiln.store, 'content/blobs/sha256', sha256(tar).slice(7))]).toString(),
    ).toContain(sha256(tar).slice(7));
  });

  it.skipIf(missing(...needs))('prunes what came of a layer that nobody asks for again', async () => {
    await using registry = await startDockerRegistry();
    await using kiln = await openKiln(kind);
    const tar = bigTar(kiln.account);
    await publish(`${registry.host}/big:1`, (repository) =>
      putImage(repository, { layers: [tar], form: { types: 'oci', compression: 'none' } }),
    );
    await using slow = await openSlowRegistry(registry.host, { digest: sha256(tar), holdAfter: 8 * 1024 * 1024 });

    const child = kiln.start(['pull', '--plain-http', `${slow.host}/big:1`]);
    const outcome = finished(child);
    while (incomingBytes(kiln) < 4 * 1024 * 1024 && child.exitCode === null) await delay(20);
    child.kill('SIGINT');
    const ended = await outcome;
    const df = JSON.parse(await kiln.ok(['df', '--json'])) as object;
    await kiln.ok(['prune']);

    expect(ended.status).toBe(130);
    expect(JSON.stringify(df)).toContain('garbage');
    expect(incomingBytes(kiln)).toBe(0);
  });

  it.skipIf(missing(...needs))('takes several names, and platforms one, several or all', async () => {
    await using registry = await startDockerRegistry();
    await using kiln = await openKiln(kind);
    const [both, single] = [`${registry.host}/both:1`, `${registry.host}/single:1`];
    const images: Descriptor[] = [];
    const index = await publish(both, async (repository) => {
      const entries = [];
      for (const platform of [amd64, arm64]) {
        const tar = busyboxTar(kiln.account, platform.architecture);
        const image = await putImage(repository, { layers: [tar], platform });
        images.push(image);
        entries.push({ ...image, platform });
      }
      return putIndex(repository, entries);
    });
    const one = await publish(single, (repository) =>
      putImage(repository, { layers: [busyboxTar(kiln.account, 'single')] }),
    );

    const quiet = await kiln.ok(['pull', '-q', '-j', '2', both, single]);
    const json = await kiln.ok(['pull', '--json', both]);
    const format = await kiln.ok(['pull', '--format', '{{.digest}} {{.moved}}', single]);
    const first = await kiln.digest(both);
    await kiln.ok(['pull', '--platform', formatPlatform(arm64), both]);
    const second = await kiln.digest(both);
    const sparse = kiln.withStore('sparse');
    await sparse.ok(['pull', '--platform', 'linux/arm64,linux/arm64', both]);
    const whole = kiln.withStore('whole');
    await whole.ok(['pull', '--all-platforms', both]);
    const again = await whole.ok(['pull', '--all-platforms', '--json', both]);

    expect(quiet).toBe(`${both}\n${single}\n`);
    expect(JSON.parse(json)).toEqual({ name: both, digest: index.digest, size: index.size, moved: false });
    expect(format).toBe(`${one.digest} false\n`);
    expect([first, second]).toEqual(images.map(({ digest }) => digest));
    expect([await sparse.digest(both), await whole.digest(both)]).toEqual([index.digest, index.digest]);
    expect(JSON.parse(again)).toMatchObject({ moved: false });
    expect(await kiln.run(['pull', '--platform', 'linux/s390x', both])).toMatchObject({
      status: 7,
      stderr: expect.stringContaining('linux/s390x'),
    });
    for (const wrong of [
      ['--all-platforms', '--platform', 'linux/amd64'],
      ['-j', '0'],
      ['--platform', '!'],
    ]) {
      expect(await kiln.run(['pull', ...wrong, both])).toMatchObject({ status: 2 });
    }
  });

  it.skipIf(missing(...needs))('unpacks as it comes, and refuses layers that unpack to something else', async () => {
    await using registry = await startDockerRegistry();
    await using kiln = await openKiln(kind);
    const [honest, lying] = [`${registry.host}/honest:1`, `${registry.host}/lying:1`];
    const layers = [busyboxTar(kiln.account, 'lower'), busyboxTar(kiln.account, 'upper')];
    await publish(honest, (repository) =>
      putImage(repository, { layers, form: { types: 'docker', compression: 'gzip' } }),
    );
    const diffIds = [sha256(layers[0] ?? ''), sha256('something else')];
    await publish(lying, (repository) => putImage(repository, { layers, diffIds }));

    await kiln.ok(['pull', '--unpack', honest]);
    const unpacked = readdirSync(path.join(kiln.store, 'snapshots', 'v1'));
    const ran = await kiln.ok(['run', '--rm', honest, 'cat', '/mark']);
    const after = readdirSync(path.join(kiln.store, 'snapshots', 'v1'));
    const refused = await kiln.run(['pull', '--unpack', lying]);
    await kiln.ok(['pull', lying]);
    const notRun = await kiln.run(['run', '--rm', lying, 'cat', '/mark']);

    expect(ran).toBe('upper\n');
    expect(unpacked).toHaveLength(2);
    expect(after).toEqual(unpacked);
    expect(refused).toMatchObject({ status: 6, stderr: expect.stringContaining('unpacks to') });
    expect(notRun.status).not.toBe(0);
    expect(notRun.stderr).toContain('unpacks to');
  });
});

/** Puts an image into a registry, under a name. */
async function publish(
  name: string,
  put: (repository: ReturnType<typeof openLoopbackRepository>) => Promise<Descriptor>,
): Promise<Descriptor> {
  const repository = openLoopbackRepository(name);
  const descriptor = await put(repository);
  await repository.tag(descriptor, name.slice(name.lastIndexOf(':') + 1));
  return descriptor;
}

import { createCipheriv } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Account } from '../account.ts';
import { registryUser, startDockerRegistry } from '../docker-registry.ts';
import { missing } from '../requirements.ts';
import { startUploadProxy } from '../upload-proxy.ts';
import { type Kiln, openKiln, project } from './kiln.ts';

const mebibyte = 1024 * 1024;
const layerBytes = 40 * mebibyte;
/** What goes in one request. */
const chunkBytes = 5 * mebibyte;

/** An image of one layer that does not get smaller. */
async function buildLarge(kiln: Kiln, name: string): Promise<void> {
  const buildfile = 'from = "scratch"\n[[steps]]\ncopy = "data"\nto = "/data"\n';
  const folder = project(kiln.account, 'large', { Buildfile: buildfile });
  const noise = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(layerBytes));
  writeFileSync(path.join(folder, 'data'), noise);
  await kiln.ok(['build', '--no-lock', '-q', '-t', name, folder]);
}

/** Digest of what another machine gets; pulling checks each byte. */
async function pulledDigest(kiln: Kiln, name: string): Promise<string> {
  const other = kiln.withStore('other');
  await other.ok(['pull', '-q', name]);
  return other.digest(name);
}

const cases: readonly (readonly [Account['kind'], string])[] = [
  ['root', 'zstd'],
  ['unprivileged', 'gzip'],
];

describe.skipIf(missing('docker-registry', 'root', 'unprivileged-user'))('a push', () => {
  it.each(cases)('of %s that was killed sends only what is missing the next time: %s', async (kind, compression) => {
    await using kiln = await openKiln(kind);
    await using registry = await startDockerRegistry();
    await using proxy = await startUploadProxy(registry.host);
    const name = `${proxy.host}/large:1`;
    await buildLarge(kiln, name);

    const held = proxy.holdAtPatch(4);
    const first = kiln.start(['push', '--compression', compression, name]);
    await held;
    const ended = once(first, 'exit');
    if (first.pid !== undefined) process.kill(-first.pid, 'SIGKILL');
    await ended;
    proxy.drop();
    const before = proxy.sent();
    const digest = await kiln.ok(['push', '-q', '--compression', compression, name]);
    const after = proxy.sent() - before;

    expect(before).toBeGreaterThan(3 * chunkBytes);
    expect(after).toBeLessThan(layerBytes - 3 * chunkBytes + mebibyte);
    expect(await pulledDigest(kiln, name)).toBe(digest.trim());
  });

  it('survives connections that break in the middle, and says nothing wrong', async () => {
    await using kiln = await openKiln('root');
    await using registry = await startDockerRegistry();
    await using proxy = await startUploadProxy(registry.host);
    const name = `${proxy.host}/large:1`;
    await buildLarge(kiln, name);

    proxy.cutAfter(2.5 * chunkBytes);
    const digest = await kiln.ok(['push', '-q', name]);

    expect(proxy.cuts()).toBe(1);
    expect(await pulledDigest(kiln, name)).toBe(digest.trim());
  });

  it('again asks one question, and compresses nothing', async () => {
    await using kiln = await openKiln('root');
    await using registry = await startDockerRegistry();
    await using proxy = await startUploadProxy(registry.host);
    const name = `${proxy.host}/large:1`;
    await buildLarge(kiln, name);
    const digest = await kiln.ok(['push', '-q', name]);

    const before = { head: proxy.requests('HEAD'), put: proxy.requests('PUT'), get: proxy.requests('GET') };
    const again = await kiln.ok(['push', '-q', name]);

    expect(again).toBe(digest);
    expect(proxy.requests('HEAD') - before.head).toBe(1);
    expect(proxy.requests('PUT') - before.put).toBe(0);
    expect(proxy.requests('GET') - before.get).toBe(0);
  });

  it('to another repository of the registry moves no layer', async () => {
    await using kiln = await openKiln('root');
    await using registry = await startDockerRegistry({ auth: 'htpasswd' });
    await using proxy = await startUploadProxy(registry.host);
    const name = `${proxy.host}/large:1`;
    await buildLarge(kiln, name);
    const creds = ['--creds', `${registryUser.username}:${registryUser.secret}`];
    const digest = await kiln.ok(['push', '-q', ...creds, name]);

    const before = proxy.sent();
    const { stdout, stderr } = await kiln.run(['push', ...creds, name, `docker://${proxy.host}/team/other:2`]);

    expect(stdout).toContain(digest.trim());
    expect(stderr).toContain('Mounted from another repository');
    expect(proxy.sent() - before).toBeLessThan(mebibyte);
  });
});

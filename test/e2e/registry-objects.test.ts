import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { accountKinds } from '../account.ts';
import { startDockerRegistry } from '../docker-registry.ts';
import { findProgram, missing } from '../requirements.ts';
import { type Kiln, openKiln, project } from './kiln.ts';

const ociManifest = 'application/vnd.oci.image.manifest.v1+json';
const ociIndex = 'application/vnd.oci.image.index.v1+json';
const digestOf = (bytes: string): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

/** Puts an image of one small layer into a repository by plain requests; its digest. */
async function putImage(host: string, repository: string, tag: string, architecture: string): Promise<string> {
  const layer = `layer for ${architecture}`;
  const config = JSON.stringify({ os: 'linux', architecture, rootfs: { type: 'layers', diff_ids: [digestOf(layer)] } });
  for (const blob of [layer, config]) {
    const started = await fetch(`http://${host}/v2/${repository}/blobs/uploads/`, { method: 'POST' });
    await fetch(`${started.headers.get('location')}&digest=${digestOf(blob)}`, { method: 'PUT', body: blob });
  }
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: ociManifest,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(config), size: config.length },
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: digestOf(layer), size: layer.length }],
  });
  const put = await fetch(`http://${host}/v2/${repository}/manifests/${tag}`, {
    method: 'PUT',
    headers: { 'content-type': ociManifest },
    body: manifest,
  });
  if (put.status !== 201) throw new Error(`the registry answered ${put.status}`);
  return digestOf(manifest);
}

const lines = (text: string): string[] => text.trimEnd().split('\n').sort();

describe.each(accountKinds())('objects of a registry, as %s', (kind) => {
  const test = it.skipIf(missing('docker-registry', 'unprivileged-user'));

  test('kiln repo lists repositories and tags', async () => {
    await using kiln = await openKiln(kind);
    await using registry = await startDockerRegistry();
    const { host } = registry;
    const digest = await putImage(host, 'team/web', '1.0', 'amd64');
    await putImage(host, 'team/web', 'latest', 'amd64');
    await putImage(host, 'team/web', '2.0', 'arm64');
    await putImage(host, 'team/web', digest.replace(':', '-'), 'arm64');
    await putImage(host, 'teams', '1', 'amd64');

    expect(lines(await kiln.ok(['repo', 'ls', host]))).toEqual(['team/web', 'teams']);
    expect(lines(await kiln.ok(['repo', 'ls', `${host}/team`]))).toEqual(['team/web']);
    expect(lines(await kiln.ok(['repo', 'tags', `${host}/team/web`, '--exclude-digest-tags']))).toEqual([
      '1.0',
      '2.0',
      'latest',
    ]);
    expect(lines(await kiln.ok(['repo', 'tags', `${host}/team/web@${digest}`]))).toEqual(['1.0', 'latest']);
    const template = '{{range .tags}}{{.}}{{"\\n"}}{{end}}';
    expect(lines(await kiln.ok(['repo', 'tags', `${host}/team/web`, '--format', template]))).toHaveLength(4);
    expect(JSON.parse(await kiln.ok(['repo', 'ls', host, '--json']))).toEqual({
      registry: host,
      repositories: ['team/web', 'teams'],
    });
    expect((await kiln.run(['repo', 'tags', `${host}/none`])).status).toBe(7);
    expect((await kiln.run(['repo', 'tags', `${host}/team/web:1.0`])).status).toBe(2);
  });

  test('kiln digest says what a name means', async () => {
    await using kiln = await openKiln(kind);
    await using registry = await startDockerRegistry();
    const { host } = registry;
    const digest = await putImage(host, 'web', '1', 'amd64');

    expect(await kiln.ok(['digest', `${host}/web:1`])).toBe(`${digest}\n`);
    expect(await kiln.ok(['digest', '--full-ref', `docker://${host}/web:1`])).toBe(`${host}/web@${digest}\n`);
    expect(await kiln.ok(['digest', `${host}/web:1`, '--format', '{{.Digest}} {{.size}}'])).toMatch(
      /^sha256:\w+ \d+\n$/,
    );
    expect((await kiln.run(['digest', `${host}/web:2`])).status).toBe(7);
    const unknown = await kiln.run(['digest', `${host}/web:1`, '--format', '{{.digset}}']);
    expect(unknown.status).toBe(2);
    expect(unknown.stderr).toContain('it has name, mediaType, digest, size');
    if (findProgram('skopeo') === undefined) return;
    const skopeo = await kiln.account.run([
      'skopeo',
      'inspect',
      '--tls-verify=false',
      '--format',
      '{{.Digest}}',
      `docker://${host}/web:1`,
    ]);
    expect(skopeo.stdout.trim()).toBe(digest);
  });

  test('kiln manifest gets, puts and deletes manifests as they are', async () => {
    await using kiln = await openKiln(kind);
    await using registry = await startDockerRegistry();
    const { host } = registry;
    const digest = await putImage(host, 'web', '1', 'amd64');
    const cwd = kiln.account.folder('work');

    const raw = await kiln.ok(['manifest', 'get', `${host}/web:1`]);
    expect(digestOf(raw)).toBe(digest);
    await kiln.ok(['manifest', 'get', `${host}/web:1`, '-o', 'm.json'], { cwd });
    expect(readFileSync(path.join(cwd, 'm.json'), 'utf8')).toBe(raw);
    expect(await kiln.ok(['manifest', 'get', '--pretty', `${host}/web:1`])).toBe(
      `${JSON.stringify(JSON.parse(raw), undefined, 2)}\n`,
    );
    expect(JSON.parse(await kiln.ok(['manifest', 'get', '--descriptor', `${host}/web:1`]))).toEqual({
      mediaType: ociManifest,
      digest,
      size: raw.length,
    });

    expect(await kiln.ok(['manifest', 'put', `${host}/web:2`, 'm.json'], { cwd })).toBe(`${digest}\n`);
    expect(await kiln.ok(['digest', `${host}/web:2`])).toBe(`${digest}\n`);
    writeFileSync(path.join(cwd, 'no.json'), '{}');
    expect((await kiln.run(['manifest', 'put', `${host}/web:3`, 'no.json'], { cwd })).status).toBe(2);
    expect((await kiln.run(['manifest', 'put', `${host}/web@${digestOf('other')}`, 'm.json'], { cwd })).status).toBe(2);

    const tagged = await kiln.run(['manifest', 'rm', `${host}/web:2`]);
    expect(tagged.status).toBe(4);
    expect(tagged.stderr).toContain(`kiln manifest rm ${host}/web@${digest}`);
    expect(await kiln.ok(['manifest', 'rm', `${host}/web@${digest}`])).toBe(`Deleted ${host}/web@${digest}\n`);
    expect((await kiln.run(['manifest', 'rm', `${host}/web@${digest}`])).status).toBe(7);
    expect((await kiln.run(['manifest', 'rm', '--force', `${host}/web@${digest}`])).status).toBe(0);
    expect((await kiln.run(['digest', `${host}/web:1`])).status).toBe(7);
  });

  test('kiln manifest index puts images together, from here and elsewhere', async () => {
    await using kiln = await openKiln(kind);
    await using registry = await startDockerRegistry();
    const { host } = registry;
    const amd64 = await putImage(host, 'web', '1-amd64', 'amd64');
    const arm64 = await putImage(host, 'builds/arm', '1', 'arm64');
    const cwd = kiln.account.folder('work');
    const name = `${host}/web:1`;

    await kiln.ok(['manifest', 'index', name, '1-amd64', `${host}/builds/arm:1`, '-a', 'a=b']);
    expect(JSON.parse(await kiln.ok(['manifest', 'get', name]))).toMatchObject({
      mediaType: ociIndex,
      annotations: { a: 'b' },
      manifests: [
        { digest: amd64, platform: { os: 'linux', architecture: 'amd64' } },
        { digest: arm64, platform: { os: 'linux', architecture: 'arm64' } },
      ],
    });
    expect(await kiln.ok(['digest', '--platform', 'linux/arm64', name])).toBe(`${arm64}\n`);
    expect((await kiln.run(['digest', '--platform', 'linux/s390x', name])).status).toBe(7);

    const newer = await putImage(host, 'web', '2-arm64', 'arm64');
    expect(newer).toBe(arm64);
    await kiln.ok(['manifest', 'index', name, '--remove', 'linux/amd64']);
    const platforms = '{{range .manifests}}{{.platform.architecture}} {{end}}';
    expect(await kiln.ok(['manifest', 'get', name, '--format', platforms])).toBe('arm64 \n');
    await kiln.ok(['manifest', 'index', name, '--append', amd64]);
    expect(await kiln.ok(['manifest', 'get', name, '--format', platforms])).toBe('arm64 amd64 \n');
    expect((await kiln.run(['manifest', 'index', name, '--remove', 'linux/s390x'])).status).toBe(2);
    expect((await kiln.run(['manifest', 'index', `${host}/web:1-amd64`, '--append', amd64])).status).toBe(2);

    await kiln.ok(['manifest', 'index', 'oci:layout:all', name], { cwd });
    expect(lines(await kiln.ok(['repo', 'tags', 'oci:layout'], { cwd }))).toEqual(['all']);
    if (findProgram('skopeo') === undefined) return;
    const copied = await kiln.account.run(['skopeo', 'copy', '--all', 'oci:layout:all', 'oci:again:all'], { cwd });
    expect([copied.status, copied.stderr]).toEqual([0, '']);
    await kiln.ok(['manifest', 'rm', 'oci:layout:all'], { cwd });
    expect(await kiln.ok(['repo', 'tags', 'oci:layout'], { cwd })).toBe('');
  });

  test('kiln blob gets, puts and deletes contents by digest', async () => {
    await using kiln = await openKiln(kind);
    await using registry = await startDockerRegistry();
    const { host } = registry;
    const cwd = project(kiln.account, 'work', { 'notes.txt': 'notes\n' });
    const digest = digestOf('notes\n');

    expect(await kiln.ok(['blob', 'put', `${host}/web`, 'notes.txt'], { cwd })).toBe(`${digest}\n`);
    expect(
      JSON.parse(
        await kiln.ok(['blob', 'put', `${host}/web`, 'notes.txt', '--media-type', 'text/plain', '--json'], { cwd }),
      ),
    ).toEqual({ name: `${host}/web`, mediaType: 'text/plain', digest, size: 6 });
    expect(await kiln.ok(['blob', 'get', `${host}/web@${digest}`])).toBe('notes\n');
    await kiln.ok(['blob', 'get', `${host}/web@${digest}`, '-o', 'copy.txt'], { cwd });
    expect(readFileSync(path.join(cwd, 'copy.txt'), 'utf8')).toBe('notes\n');

    const absent = await kiln.run(['blob', 'get', `${host}/web@${digestOf('absent')}`, '-o', 'absent'], { cwd });
    expect(absent.status).toBe(7);
    expect(existsSync(path.join(cwd, 'absent'))).toBe(false);
    await kiln.ok(['blob', 'rm', `${host}/web@${digest}`]);
    expect((await kiln.run(['blob', 'rm', `${host}/web@${digest}`])).status).toBe(7);
    expect((await kiln.run(['blob', 'get', `${host}/web:1`])).status).toBe(2);
  });

  it('what is in the store is shown by a template', async () => {
    await using kiln = await openKiln(kind);
    await fillStore(kiln);

    expect(await kiln.ok(['images', '--format', '{{.Repository}}:{{.Tag}}'])).toBe('notes:1\n');
    expect(await kiln.ok(['images', '--format', 'table {{.Repository}}\\t{{.Tag}}'])).toBe(
      'REPOSITORY   TAG\nnotes        1\n',
    );
    expect(await kiln.ok(['version', '--format', '{{.os}}'])).toBe('linux\n');
    expect(await kiln.ok(['digest', 'kiln:notes:1'])).toMatch(/^sha256:\w{64}\n$/);
    expect((await kiln.run(['images', '--format', '{{.nope}}'])).status).toBe(2);
  });
});

async function fillStore(kiln: Kiln): Promise<void> {
  const cwd = project(kiln.account, 'notes', { 'notes.txt': 'notes\n' });
  await kiln.ok(['artifact', 'push', 'kiln:notes:1', 'notes.txt'], { cwd });
}

import { createHash } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { accountKinds } from '../account.ts';
import { startDockerRegistry } from '../docker-registry.ts';
import { missing } from '../requirements.ts';
import { type Kiln, openKiln, project } from './kiln.ts';

interface Pushed {
  readonly digest: string;
  readonly artifactType?: string;
  readonly files: readonly { readonly title: string; readonly digest: string; readonly mediaType: string }[];
}

/** A folder with everything that an artifact can hold, and a file beside it. */
function sources(kiln: Kiln): string {
  const folder = project(kiln.account, 'sources', {
    'docs/a.txt': 'A\n',
    'docs/sub/run.sh': '#!/bin/sh\n',
    'docs/ünïcode name': 'u',
    'README.md': 'read me\n',
    'sbom.json': '{"name":"sbom"}',
  });
  mkdirSync(path.join(folder, 'docs/empty'));
  chmodSync(path.join(folder, 'docs/sub/run.sh'), 0o755);
  symlinkSync('sub/run.sh', path.join(folder, 'docs/link'));
  return folder;
}

const same = (kiln: Kiln, a: string, b: string) => kiln.account.run(['diff', '-r', '--no-dereference', a, b]);

describe.each(accountKinds())('kiln artifact, as %s', (kind) => {
  const test = it.skipIf(missing('docker-registry', 'unprivileged-user'));

  test('keeps files and folders in a registry and gives them back', async () => {
    await using kiln = await openKiln(kind);
    await using registry = await startDockerRegistry();
    const cwd = sources(kiln);
    const name = `${registry.host}/site/docs:1`;
    const push = ['artifact', 'push', name, 'docs', 'README.md:text/markdown', '--artifact-type', 'application/x.docs'];

    const first = JSON.parse(await kiln.ok([...push, '-a', 'a=b', '--json'], { cwd })) as Pushed;
    for (const file of ['docs/a.txt', 'docs/sub', 'README.md']) utimesSync(path.join(cwd, file), 1e9, 1e9);
    const again = JSON.parse(await kiln.ok([...push, '-a', 'a=b', '--json'], { cwd })) as Pushed;
    const shown = await kiln.ok(['artifact', 'pull', name, '-o', 'out'], { cwd });

    expect(again).toEqual(first);
    expect(first.files.map(({ title, mediaType }) => [title, mediaType])).toEqual([
      ['docs', 'application/vnd.oci.image.layer.v1.tar+gzip'],
      ['README.md', 'text/markdown'],
    ]);
    expect(shown).toBe(`Pulled ${name}\nDigest: ${first.digest}\n`);
    expect((await same(kiln, 'sources/docs', 'sources/out/docs')).stdout).toBe('');
    expect(statSync(path.join(cwd, 'out/docs/sub/run.sh')).mode & 0o777).toBe(0o755);
    expect(statSync(path.join(cwd, 'out/docs/sub/run.sh')).uid).toBe(kiln.account.uid);
    expect(readdirSync(path.join(cwd, 'out')).sort()).toEqual(['README.md', 'docs']);
    const manifest = await (
      await fetch(`http://${registry.host}/v2/site/docs/manifests/1`, {
        headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
      })
    ).text();
    expect(JSON.parse(manifest)).toMatchObject({
      artifactType: 'application/x.docs',
      config: { mediaType: 'application/vnd.oci.empty.v1+json', size: 2 },
      annotations: { a: 'b' },
      layers: [{ annotations: { 'io.deis.oras.content.unpack': 'true' } }, { annotations: {} }],
    });
    expect(manifest).not.toContain('created');
  });

  test('leaves old files alone when it is told to', async () => {
    await using kiln = await openKiln(kind);
    await using registry = await startDockerRegistry();
    const cwd = sources(kiln);
    const name = `${registry.host}/docs:1`;
    await kiln.ok(['artifact', 'push', name, 'README.md', 'sbom.json'], { cwd });
    const out = project(kiln.account, 'out', { 'sbom.json': 'old' });

    const refused = await kiln.run(['artifact', 'pull', name, '-o', out, '--keep-old-files'], { cwd });
    expect(refused.status).toBe(5);
    expect(refused.stderr).toContain('sbom.json is in');
    expect(readdirSync(out)).toEqual(['sbom.json']);

    await kiln.ok(['artifact', 'pull', name, '-o', out], { cwd });
    expect(readFileSync(path.join(out, 'sbom.json'), 'utf8')).toBe('{"name":"sbom"}');
  });

  test('attaches files to an image, and finds them', async () => {
    await using kiln = await openKiln(kind);
    await using registry = await startDockerRegistry();
    const cwd = sources(kiln);
    const name = `${registry.host}/site:1`;
    await kiln.ok(['artifact', 'push', name, 'README.md'], { cwd });
    const attach = async (subject: string, type: string, ...more: readonly string[]) => {
      const args = ['artifact', 'attach', '--artifact-type', type, '--json', subject, ...more];
      return (JSON.parse(await kiln.ok(args, { cwd })) as Pushed).digest;
    };
    const digest = (await kiln.ok(['digest', name])).trim();
    const sbom = await attach(name, 'application/spdx+json', 'sbom.json:application/spdx+json');
    const signature = await attach(`${registry.host}/site@${sbom}`, 'application/x.sig', '-a', 'by=me');

    expect(await kiln.ok(['artifact', 'discover', name, '-v'])).toBe(
      [
        `${name}@${digest}`,
        '└── application/spdx+json',
        `    └── ${sbom}`,
        '        └── application/x.sig',
        `            └── ${signature}`,
        '                [by: me]',
        '',
      ].join('\n'),
    );
    const template = '{{range .referrers}}{{.digest}} {{len .referrers}}{{end}}';
    expect(await kiln.ok(['artifact', 'discover', name, '--depth', '1', '--format', template])).toBe(`${sbom} 0\n`);
    expect(await kiln.ok(['artifact', 'discover', name, '--artifact-type', 'a/b'])).toBe(`${name}@${digest}\n`);

    await kiln.ok(['artifact', 'pull', `${registry.host}/site@${sbom}`, '-o', 'one'], { cwd });
    expect(readdirSync(path.join(cwd, 'one'))).toEqual(['sbom.json']);
    await kiln.ok(['artifact', 'pull', `${registry.host}/site@${sbom}`, '-o', 'both', '--include-subject'], { cwd });
    expect(readdirSync(path.join(cwd, 'both')).sort()).toEqual(['README.md', 'sbom.json']);

    await kiln.ok(['manifest', 'rm', `${registry.host}/site@${sbom}`]);
    expect(await kiln.ok(['artifact', 'discover', name])).toBe(`${name}@${digest}\n`);
  });

  test('works the same in a folder, and what is attached goes along', async () => {
    await using kiln = await openKiln(kind);
    await using registry = await startDockerRegistry();
    const cwd = sources(kiln);
    await kiln.ok(['artifact', 'push', 'oci:layout:1', 'docs', 'README.md'], { cwd });
    await kiln.ok(['artifact', 'attach', 'oci:layout:1', '--artifact-type', 'a/sbom', 'sbom.json'], { cwd });
    await kiln.ok(['artifact', 'pull', 'oci:layout:1', '-o', 'out'], { cwd });
    expect((await same(kiln, 'sources/docs', 'sources/out/docs')).stdout).toBe('');

    await kiln.ok(['copy', '--recursive', 'oci:layout:1', `${registry.host}/docs:1`], { cwd });
    const types = '{{range .referrers}}{{.artifactType}}{{end}}';
    for (const name of ['oci:layout:1', `${registry.host}/docs:1`]) {
      expect(await kiln.ok(['artifact', 'discover', name, '--format', types], { cwd })).toBe('a/sbom\n');
    }
  });

  test('takes standard input, a config and a file of annotations', async () => {
    await using kiln = await openKiln(kind);
    await using registry = await startDockerRegistry();
    const cwd = sources(kiln);
    const annotations = { $manifest: { m: '1' }, $config: { c: '2' }, 'README.md': { f: '3' } };
    writeFileSync(path.join(cwd, 'notes.json'), JSON.stringify(annotations));
    const line = `echo streamed | "$0" artifact push ${registry.host}/x:1 README.md -:text/plain --config sbom.json:a/config --annotation-file notes.json`;
    const program = path.resolve(import.meta.dirname, '../../bin/kiln');
    const pushed = await kiln.account.run(['sh', '-c', line, program], { cwd, env: { KILN_HOME: kiln.store } });
    expect(pushed.stderr).toContain('Uploaded');
    expect(pushed.status).toBe(0);

    await kiln.ok(['artifact', 'pull', `${registry.host}/x:1`, '-o', 'out'], { cwd });
    expect(readFileSync(path.join(cwd, 'out/stdin'), 'utf8')).toBe('streamed\n');
    expect(JSON.parse(await kiln.ok(['manifest', 'get', `${registry.host}/x:1`]))).toMatchObject({
      config: { mediaType: 'a/config', annotations: { c: '2' } },
      annotations: { m: '1' },
      layers: [{ annotations: { f: '3' } }, { mediaType: 'text/plain' }],
    });
  });

  test('writes nothing of an artifact that would lead out of its folder', async () => {
    await using kiln = await openKiln(kind);
    await using registry = await startDockerRegistry();
    const cwd = project(kiln.account, 'evil', { x: 'evil' });
    const blob = `sha256:${createHash('sha256').update('evil').digest('hex')}`;
    await kiln.ok(['blob', 'put', `${registry.host}/evil`, 'x'], { cwd });
    for (const [at, title] of ['../escaped', '/tmp/kiln-escaped', 'a/../../escaped'].entries()) {
      const layer = {
        mediaType: 'a/b',
        digest: blob,
        size: 4,
        annotations: { 'org.opencontainers.image.title': title },
      };
      const good = { ...layer, annotations: { 'org.opencontainers.image.title': 'good' } };
      const mediaType = 'application/vnd.oci.image.manifest.v1+json';
      const config = { mediaType: 'a/c', digest: blob, size: 4 };
      writeFileSync(
        path.join(cwd, 'm'),
        JSON.stringify({ schemaVersion: 2, mediaType, config, layers: [good, layer] }),
      );
      await kiln.ok(['manifest', 'put', `${registry.host}/evil:${at}`, 'm'], { cwd });

      const pulled = await kiln.run(['artifact', 'pull', `${registry.host}/evil:${at}`, '-o', 'out'], { cwd });

      expect(pulled.status).toBe(6);
      expect(pulled.stderr).toContain('the artifact has a file');
      expect(readdirSync(cwd).sort()).toEqual(['m', 'x']);
    }
  });

  test('says what is wrong before it sends anything', async () => {
    await using kiln = await openKiln(kind);
    const cwd = sources(kiln);
    symlinkSync('/etc/passwd', path.join(cwd, 'docs/out'));
    const nowhere = '127.0.0.1:1/x:1';
    const wrong: readonly (readonly [readonly string[], number, string])[] = [
      [['push', nowhere, 'missing.txt'], 2, 'there is no such file'],
      [['push', nowhere, '../sources/README.md'], 2, 'does not lie below this folder'],
      [['push', nowhere, 'docs'], 2, 'outside of docs'],
      [['push', nowhere, 'README.md', './README.md'], 2, 'is named twice'],
      [['push', nowhere, 'README.md', '--artifact-type', 'sbom'], 2, 'is not a media type'],
      [['push', nowhere, 'README.md', '--format', '{{.digest'], 2, 'has no }}'],
      [['attach', nowhere, 'README.md'], 2, 'needs --artifact-type'],
      [['push', 'docker-archive:a.tar', 'README.md'], 2, 'nothing can be added to an archive'],
      [['pull', nowhere, '-k', '--overwrite'], 2, 'exclude each other'],
      [['pull', nowhere, '--depth', '1'], 2, 'it belongs to kiln artifact discover'],
      [['pusj', nowhere], 2, 'did you mean kiln artifact push?'],
    ];
    for (const [args, status, text] of wrong) {
      const outcome = await kiln.run(['artifact', ...args], { cwd });
      expect([outcome.status, outcome.stderr], args.join(' ')).toEqual([status, expect.stringContaining(text)]);
    }
  });
});

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type DockerRegistry, startDockerRegistry } from '../docker-registry.ts';
import { missing } from '../requirements.ts';
import { busyboxProject, type Kiln, openKiln, project } from './kiln.ts';
import { openPodman, type Podman, type SkopeoInspection, skopeoInspect } from './peers.ts';

// What kiln writes, skopeo, podman, umoci and docker-registry read; what they write, kiln reads; digests stay.

const marker = 'made by kiln\n';
const compressions = ['gzip', 'zstd', 'none'] as const;

let registry: DockerRegistry;
let kiln: Kiln;
let podman: Podman;
/** An image in the store, and in the registry with gzip layers. */
let name: string;
let config: unknown;

/** Standard output of a program of the account, which must succeed. */
async function output(...argv: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await kiln.account.run(argv);
  if (status === 0) return stdout;
  throw new Error(`${argv.join(' ')} ended with ${status}: ${stderr}`);
}

const skopeoCopy = (...args: readonly string[]): Promise<string> =>
  output(
    'skopeo',
    'copy',
    '--quiet',
    '--insecure-policy',
    '--src-tls-verify=false',
    '--dest-tls-verify=false',
    ...args,
  );

/** The configuration that a place's image has, parsed. */
async function configOf(place: string): Promise<unknown> {
  return JSON.parse(await output('skopeo', 'inspect', '--config', '--tls-verify=false', place));
}

async function manifestOf(place: string): Promise<{ mediaType: string; layers: { mediaType: string }[] }> {
  return JSON.parse(await output('skopeo', 'inspect', '--raw', '--tls-verify=false', place));
}

/** Pulls a name into a new store and runs what is there; gives the digest it has there. */
async function pulledAndRun(image: string): Promise<string> {
  const elsewhere = kiln.withStore(`store-${image.replace(/\W/g, '-')}`);
  await elsewhere.ok(['pull', '-q', image]);
  expect(await elsewhere.ok(['run', '--rm', image, 'cat', '/made'])).toBe(marker);
  return elsewhere.digest(image);
}

/** A file of the root file system that umoci makes of an image in a layout. */
async function unpackedByUmoci(layout: string, tag: string, file: string): Promise<string> {
  const bundle = path.join(kiln.account.home, `bundle-${path.basename(layout)}-${tag}`);
  await output('umoci', 'unpack', '--rootless', '--image', `${layout}:${tag}`, bundle);
  return readFileSync(path.join(bundle, 'rootfs', file), 'utf8');
}

const home = (...parts: readonly string[]): string => path.join(kiln.account.home, ...parts);

describe.skipIf(
  missing('docker-registry', 'busybox', 'unprivileged-user', 'overlay', 'skopeo', 'umoci', 'podman', 'subids'),
)('images between kiln and others', () => {
  beforeAll(async () => {
    registry = await startDockerRegistry();
    kiln = await openKiln('unprivileged');
    podman = openPodman(kiln.account);
    name = `${registry.host}/image:1`;
    await kiln.ok(['build', '-q', '-t', 'base:1', busyboxProject(kiln.account, 'base')]);
    const buildfile = 'from = "base:1"\nsteps = [{ copy = "made", to = "/made" }]\n[image]\ncmd = ["cat", "/made"]\n';
    const context = project(kiln.account, 'app', { Buildfile: buildfile, made: marker });
    await kiln.ok(['build', '-q', '--push', '-t', name, context]);
    config = await configOf(`docker://${name}`);
  });
  afterAll(async () => {
    await podman?.[Symbol.asyncDispose]();
    await kiln?.[Symbol.asyncDispose]();
    await registry?.[Symbol.asyncDispose]();
  });

  describe.each(compressions)('that kiln pushed with layers packed by %s', (compression) => {
    const pushed = () => `${registry.host}/pushed-${compression}:1`;

    it('are read by skopeo and unpacked by umoci', async () => {
      await kiln.ok(['push', '-q', '--compression', compression, name, pushed()]);

      const seen: SkopeoInspection = await skopeoInspect(kiln.account, `docker://${pushed()}`);
      // An old umoci knows no zstd.
      const layout = home(`layout-${compression}`);
      const unpacking = compression === 'zstd' ? ['--dest-decompress', '--dest-oci-accept-uncompressed-layers'] : [];
      await skopeoCopy(...unpacking, `docker://${pushed()}`, `oci:${layout}:image`);

      expect(await configOf(`docker://${pushed()}`)).toEqual(config);
      const { layers } = await manifestOf(`docker://${pushed()}`);
      const suffix = compression === 'none' ? '' : `+${compression}`;
      expect(new Set(layers.map(({ mediaType }) => mediaType))).toEqual(
        new Set([`application/vnd.oci.image.layer.v1.tar${suffix}`]),
      );
      if (compression !== 'zstd') expect(await unpackedByUmoci(layout, 'image', 'made')).toBe(marker);
      expect(await pulledAndRun(pushed())).toBe(seen.Digest);
    });

    it('are run by podman', async () => {
      await kiln.ok(['push', '-q', '--compression', compression, name, pushed()]);

      expect(await podman.run(pushed())).toBe(marker);
    });
  });

  // A registry of their own: skopeo and podman remember which blobs a registry has in another form, and take those.
  it.each([
    ['oci', 'gzip'],
    ['oci', 'zstd'],
    ['v2s2', 'gzip'],
  ] as const)(
    'that skopeo wrote as %s with %s keep their digest, here and on to another registry',
    async (format, packing) => {
      const layout = home(`uncompressed-${format}-${packing}`);
      await kiln.ok(['copy', '-q', '--compression', 'none', `kiln:${name}`, `oci:${layout}:image`]);
      await using fresh = await startDockerRegistry();
      const written = `${fresh.host}/skopeo-${format}-${packing}:1`;
      await skopeoCopy(
        '--format',
        format,
        '--dest-compress-format',
        packing,
        `oci:${layout}:image`,
        `docker://${written}`,
      );
      const { Digest: digest } = await skopeoInspect(kiln.account, `docker://${written}`);

      expect(await pulledAndRun(written)).toBe(digest);
      expect(await configOf(`docker://${written}`)).toEqual(config);

      const [store, on] = [kiln.withStore(`on-${format}-${packing}`), `${fresh.host}/on-${format}-${packing}:1`];
      await store.ok(['pull', '-q', written]);
      await store.ok(['push', '-q', written, on]);
      expect((await skopeoInspect(kiln.account, `docker://${on}`)).Digest).toBe(digest);
      await kiln.ok(['copy', '-q', written, `${on.replace(':1', '-copied:1')}`]);
      expect((await skopeoInspect(kiln.account, `docker://${on.replace(':1', '-copied:1')}`)).Digest).toBe(digest);
      expect(await podman.run(on)).toBe(marker);
    },
  );

  it.each(['oci', 'v2s2'])('that podman pushed as %s keep their digest', async (format) => {
    await using fresh = await startDockerRegistry();
    const written = `${fresh.host}/podman-${format}:1`;
    await podman.call('pull', '--quiet', '--tls-verify=false', name);
    await podman.call('push', '--quiet', '--tls-verify=false', '--format', format, name, written);
    const { Digest: digest } = await skopeoInspect(kiln.account, `docker://${written}`);

    expect(await pulledAndRun(written)).toBe(digest);
  });

  it('that kiln copied to a layout and to archives are what others read', async () => {
    const places = [`oci:${home('made-layout')}:image`, `oci-archive:${home('made-oci.tar')}:image`];
    const docker = `docker-archive:${home('made-docker.tar')}:${name}`;
    for (const place of [...places, docker]) await kiln.ok(['copy', '-q', `kiln:${name}`, place]);

    for (const place of places) expect(await configOf(place)).toEqual(config);
    expect(await configOf(`docker-archive:${home('made-docker.tar')}`)).toMatchObject({
      config: (config as { config: object }).config,
      rootfs: (config as { rootfs: object }).rootfs,
    });
    expect(await unpackedByUmoci(home('made-layout'), 'image', 'made')).toBe(marker);
    for (const file of ['made-oci.tar', 'made-docker.tar']) {
      const said = await podman.call('load', '--quiet', '--input', home(file));
      const loaded = /Loaded image: (\S+)/.exec(said)?.[1] ?? '';
      expect(await podman.run(loaded)).toBe(marker);
    }
  });

  it.each(['docker-archive', 'oci-archive'])('that podman saved to a %s are loaded', async (format) => {
    const [file, tag] = [home(`podman-${format}.tar`), `localhost/saved-${format}:1`];
    await podman.call('pull', '--quiet', '--tls-verify=false', name);
    await podman.call('tag', name, tag);
    await podman.call('save', '--quiet', '--format', format, '--output', file, tag);
    const elsewhere = kiln.withStore(`loaded-${format}`);

    await elsewhere.ok(['load', '-q', '-i', file]);
    const packed = home(`podman-${format}.tar.gz`);
    await output('sh', '-c', `gzip -c ${file} > ${packed}`);
    const second = kiln.withStore(`loaded-packed-${format}`);
    await second.ok(['load', '-q', '-i', packed]);

    expect(await elsewhere.ok(['run', '--rm', tag])).toBe(marker);
    expect(await second.digest(tag)).toBe(await elsewhere.digest(tag));
    const stored = await configOf(`oci:${path.join(elsewhere.store, 'content')}:${tag}`);
    expect((stored as { rootfs: object }).rootfs).toEqual((config as { rootfs: object }).rootfs);
  });

  it('that skopeo saved for docker, and podman several in one archive, are loaded under all their names', async () => {
    const [single, several] = [home('skopeo-docker.tar'), home('podman-several.tar')];
    await skopeoCopy(`docker://${name}`, `docker-archive:${single}:example.com/one:1`);
    await podman.call('pull', '--quiet', '--tls-verify=false', name);
    await podman.call('tag', name, 'localhost/first:1');
    await kiln.ok(['copy', '-q', '--compression', 'gzip', 'kiln:base:1', `${registry.host}/base:1`]);
    await podman.call('pull', '--quiet', '--tls-verify=false', `${registry.host}/base:1`);
    await podman.call('tag', `${registry.host}/base:1`, 'localhost/second:1');
    const two = ['localhost/first:1', 'localhost/second:1'];
    await podman.call('save', '--quiet', '--multi-image-archive', '--output', several, ...two);
    const elsewhere = kiln.withStore('several');

    for (const file of [single, several]) await elsewhere.ok(['load', '-q', '-i', file]);

    for (const image of ['example.com/one:1', 'localhost/first:1']) {
      expect(await elsewhere.ok(['run', '--rm', image])).toBe(marker);
    }
    expect(await elsewhere.ok(['run', '--rm', 'localhost/second:1', 'cat', '/etc/base-version'])).toBe('1\n');
  });

  it('that umoci changed are read with its digest', async () => {
    const layout = home('umoci-layout');
    await skopeoCopy(`docker://${name}`, `oci:${layout}:image`);
    await output('umoci', 'config', '--image', `${layout}:image`, '--tag', 'changed', '--config.label', 'by=umoci');
    const index = JSON.parse(readFileSync(path.join(layout, 'index.json'), 'utf8')) as {
      manifests: { digest: string; annotations: Record<string, string> }[];
    };
    const changed = index.manifests.find(({ annotations }) => Object.values(annotations).includes('changed'));

    await kiln.ok(['copy', '-q', `oci:${layout}:changed`, 'kiln:by-umoci:1']);

    expect(await kiln.digest('by-umoci:1')).toBe(changed?.digest);
    expect(await kiln.ok(['run', '--rm', 'by-umoci:1'])).toBe(marker);
  });

  it('for two platforms keep the index and its digest both ways', async () => {
    const both = `${registry.host}/both:1`;
    const buildfile = 'from = "scratch"\nsteps = [{ copy = "made", to = "/made" }]\n[image]\ncmd = ["/made"]\n';
    const context = project(kiln.account, 'both', { Buildfile: buildfile, made: marker });
    await kiln.ok(['build', '-q', '--push', '--platform', 'linux/amd64,linux/arm64', '-t', both, context]);
    const layout = home('both-layout');
    const moved = `${registry.host}/both-by-skopeo:1`;
    const raw = await output('skopeo', 'inspect', '--raw', '--tls-verify=false', `docker://${both}`);

    await skopeoCopy('--all', `docker://${both}`, `oci:${layout}:both`);
    await skopeoCopy('--all', `oci:${layout}:both`, `docker://${moved}`);
    const elsewhere = kiln.withStore('both');
    await elsewhere.ok(['pull', '-q', '--all-platforms', moved]);
    await elsewhere.ok(['pull', '-q', '--platform', 'linux/arm64', both]);
    await kiln.ok(['copy', '-q', '--all', moved, `oci:${home('both-by-kiln')}:both`]);
    const single = JSON.parse(raw) as { manifests: { digest: string; platform: { architecture: string } }[] };

    expect(single.manifests.map(({ platform }) => platform.architecture)).toEqual(['amd64', 'arm64']);
    expect(await output('skopeo', 'inspect', '--raw', '--tls-verify=false', `docker://${moved}`)).toBe(raw);
    expect(await output('skopeo', 'inspect', '--raw', `oci:${home('both-by-kiln')}:both`)).toBe(raw);
    expect(await elsewhere.digest(both)).toBe(single.manifests[1]?.digest);
    expect(await elsewhere.digest(moved)).toMatch(/^sha256:/);
    const arm = ['skopeo', 'inspect', '--override-arch', 'arm64', '--tls-verify=false', `docker://${moved}`];
    expect(JSON.parse(await output(...arm))).toMatchObject({ Architecture: 'arm64' });
  });
});

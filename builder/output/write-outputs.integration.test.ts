import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { ImageArchiveReader } from '../../registry/index.ts';
import { missing } from '../../test/requirements.ts';
import { openTestWorkshop, type TestBuildOptions, type TestWorkshop } from '../../test/workshop.ts';
import type { BuiltTarget } from '../engine/build-images.ts';
import type { Output } from './output.ts';
import { checkOutputs, writeOutputs } from './write-outputs.ts';

const buildfile = `
from = "busybox"
steps = [
  { run = "mkdir -p /srv/sub && echo hello > /srv/hello && ln /srv/hello /srv/same && ln -s hello /srv/link && mkfifo /srv/pipe && chown 1000:1000 /srv/hello && chmod 4755 /srv/hello" },
  { run = "rm /bin/uname" },
]
`;

const uncompressed = 'uncompressed' as const;
const file = (place: string) => ({ kind: 'file', file: place }) as const;

async function write(bench: TestWorkshop, targets: readonly BuiltTarget[], ...outputs: Output[]): Promise<void> {
  await checkOutputs(outputs, 1);
  await writeOutputs(bench.workshop, targets, outputs, {});
}

function skopeo(image: string): { readonly Digest: string; readonly Layers: readonly string[] } {
  return JSON.parse(execFileSync('skopeo', ['inspect', image], { encoding: 'utf8' }));
}

function listing(folder: string): string[] {
  return execFileSync('find', ['.', '-mindepth', '1', '-printf', '%P %y %m %U:%G %n %s %l\n'], {
    cwd: folder,
    encoding: 'utf8',
  })
    .split('\n')
    .map((line) => (/ d /.test(line) ? line.replace(/ \d+ \d+ $/, '') : line))
    .sort();
}

describe.skipIf(missing('root', 'overlay', 'busybox'))('writeOutputs', () => {
  it.skipIf(missing('skopeo', 'umoci'))('writes archives and layouts in which others find the same image', async () => {
    await using bench = await openTestWorkshop();
    const built = await bench.build(buildfile);
    const out = path.join(bench.home, 'out');
    mkdirSync(out);
    const places = {
      oci: path.join(out, 'i.tar'),
      docker: path.join(out, 'd.tar'),
      layout: path.join(out, 'layout'),
      gzip: path.join(out, 'z.tar'),
    };

    await write(
      bench,
      [built],
      { kind: 'oci', to: file(places.oci), compression: uncompressed },
      { kind: 'docker', to: file(places.docker), compression: uncompressed },
      { kind: 'oci-folder', folder: places.layout, compression: uncompressed },
      { kind: 'docker', to: file(places.gzip), compression: 'gzip' },
      { kind: 'local', folder: path.join(out, 'root') },
    );

    expect(skopeo(`oci-archive:${places.oci}:latest`).Digest).toBe(built.descriptor.digest);
    expect(skopeo(`oci:${places.layout}:latest`).Digest).toBe(built.descriptor.digest);
    const diffIds = built.image.config.diffIds;
    expect(skopeo(`docker-archive:${places.docker}`).Layers).toEqual(diffIds);
    expect(skopeo(`docker-archive:${places.docker}:docker.io/library/result:latest`).Layers).toEqual(diffIds);
    execFileSync('skopeo', ['copy', '-q', '--insecure-policy', `docker-archive:${places.gzip}`, `oci:${out}/again:x`]);
    for (const [layout, name] of [
      [places.layout, 'latest'],
      [path.join(out, 'again'), 'x'],
    ]) {
      execFileSync('umoci', ['unpack', '--image', `${layout}:${name}`, `${layout}-unpacked`]);
      expect(listing(`${layout}-unpacked/rootfs`)).toEqual(listing(path.join(out, 'root')));
    }
    expect(await (await ImageArchiveReader.open(places.docker)).resolve('docker.io/library/result:latest')).toEqual(
      built.descriptor,
    );
    expect(statSync(places.gzip).size).toBeLessThan(statSync(places.docker).size);
    expect(readdirSync(out).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('writes the root file system as a tar and as files, the same every time', async () => {
    await using bench = await openTestWorkshop();
    const built = await bench.build(buildfile);
    const [one, two] = [path.join(bench.home, 'one.tar'), path.join(bench.home, 'two.tar')];
    const root = path.join(bench.home, 'root');

    await write(bench, [built], { kind: 'tar', to: file(one) }, { kind: 'local', folder: root });
    const squashed = await bench.build(buildfile, { squash: true });
    await write(bench, [squashed], { kind: 'tar', to: file(two) });

    expect(readFileSync(two).equals(readFileSync(one))).toBe(true);
    expect(execFileSync('tar', ['-tf', one], { encoding: 'utf8' })).not.toContain('.wh.');
    expect(existsSync(path.join(root, 'bin/uname'))).toBe(false);
    const hello = lstatSync(path.join(root, 'srv/hello'));
    expect([hello.uid, hello.mode & 0o7777, hello.mtimeMs]).toEqual([1000, 0o4755, 1000]);
    expect(statSync(path.join(root, 'srv/same')).ino).toBe(hello.ino);
    expect(lstatSync(path.join(root, 'srv/pipe')).isFIFO()).toBe(true);
    const extracted = path.join(bench.home, 'extracted');
    mkdirSync(extracted);
    execFileSync('tar', ['-xpf', one, '--same-owner', '-C', extracted]);
    expect(listing(extracted)).toEqual(listing(root));
  });

  it('puts files into a folder that is there: replaces what has the same name, and never leaves it', async () => {
    await using bench = await openTestWorkshop();
    const built = await bench.build(buildfile);
    const [root, outside] = [path.join(bench.home, 'root'), path.join(bench.home, 'outside')];
    mkdirSync(path.join(root, 'srv/hello'), { recursive: true });
    writeFileSync(path.join(root, 'mine'), 'mine');
    mkdirSync(outside);
    symlinkSync(outside, path.join(root, 'etc'));
    mkdirSync(path.join(root, 'bin'));
    symlinkSync('/nowhere', path.join(root, 'bin/busybox'));

    await write(bench, [built], { kind: 'local', folder: root });

    expect(readFileSync(path.join(root, 'mine'), 'utf8')).toBe('mine');
    expect(readFileSync(path.join(root, 'srv/hello'), 'utf8')).toBe('hello\n');
    expect(lstatSync(path.join(root, 'etc')).isDirectory()).toBe(true);
    expect(lstatSync(path.join(root, 'bin/busybox')).isFile()).toBe(true);
    expect(readdirSync(outside)).toEqual([]);
  });

  it('never deletes a folder that holds something for a file of the image', async () => {
    await using bench = await openTestWorkshop();
    const built = await bench.build(buildfile);
    const root = path.join(bench.context, 'root');
    mkdirSync(path.join(root, 'srv', 'hello'), { recursive: true });
    writeFileSync(path.join(root, 'srv', 'hello', 'mine'), 'kept');

    await expect(write(bench, [built], { kind: 'local', folder: root })).rejects.toMatchObject({
      code: 'OUTPUT_BLOCKED',
      message: expect.stringContaining('srv/hello'),
    });

    expect(readFileSync(path.join(root, 'srv', 'hello', 'mine'), 'utf8')).toBe('kept');
  });

  it('names folders after targets and platforms, and keeps each index whole', async () => {
    await using bench = await openTestWorkshop();
    const targets = await buildTwo(bench);
    const [tar, oci, root] = ['t.tar', 'o.tar', 'root'].map((name) => path.join(bench.home, name));
    if (tar === undefined || oci === undefined || root === undefined) throw new TypeError();

    await writeOutputs(
      bench.workshop,
      targets,
      [
        { kind: 'tar', to: file(tar) },
        { kind: 'oci', to: file(oci), compression: uncompressed },
        { kind: 'local', folder: root },
      ],
      {},
    );

    const names = execFileSync('tar', ['-tf', tar], { encoding: 'utf8' }).trim().split('\n');
    expect(names).toEqual([
      ...['a/', 'a/linux_amd64/', 'a/linux_amd64/file', 'a/linux_arm64/', 'a/linux_arm64/file'],
      ...['b/', 'b/linux_amd64/', 'b/linux_amd64/file', 'b/linux_arm64/', 'b/linux_arm64/file'],
    ]);
    expect(readFileSync(path.join(root, 'b/linux_arm64/file'), 'utf8')).toBe('content');
    const archive = await ImageArchiveReader.open(oci);
    for (const { descriptor, images } of targets) {
      expect(await archive.resolve(descriptor.digest)).toEqual(descriptor);
      for (const image of images) expect(await archive.has(image.descriptor)).toBe(true);
    }
  });

  it('gives an index the annotations that its images agree in', async () => {
    await using bench = await openTestWorkshop();
    const [first] = await buildTwo(bench, {
      annotations: { everywhere: 'x' },
      manifestAnnotations: { below: 'x' },
      indexAnnotations: { above: 'x' },
    });
    if (first === undefined) throw new TypeError();

    const bytes = readFileSync(bench.workshop.content.blobFile(first.descriptor.digest), 'utf8');

    expect(JSON.parse(bytes).annotations).toEqual({ everywhere: 'x', above: 'x' });
    expect(Object.keys(first.images[0]?.annotations ?? {}).sort()).toEqual(['below', 'everywhere', 'kiln.layers']);
  });

  it('gives the bytes to a stream, and leaves a file alone that could not be replaced', async () => {
    await using bench = await openTestWorkshop();
    const built = await bench.build(buildfile);
    const place = path.join(bench.home, 'image.tar');
    writeFileSync(place, 'before');
    const chunks: Buffer[] = [];
    const stream = {
      kind: 'stream' as const,
      async write(bytes: AsyncIterable<Buffer>) {
        for await (const chunk of bytes) chunks.push(chunk);
      },
    };
    const signal = AbortSignal.abort();

    await writeOutputs(bench.workshop, [built], [{ kind: 'docker', to: stream, compression: uncompressed }], {});
    const failing = [file(place)].flatMap((to): Output[] => [
      { kind: 'tar', to },
      { kind: 'oci', to, compression: uncompressed },
    ]);
    for (const output of failing)
      await expect(writeOutputs(bench.workshop, [built], [output], { signal })).rejects.toMatchObject({
        name: 'AbortError',
      });

    expect(execFileSync('tar', ['-tf', '-'], { input: Buffer.concat(chunks), encoding: 'utf8' })).toContain(
      'manifest.json',
    );
    expect(readFileSync(place, 'utf8')).toBe('before');
    expect(readdirSync(bench.home).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('tells before the build what cannot be written', async () => {
    await using bench = await openTestWorkshop();
    const place = path.join(bench.home, 'x.tar');
    const docker: Output = { kind: 'docker', to: file(place), compression: uncompressed };
    const refused = async (outputs: readonly Output[], platforms = 1) =>
      expect(checkOutputs(outputs, platforms)).rejects.toMatchObject({ code: 'USAGE_OUTPUT' });

    await refused([docker], 2);
    await refused([docker, { kind: 'tar', to: file(place) }]);
    await refused([{ kind: 'tar', to: file(bench.home) }]);
    await refused([{ kind: 'tar', to: file(path.join(bench.home, 'no', 'x.tar')) }]);
    writeFileSync(place, '');
    await refused([{ kind: 'local', folder: place }]);
    await refused([{ kind: 'local', folder: path.join(place, 'below') }]);
    await checkOutputs([docker, { kind: 'local', folder: path.join(bench.home, 'new', 'folder') }], 1);
  });

  it('puts what several builds write into one layout at once all into it', async () => {
    await using bench = await openTestWorkshop();
    const folder = path.join(bench.home, 'shared-layout');
    const built: BuiltTarget[] = [];
    for (const name of ['a', 'b', 'c', 'd']) {
      const [target] = (await bench.build(`from = "busybox"\nsteps = [{ run = "echo > /${name}" }]`)).targets;
      if (target !== undefined) built.push({ ...target, names: [`docker.io/library/${name}:1`] });
    }

    await Promise.all(built.map((each) => write(bench, [each], { kind: 'oci-folder', folder, compression: 'gzip' })));

    const { manifests } = JSON.parse(readFileSync(path.join(folder, 'index.json'), 'utf8'));
    expect(new Set(manifests.map(({ digest }: { digest: string }) => digest)).size).toBe(4);
    expect(readdirSync(bench.home).filter((name) => name.startsWith('.shared'))).toEqual([]);
  });
});

/** Two targets of one file each, for two platforms. */
async function buildTwo(bench: TestWorkshop, options: TestBuildOptions = {}): Promise<readonly BuiltTarget[]> {
  await bench.put({ file: 'content' });
  const stage = (name: string) => `[stages.${name}]\nfrom = "scratch"\nsteps = [{ copy = "file", to = "/" }]\n`;
  const platforms = ['linux/amd64', 'linux/arm64'];
  return (await bench.build(stage('a') + stage('b'), { platforms, targets: 'all', ...options })).targets;
}

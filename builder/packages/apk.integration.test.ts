import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { addBase } from '../../fixtures/bases/base-layout.ts';
import { OciLayout } from '../../registry/index.ts';
import { type ApkArchive, type ApkPackage, apkBase, startApkArchive } from '../../test/apk-archive.ts';
import { findProgram, missing } from '../../test/requirements.ts';
import { openTestWorkshop, type TestBuild, type TestBuildOptions, type TestWorkshop } from '../../test/workshop.ts';
import type { PinnedPackage, Pins } from '../lock/pins.ts';
import { packagesOn } from './resolve.ts';

const server: ApkPackage = {
  name: 'server',
  version: '1.0-r0',
  depends: ['library>=1', 'so:libcommon.so.1'],
  postInstall: 'mkdir -p /var/log && echo $$ > /var/log/server.log; echo done > /etc/server',
};
const library: ApkPackage = { name: 'library', version: '1.2-r0' };
const common: ApkPackage = { name: 'common', version: '3-r0', provides: ['so:libcommon.so.1=1'] };
const all = [server, library, common];

// Debian has no apk; where one is installed, such as one built from its source, the real one proves the code.
const program = findProgram('apk');

describe.skipIf(program === undefined || missing('busybox', 'root', 'overlay'))('packages with apk', () => {
  it('installs a set of exact versions, and the same bytes from an empty store', async () => {
    await using archive = await startApkArchive();
    archive.serve(all);
    await using one = await openBench(archive);
    await using other = await openBench(archive);

    const pins = new MemoryPins();
    const [first, second] = [await one.packages('["server"]', { pins }), await other.packages('["server"]')];

    const [set] = pins.sets.values();
    expect(set?.map(({ name, version }) => `${name} ${version}`)).toEqual([
      'common 3-r0',
      'library 1.2-r0',
      'server 1.0-r0',
    ]);
    expect(set?.every(({ hash }) => /^Q1[A-Za-z0-9+/]{27}=$/.test(hash))).toBe(true);
    expect(second.descriptor.digest).toBe(first.descriptor.digest);
    const context = { workshop: one.bench.workshop, platform: one.bench.workshop.options.platform, options: plain };
    const installed = await packagesOn(context, first.image.layers);
    expect(installed.map(({ name, version }) => `${name} ${version}`)).toEqual([
      'common 3-r0',
      'library 1.2-r0',
      'server 1.0-r0',
    ]);
  });

  it('leaves the names as they were asked for in the world file, and no cache or log', async () => {
    await using archive = await startApkArchive();
    archive.serve(all);
    await using bench = await openBench(archive);

    const built = await bench.build(
      '[[steps]]\npackages = ["server"]\n[[steps]]\nrun = "echo --; cat /etc/apk/world; find /var/cache /var/log /run -type f; cat /etc/server"',
    );

    const output = built.events.flatMap((event) => (event.type === 'output' ? [event.bytes.toString()] : [])).join('');
    expect(output).toMatch(/--\nserver\ndone\n$/);
  });

  it('is a hit for the same set, a miss for a new version, and needs no network for what is kept', async () => {
    await using archive = await startApkArchive();
    archive.serve(all);
    await using bench = await openBench(archive);
    const first = await bench.packages('["server"]');

    archive.serve([...all, { name: 'other', version: '1-r0' }]);
    const same = await bench.packages('["server"]', { pull: true });
    const offline = await bench.packages('["server"]', { network: 'none', noCache: true });
    archive.serve([server, common, { ...library, version: '1.2-r1' }]);
    const newer = await bench.packages('["server"]', { pull: true });

    expect(same.ran.filter((title) => title.includes('PACKAGES'))).toEqual([]);
    expect(offline.descriptor.digest).toBe(first.descriptor.digest);
    expect(newer.events).toContainEqual(expect.objectContaining({ type: 'status', text: 'library 1.2-r0 → 1.2-r1' }));
    expect(newer.descriptor.digest).not.toBe(first.descriptor.digest);
  });

  it('names the nearest package and the versions there are', async () => {
    await using archive = await startApkArchive();
    archive.serve(all);
    await using bench = await openBench(archive);

    await expect(bench.packages('["servre"]')).rejects.toMatchObject({
      code: 'PACKAGES_NOT_FOUND',
      message: 'there is no package servre; is server meant?',
    });
    await expect(bench.packages('["library=9-r0"]')).rejects.toMatchObject({
      code: 'PACKAGES_NOT_FOUND',
      message: 'library has no version 9-r0; the repositories have 1.2-r0',
    });
  });

  it('takes a version that is not the newest one', async () => {
    await using archive = await startApkArchive();
    archive.serve([...all, { ...library, version: '1.3-r0' }]);
    await using bench = await openBench(archive);

    const built = await bench.build(
      '[[steps]]\npackages = ["library=1.2-r0"]\n[[steps]]\nrun = "cat /usr/share/library /etc/apk/world"',
    );

    const output = built.events.flatMap((event) => (event.type === 'output' ? [event.bytes.toString()] : [])).join('');
    expect(output).toMatch(/1\.2-r0\nlibrary=1\.2-r0\n$/);
  });

  it('says when the repository does not have what is pinned, or has another file', async () => {
    await using archive = await startApkArchive();
    archive.serve(all);
    await using bench = await openBench(archive);
    const pins = new MemoryPins();
    await bench.packages('["server"]', { pins });
    await using second = await openBench(archive);
    await using third = await openBench(archive);

    archive.serve([{ ...server, postInstall: 'echo other' }, library, common]);
    await expect(second.packages('["server"]', { pins })).rejects.toMatchObject({ code: 'PACKAGES_HASH' });
    archive.serve([server, common, { ...library, version: '1.2-r1' }]);
    await expect(third.packages('["server"]', { pins })).rejects.toMatchObject({ code: 'PACKAGES_GONE' });
  });
});

const plain = {
  network: 'none',
  proxies: {},
  limits: {},
  pull: false,
  pins: { find: () => undefined, keep: () => undefined },
} as const;

class MemoryPins implements Pins {
  readonly sets = new Map<string, readonly PinnedPackage[]>();
  find: Pins['find'] = (kind, key) => (kind === 'packages' ? (this.sets.get(key) as never) : undefined);
  keep: Pins['keep'] = (kind, key, value) => {
    if (kind === 'packages') this.sets.set(key, value as readonly PinnedPackage[]);
  };
}

interface Bench extends AsyncDisposable {
  readonly bench: TestWorkshop;
  build(steps: string, options?: TestBuildOptions): Promise<TestBuild>;
  packages(list: string, options?: TestBuildOptions): Promise<TestBuild>;
}

async function openBench(archive: ApkArchive): Promise<Bench> {
  const bench = await openTestWorkshop();
  const layout = await OciLayout.open(path.join(bench.context, 'apk'), { locks: bench.workshop.locks });
  await addBase(layout, 'latest', apkBase(program ?? '', archive));
  const build: Bench['build'] = (steps, options) =>
    bench.build(`from = "oci:apk"\n${steps}`, { network: 'host', ...options });
  return {
    bench,
    build,
    packages: (list, options) => build(`[[steps]]\npackages = ${list}`, options),
    [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose](),
  };
}

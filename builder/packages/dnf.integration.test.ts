import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { addBase } from '../../fixtures/bases/base-layout.ts';
import { OciLayout } from '../../registry/index.ts';
import { type DnfArchive, dnfBase, type RpmPackage, startDnfArchive } from '../../test/dnf-archive.ts';
import { findProgram, missing } from '../../test/requirements.ts';
import { openTestWorkshop, type TestBuild, type TestBuildOptions, type TestWorkshop } from '../../test/workshop.ts';
import type { PinnedPackage, Pins } from '../lock/pins.ts';
import { packagesOn } from './resolve.ts';

const server: RpmPackage = {
  name: 'server',
  version: '1.0',
  requires: 'library >= 1',
  recommends: 'extras',
  post: 'mkdir -p /var/log && date > /var/log/server.log',
};
const library: RpmPackage = { name: 'library', version: '1.2', provides: '/bin/sh' };
const extras: RpmPackage = { name: 'extras', version: '5' };
const all = [server, library, extras];

// Debian has the tools, but not every machine needs them: where they are, real ones prove the code.
const hasTools = ['dnf', 'rpm', 'rpmbuild', 'createrepo_c'].every((name) => findProgram(name) !== undefined);

describe.skipIf(!hasTools || missing('busybox', 'root', 'overlay'))('packages with dnf', () => {
  it('installs a set of exact versions, and the same bytes from an empty store', async () => {
    await using archive = await startDnfArchive();
    await archive.serve(all);
    await using one = await openBench(archive);
    await using other = await openBench(archive);

    const pins = new MemoryPins();
    const [first, second] = [await one.packages('["server"]', { pins }), await other.packages('["server"]')];

    const [set] = pins.sets.values();
    expect(set?.map(({ name, version, architecture }) => `${name} ${version} ${architecture}`)).toEqual([
      'library 1.2-1 noarch',
      'server 1.0-1 noarch',
    ]);
    expect(set?.every(({ hash }) => /^sha256:[0-9a-f]{64}$/.test(hash))).toBe(true);
    expect(second.descriptor.digest).toBe(first.descriptor.digest);
    const context = { workshop: one.bench.workshop, platform: one.bench.workshop.options.platform, options: plain };
    const installed = await packagesOn(context, first.image.layers);
    expect(installed.map(({ name, version }) => `${name} ${version}`)).toEqual(['library 1.2-1', 'server 1.0-1']);
  });

  it('is a hit for the same set, a miss for a new version, and needs no network for what is kept', async () => {
    await using archive = await startDnfArchive();
    await archive.serve(all);
    await using bench = await openBench(archive);
    const first = await bench.packages('["server"]');

    await archive.serve([...all, { name: 'other', version: '1' }]);
    const same = await bench.packages('["server"]', { pull: true });
    const offline = await bench.packages('["server"]', { network: 'none', noCache: true });
    await archive.serve([server, extras, { ...library, version: '1.3' }]);
    const newer = await bench.packages('["server"]', { pull: true });

    expect(same.ran.filter((title) => title.includes('PACKAGES'))).toEqual([]);
    expect(offline.descriptor.digest).toBe(first.descriptor.digest);
    expect(newer.events).toContainEqual(expect.objectContaining({ type: 'status', text: 'library 1.2-1 → 1.3-1' }));
    expect(newer.descriptor.digest).not.toBe(first.descriptor.digest);
  });

  it('takes weak dependencies when told, and names the nearest package', async () => {
    await using archive = await startDnfArchive();
    await archive.serve(all);
    await using bench = await openBench(archive);
    const pins = new MemoryPins();

    await bench.build('[[steps]]\npackages = ["server=1.0"]\nrecommends = true', { pins });

    expect([...pins.sets.values()].flat().map(({ name }) => name)).toEqual(['extras', 'library', 'server']);
    await expect(bench.packages('["librarry"]')).rejects.toMatchObject({
      code: 'PACKAGES_NOT_FOUND',
      message: 'there is no package librarry; is library meant?',
    });
  });

  it('says when the repository does not have what is pinned', async () => {
    await using archive = await startDnfArchive();
    await archive.serve(all);
    await using bench = await openBench(archive);
    const pins = new MemoryPins();
    await bench.packages('["server"]', { pins });
    await archive.serve([server, { ...library, version: '1.3' }]);
    await using other = await openBench(archive);

    await expect(other.packages('["server"]', { pins })).rejects.toMatchObject({ code: 'PACKAGES_GONE' });
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

async function openBench(archive: DnfArchive): Promise<Bench> {
  const bench = await openTestWorkshop();
  const layout = await OciLayout.open(path.join(bench.context, 'dnf'), { locks: bench.workshop.locks });
  await addBase(layout, 'latest', dnfBase(archive.repository));
  const build: Bench['build'] = (steps, options) =>
    bench.build(`from = "oci:dnf"\n${steps}`, { network: 'host', ...options });
  return {
    bench,
    build,
    packages: (list, options) => build(`[[steps]]\npackages = ${list}`, options),
    [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose](),
  };
}

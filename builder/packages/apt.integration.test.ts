import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { addBase } from '../../fixtures/bases/base-layout.ts';
import { OciLayout } from '../../registry/index.ts';
import { forEachEntry } from '../../runtime/index.ts';
import { type AptArchive, aptBase, type DebPackage, startAptArchive } from '../../test/apt-archive.ts';
import { missing } from '../../test/requirements.ts';
import { openTestWorkshop, type TestBuild, type TestBuildOptions, type TestWorkshop } from '../../test/workshop.ts';
import type { PinnedPackage, Pins } from '../lock/pins.ts';

const server: DebPackage = {
  name: 'server',
  version: '1.0-1',
  depends: 'library (>= 1), common',
  recommends: 'extras',
  files: { 'usr/bin/server': 'run\n' },
  postinst: [
    'echo "$$ $(date +%N)" > /var/log/server-install.log',
    'mkdir -p /var/log/server && : > /var/log/server/access.log',
    'echo moment > /tmp/moment; echo pid > /run/server.pid; mkdir -p /var/lib/server',
    'head -c 8 /dev/urandom > /etc/machine-id',
    'test ! -e /usr/sbin/policy-rc.d || /usr/sbin/policy-rc.d || echo $? > /etc/policy',
  ].join('\n'),
};
const library: DebPackage = { name: 'library', version: '1:1.2-1', provides: 'library-abi' };
const common: DebPackage = { name: 'common', version: '3' };
const extras: DebPackage = { name: 'extras', version: '5' };
const all = [server, library, common, extras];

describe.skipIf(missing('apt', 'busybox', 'root', 'overlay'))('packages with apt', () => {
  it('installs what a name needs, and leaves no cache, log or identity', async () => {
    await using bench = await openBench(all);

    const built = await bench.packages('["server"]');

    const layer = await entriesOf(bench, built);
    expect(
      [...layer.keys()].filter((name) => /cache|log\/|^tmp|^run|lists|-old|lock|kiln|policy-rc/i.test(name)),
    ).toEqual(['var/log/server', 'var/log/server/access.log']);
    expect(layer.get('usr/bin/server')).toMatchObject({ seconds: 1_600_000_000 });
    expect(layer.get('var/lib/dpkg/status')).toMatchObject({ seconds: 1 });
    expect(layer.get('etc/machine-id')?.text).toBe('');
    expect(layer.get('etc/policy')?.text).toBe('101\n');
    expect(layer.has('usr/share/extras')).toBe(false);
    expect(layer.get('var/lib/apt/extended_states')?.text).toMatch(/^Package: common\n[\s\S]*Package: library\n/);
    expect(layer.get('var/lib/apt/extended_states')?.text).not.toContain('Package: server');
  });

  it('keeps what the base has where the install wrote over it', async () => {
    await using bench = await openBench(all);

    const built = await bench.build(
      '[[steps]]\npackages = ["server"]\n[[steps]]\nrun = "cat /var/log/dpkg.log > /log; ls /var/log /tmp > /ls"',
    );

    const layer = await entriesOf(bench, built);
    expect(layer.get('log')?.text).toBe('of the base\n');
    expect(layer.get('ls')?.text).toContain('dpkg.log');
    expect(layer.get('ls')?.text).not.toContain('moment');
  });

  it('gives the same layer again from an empty store', async () => {
    await using archive = await startAptArchive();
    await archive.serve(all);
    await using one = await openBench(all, archive);
    await using other = await openBench(all, archive);

    const [first, second] = [await one.packages('["server"]'), await other.packages('["server"]')];

    expect(second.descriptor.digest).toBe(first.descriptor.digest);
  });

  it('is a hit without a container or a request while nobody asks the archive', async () => {
    await using bench = await openBench(all);
    await bench.packages('["server"]');
    const asked = bench.archive.requests.length;

    const again = await bench.packages('["server"]', { network: 'none' });

    expect(again.cached.at(-1)).toContain('PACKAGES server');
    expect(bench.archive.requests).toHaveLength(asked);
  });

  it('is a hit when the archive changed elsewhere', async () => {
    await using bench = await openBench(all);
    await bench.packages('["server"]');
    await bench.archive.serve([...all, { name: 'new', version: '1' }, { name: 'extras', version: '9' }]);

    const again = await bench.packages('["server"]', { pull: true });

    expect(again.ran.filter((title) => title.includes('PACKAGES'))).toEqual([]);
    expect(statusLines(again).some((text) => text.includes('→'))).toBe(false);
  });

  it('is a miss, and says so, when one member has a security update', async () => {
    await using bench = await openBench(all);
    const pins = new MemoryPins();
    const before = await bench.packages('["server"]', { pins });
    await bench.archive.serve([...all, { ...library, version: '1:1.2-1+deb12u1', security: true }]);

    const held = await bench.packages('["server"]', { pins });
    const after = await bench.packages('["server"]', { pins, pull: true });

    expect(held.descriptor.digest).toBe(before.descriptor.digest);
    expect([...pins.sets.values()].flat().map(({ version }) => version)).toContain('1:1.2-1+deb12u1');

    expect(statusLines(after)).toContain('library 1:1.2-1 → 1:1.2-1+deb12u1 (security)');
    expect(after.ran.some((title) => title.includes('PACKAGES'))).toBe(true);
    expect(after.descriptor.digest).not.toBe(before.descriptor.digest);
  });

  it('takes recommended packages when told', async () => {
    await using bench = await openBench(all);

    const built = await bench.build('[[steps]]\npackages = ["server"]\nrecommends = true');

    expect((await entriesOf(bench, built)).has('usr/share/extras')).toBe(true);
  });

  it('takes a version that is named, a virtual package, and nothing that is there', async () => {
    await using bench = await openBench([...all, { ...common, version: '4' }]);

    const built = await bench.packages('["common=3", "library-abi"]');
    const again = await bench.build(
      '[[steps]]\npackages = ["common=3", "library-abi"]\n[[steps]]\npackages = ["common=3", "library"]',
    );

    const layer = await entriesOf(bench, built);
    expect(layer.get('usr/share/common')?.text).toBe('3');
    expect(layer.has('usr/share/library')).toBe(true);
    expect(layer.get('var/lib/apt/extended_states')?.text).toBe('');
    expect(again.image.layers).toHaveLength(2);
  });

  it('names the nearest package, and the versions there are', async () => {
    await using bench = await openBench(all);

    await expect(bench.packages('["servre"]')).rejects.toMatchObject({
      code: 'PACKAGES_NOT_FOUND',
      message: 'there is no package servre; is server meant?',
    });
    await expect(bench.packages('["library=9"]')).rejects.toMatchObject({
      code: 'PACKAGES_NOT_FOUND',
      message: 'library has no version 9; the archive has 1:1.2-1',
    });
  });

  it('refuses what is no name before anything runs', async () => {
    await using bench = await openBench(all);
    const step = { verb: 'packages', packages: ['-oDPkg::Pre-Invoke=touch /x'], recommends: false } as const;
    const { resolvePackages } = await import('./resolve.ts');
    const options = { network: 'host', proxies: {}, limits: {}, pull: false, pins: new MemoryPins() } as const;
    const context = { workshop: bench.workshop, platform: bench.workshop.options.platform, options };

    await expect(resolvePackages(context, [], step)).rejects.toMatchObject({ code: 'PACKAGES_NAME_INVALID' });
  });

  it('shows what a package’s own script printed when it fails', async () => {
    await using bench = await openBench([{ name: 'broken', version: '1', postinst: 'echo out of luck; exit 3' }]);

    const failure = await bench.packages('["broken"]').catch((error: unknown) => error);

    expect(failure).toMatchObject({ code: 'STEP_FAILED', command: 'apt-get install broken', exitCode: 100 });
    expect(String((failure as { output: Buffer }).output)).toContain('out of luck');
  });

  it('needs a network only for what is not known or not here', async () => {
    await using bench = await openBench(all);

    await expect(bench.packages('["server"]', { network: 'none' })).rejects.toMatchObject({ code: 'PACKAGES_NETWORK' });
    const pins = new MemoryPins();
    const first = await bench.packages('["server"]', { pins });
    const again = await bench.packages('["server"]', { pins, network: 'none', noCache: true });

    expect(again.descriptor.digest).toBe(first.descriptor.digest);
  });

  it('installs what is pinned while the archive has it, and says when it has not', async () => {
    await using bench = await openBench(all);
    const pins = new MemoryPins();
    const first = await bench.packages('["server"]', { pins });
    const newer = { ...library, version: '1:1.3-1' };
    await bench.archive.serve([...all, newer]);
    await using both = await openBench(all, bench.archive);
    await using gone = await openBench(all, bench.archive);

    const second = await both.packages('["server"]', { pins });
    await bench.archive.serve([server, common, newer]);

    expect(second.descriptor.digest).toBe(first.descriptor.digest);
    await expect(gone.packages('["server"]', { pins })).rejects.toMatchObject({ code: 'PACKAGES_GONE' });
  });

  it('refuses a file that was replaced under its version', async () => {
    await using bench = await openBench(all);
    const pins = new MemoryPins();
    await bench.packages('["server"]', { pins });
    await bench.archive.serve([{ ...server, files: { 'usr/bin/server': 'other\n' } }, library, common]);
    await using other = await openBench(all, bench.archive);

    await expect(other.packages('["server"]', { pins })).rejects.toMatchObject({ code: 'PACKAGES_HASH' });
  });

  it('asks for each root of its own what the same names mean there', async () => {
    await using bench = await openBench(all);
    const pins = new MemoryPins();
    const text = `
      default = "b"
      [stages.a]
      from = "oci:apt"
      steps = [{ packages = ["server"] }]
      [stages.b]
      from = "oci:apt"
      steps = [{ packages = ["common"] }, { packages = ["server"] }, { copy = "/etc/policy", from = "a", to = "/a" }]`;

    await bench.bench.build(text, { network: 'host', pins });

    const sets = [...pins.sets.values()].map((set) => set.map(({ name }) => name).join(' '));
    expect(sets.sort()).toEqual(['common', 'common library server', 'library server']);
  });
});

class MemoryPins implements Pins {
  readonly sets = new Map<string, readonly PinnedPackage[]>();
  find: Pins['find'] = (kind, key) => (kind === 'packages' ? (this.sets.get(key) as never) : undefined);
  keep: Pins['keep'] = (kind, key, value) => {
    if (kind === 'packages') this.sets.set(key, value as readonly PinnedPackage[]);
  };
}

interface Bench extends AsyncDisposable {
  readonly bench: TestWorkshop;
  readonly workshop: TestWorkshop['workshop'];
  readonly archive: AptArchive;
  /** A stage on the base with apt. */
  build(steps: string, options?: TestBuildOptions): Promise<TestBuild>;
  packages(list: string, options?: TestBuildOptions): Promise<TestBuild>;
}

async function openBench(packages: readonly DebPackage[], shared?: AptArchive): Promise<Bench> {
  const archive = shared ?? (await startAptArchive());
  if (shared === undefined) await archive.serve(packages);
  const bench = await openTestWorkshop();
  const layout = await OciLayout.open(path.join(bench.context, 'apt'), { locks: bench.workshop.locks });
  await addBase(layout, 'latest', aptBase(archive.sources));
  const build: Bench['build'] = (steps, options) =>
    bench.build(`from = "oci:apt"\n${steps}`, { network: 'host', ...options });
  return {
    bench,
    workshop: bench.workshop,
    archive,
    build,
    packages: (list, options) => build(`[[steps]]\npackages = ${list}`, options),
    async [Symbol.asyncDispose]() {
      await bench[Symbol.asyncDispose]();
      if (shared === undefined) await archive[Symbol.asyncDispose]();
    },
  };
}

interface Found {
  readonly seconds: number | undefined;
  readonly text: string | undefined;
}

/** What the layers above the base hold. */
async function entriesOf({ workshop }: Bench, { image }: TestBuild): Promise<ReadonlyMap<string, Found>> {
  const found = new Map<string, Found>();
  for (const { descriptor } of image.layers.slice(1)) {
    await forEachEntry(await workshop.content.read(descriptor), async (entry) => {
      const chunks: Buffer[] = [];
      if (entry.type === 'file' && entry.content.kind === 'stream')
        for await (const chunk of entry.content.stream) chunks.push(chunk);
      const seconds = 'mtime' in entry ? entry.mtime.seconds : undefined;
      found.set(entry.path, { seconds, text: entry.type === 'file' ? Buffer.concat(chunks).toString() : undefined });
    });
  }
  return found;
}

function statusLines({ events }: TestBuild): string[] {
  return events.flatMap((event) => (event.type === 'status' ? [event.text] : []));
}

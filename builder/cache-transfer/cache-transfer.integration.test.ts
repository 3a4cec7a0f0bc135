import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { digestHex, LockFolder, parseManifest, parseReference, serializeManifest } from '../../core/index.ts';
import { OciLayout } from '../../registry/index.ts';
import { startDockerRegistry } from '../../test/docker-registry.ts';
import { missing } from '../../test/requirements.ts';
import { openTestWorkshop, type TestBuild, type TestWorkshop } from '../../test/workshop.ts';
import type { CacheDestination, CachePlace } from './cache-place.ts';
import { cacheArtifactType } from './cache-records.ts';
import { exportCache } from './export-cache.ts';
import { cacheSource } from './open-cache.ts';

const buildfile = `
[stages.tools]
from = "busybox"
steps = [{ run = "echo tool > /tool" }]

[stages.base]
from = "busybox"
steps = [{ run = "echo base > /base && head -c 300000 /dev/zero > /zeros" }]

[stages.app]
from = "base"
steps = [
  { copy = "/tool", from = "tools", to = "/bin/tool" },
  { workdir = "/made/here" },
  { run = "true" },
  { test = "test -e /base" },
  { run = "echo a > a", layer = "both" },
  { run = "rm a && echo b > b", layer = "both" },
]
`;

interface Shop extends AsyncDisposable {
  readonly bench: TestWorkshop;
  readonly warnings: string[];
  build(options?: {
    readonly from?: CachePlace;
    readonly text?: string;
    readonly squash?: boolean;
  }): Promise<TestBuild>;
  export(built: TestBuild, place: CachePlace, options?: Partial<CacheDestination>): ReturnType<typeof exportCache>;
}

/** A machine of its own: a store that knows the base and nothing else. */
async function openShop(): Promise<Shop> {
  const bench = await openTestWorkshop();
  const warnings: string[] = [];
  Object.assign(bench.workshop.options, { onWarning: (text: string) => warnings.push(text) });
  return {
    bench,
    warnings,
    build: ({ from, text = buildfile, squash = false } = {}) =>
      bench.build(text, {
        squash,
        ...(from === undefined ? {} : { cacheSources: [cacheSource(bench.workshop, from)] }),
      }),
    export: (built, place, options = {}) =>
      exportCache(bench.workshop, { plans: built.plans }, built, {
        place,
        mode: 'max',
        compression: 'gzip',
        ignoreError: false,
        ...options,
      }),
    [Symbol.asyncDispose]: () => bench[Symbol.asyncDispose](),
  };
}

/** Steps that ran, of those that have a key. */
function ran(built: TestBuild): string[] {
  return built.ran.filter((title) => !title.includes('FROM')).map((title) => title.replace(/^\[.*?\] /, ''));
}

function blobsIn(folder: string): string[] {
  return readdirSync(path.join(folder, 'blobs/sha256')).sort();
}

describe.skipIf(missing('root', 'overlay', 'busybox'))('a cache in a folder', () => {
  it('gives another machine every result, and the same image', async () => {
    await using first = await openShop();
    await using second = await openShop();
    const place: CachePlace = { kind: 'local', folder: path.join(first.bench.home, 'cache') };
    const built = await first.build();
    const exported = await first.export(built, place);

    const again = await second.build({ from: place });

    expect(ran(again)).toEqual([]);
    expect(again.descriptor).toEqual(built.descriptor);
    expect(second.warnings).toEqual([]);
    expect(exported.results).toBe(9);
    // Once it is here, it is not asked for again.
    rmSync(place.folder, { recursive: true });
    expect(ran(await second.build())).toEqual([]);
  });

  it('has, by mode min, what the result was made by, and nothing of what was copied from', async () => {
    await using first = await openShop();
    await using second = await openShop();
    const place: CachePlace = { kind: 'local', folder: path.join(first.bench.home, 'cache') };
    await first.export(await first.build(), place, { mode: 'min' });

    const again = await second.build({ from: place });

    expect(ran(again)).toEqual(['RUN echo tool > /tool']);
  });

  it('has the same bytes for the same results, and is left alone then', async () => {
    await using first = await openShop();
    await using second = await openShop();
    const [one, two] = ['one', 'two'].map(
      (name): CachePlace => ({ kind: 'local', folder: path.join(first.bench.home, name) }),
    );
    if (one === undefined || two === undefined) throw new TypeError();
    const built = await first.build();

    const exported = await first.export(built, one);

    expect((await first.export(built, one)).descriptor).toEqual(exported.descriptor);
    const elsewhere = await second.build({ from: one });
    expect((await second.export(elsewhere, two)).descriptor).toEqual(exported.descriptor);
  });

  it('takes layers as they are when they shall not be compressed', async () => {
    await using first = await openShop();
    await using second = await openShop();
    const place: CachePlace = { kind: 'local', folder: path.join(first.bench.home, 'cache') };
    const built = await first.build();

    await first.export(built, place, { compression: 'uncompressed' });

    expect(blobsIn(place.folder)).toContain(digestHex(built.image.layers.at(-1)?.diffId ?? built.descriptor.digest));
    expect(ran(await second.build({ from: place }))).toEqual([]);
  });

  it('does not grow by what nobody asks for any more', async () => {
    await using shop = await openShop();
    const place: CachePlace = { kind: 'local', folder: path.join(shop.bench.home, 'cache') };
    const text = (mark: number) => `from = "busybox"\nsteps = [{ run = "echo ${mark} > /mark" }]\n`;
    for (const mark of [1, 2, 3]) await shop.export(await shop.build({ text: text(mark) }), place);

    expect(blobsIn(place.folder)).toHaveLength(3);
    expect(readdirSync(place.folder).sort()).toEqual(['.lock', 'blobs', 'index.json', 'oci-layout']);
  });

  it('has squashed images, too', async () => {
    await using first = await openShop();
    await using second = await openShop();
    const place: CachePlace = { kind: 'local', folder: path.join(first.bench.home, 'cache') };
    const built = await first.build({ squash: true });
    await first.export(built, place);

    const again = await second.build({ from: place, squash: true });

    expect(again.descriptor).toEqual(built.descriptor);
    expect(again.trace.merges.length).toBeGreaterThan(0);
  });

  it('is a warning when it is missing or none, and the build goes on', async () => {
    await using shop = await openShop();
    const folder = path.join(shop.bench.home, 'not-there');

    const built = await shop.build({ from: { kind: 'local', folder } });

    expect(ran(built).length).toBeGreaterThan(0);
    expect(shop.warnings).toEqual([
      expect.stringContaining(`cache ${folder}: not used: ${folder} is not an OCI layout`),
    ]);
    mkdirSync(folder);
    writeFileSync(path.join(folder, 'work.txt'), 'mine');
    await expect(shop.export(built, { kind: 'local', folder })).rejects.toMatchObject({ code: 'USAGE_CACHE' });
    expect(existsSync(path.join(folder, 'work.txt'))).toBe(true);
  });

  it.each([
    ['cut off', (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
    ['another layer', () => gzipSync(Buffer.alloc(10_240))],
  ])('with a damaged layer (%s) is a warning, and the step is carried out', async (_what, damage) => {
    await using first = await openShop();
    await using second = await openShop();
    const place = { kind: 'local', folder: path.join(first.bench.home, 'cache') } as const;
    const text =
      'from = "busybox"\nsteps = [{ run = "head -c 300000 /dev/urandom > /noise && rm /noise && echo x > /x" }]\n';
    const built = await first.build({ text });
    await first.export(built, place);
    for (const file of blobsIn(place.folder).map((name) => path.join(place.folder, 'blobs/sha256', name))) {
      const bytes = readFileSync(file);
      if (bytes[0] === 0x1f) writeFileSync(file, damage(bytes));
    }

    const again = await second.build({ from: place, text });

    expect(again.descriptor).toEqual(built.descriptor);
    expect(ran(again)).toHaveLength(1);
    expect(second.warnings).toEqual([expect.stringMatching(/^cache .*: layer sha256:.* not used: /)]);
  });

  it('cannot give another layer than the one it names', async () => {
    await using first = await openShop();
    await using second = await openShop();
    const place = { kind: 'local', folder: path.join(first.bench.home, 'cache') } as const;
    const text = 'from = "busybox"\nsteps = [{ run = "echo x > /x" }]\n';
    const built = await first.build({ text });
    await first.export(built, place);
    await replaceLayers(place.folder, gzipSync(Buffer.alloc(50_000_000)));

    const again = await second.build({ from: place, text });

    expect(again.descriptor).toEqual(built.descriptor);
    expect(second.warnings).toEqual([
      expect.stringMatching(/layer sha256:.* not used: .*sha256:.* should have .* bytes/),
    ]);
  });
});

/** A liar: the manifest names other bytes for each layer, truly described. */
async function replaceLayers(folder: string, bytes: Buffer): Promise<void> {
  await using locks = await (async () => {
    const place = `${folder}-locks`;
    return {
      folder: new LockFolder(place),
      [Symbol.asyncDispose]: async () => rmSync(place, { recursive: true, force: true }),
    };
  })();
  const layout = await OciLayout.open(folder, { locks: locks.folder });
  const root = await layout.resolve('kiln-cache');
  const manifest = parseManifest(readFileSync(layout.blobFile(root.digest)));
  const { streamOf, describe: describeBytes, mediaTypes } = await import('../../core/index.ts');
  const layer = describeBytes(mediaTypes.layerGzip, bytes);
  const lying = serializeManifest({ ...manifest, layers: manifest.layers.map(() => layer) });
  const descriptor = describeBytes(mediaTypes.manifest, lying);
  await layout.write(layer, streamOf(bytes));
  await layout.write(descriptor, streamOf(lying));
  await layout.tag(descriptor, 'kiln-cache');
}

describe.skipIf(missing('root', 'overlay', 'busybox', 'docker-registry'))('a cache in a registry', () => {
  it('gives another machine every result, layer by layer', async () => {
    await using registry = await startDockerRegistry();
    await using first = await openShop();
    await using second = await openShop();
    const place: CachePlace = { kind: 'registry', reference: parseReference(`${registry.host}/app/cache:main`) };
    const built = await first.build();
    const exported = await first.export(built, place);

    const again = await second.build({ from: place });

    expect(ran(again)).toEqual([]);
    expect(again.descriptor).toEqual(built.descriptor);
    expect(second.warnings).toEqual([]);
    const response = await fetch(`http://${registry.host}/v2/app/cache/manifests/main`, {
      headers: { Accept: 'application/vnd.oci.image.manifest.v1+json' },
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    expect(`sha256:${createHash('sha256').update(bytes).digest('hex')}`).toBe(exported.descriptor.digest);
    expect(JSON.parse(bytes.toString())).toMatchObject({ artifactType: cacheArtifactType });
  });

  it('is a warning when the name is not there, or the registry is not', async () => {
    await using registry = await startDockerRegistry();
    await using shop = await openShop();
    const text = 'from = "busybox"\nsteps = [{ run = "echo x > /x" }]\n';

    await shop.build({ text, from: { kind: 'registry', reference: parseReference(`${registry.host}/none:1`) } });

    expect(shop.warnings).toEqual([
      expect.stringContaining(`cache ${registry.host}/none:1: not used: there is no image`),
    ]);
  });

  it('takes what several builds put into one folder at once: the last one counts, and none fails', async () => {
    await using shop = await openShop();
    const folder = path.join(shop.bench.home, 'shared-cache');
    const text = (name: string) => `from = "busybox"\nsteps = [{ run = "head -c 3000000 /dev/urandom > /${name}" }]`;
    const built: TestBuild[] = [];
    for (const name of ['a', 'b', 'c', 'd']) built.push(await shop.build({ text: text(name) }));

    const exports = await Promise.all(built.map((each) => shop.export(each, { kind: 'local', folder })));

    const index = JSON.parse(readFileSync(path.join(folder, 'index.json'), 'utf8'));
    expect(exports.map(({ descriptor }) => descriptor.digest)).toContain(index.manifests[0].digest);
    expect(blobsIn(folder)).toHaveLength(3);
  });
});

import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import {
  type Descriptor,
  describe as descriptorOf,
  mediaTypes,
  parsePlatform,
  serializeManifest,
  streamOf,
  type Target,
} from '../core/index.ts';
import { memoryTarget } from '../registry/index.ts';
import { file } from '../runtime/layer/odd-layers.testing.ts';
import { dpkgStatus, type MadeImage, madeImage } from '../test/made-image.ts';
import { memoryRegistry } from '../test/memory-registry.ts';
import { Bases } from './bases.ts';
import { checkStale, type StaleOptions } from './stale.ts';

const platform = parsePlatform('linux/amd64');
const status = (version: string) => file('var/lib/dpkg/status', dpkgStatus({ zlib: version }));
const nameKey = 'org.opencontainers.image.base.name';
const digestKey = 'org.opencontainers.image.base.digest';

function bench() {
  const registry = memoryRegistry();
  const store = memoryTarget();
  const bases = () => new Bases({ store, repository: (reference) => registry.repository(reference) });
  const repository = registry.at('r.example/base');
  const base = async (version: string): Promise<MadeImage> => {
    const made = await madeImage([[status(version)]], { target: repository, platform });
    await repository.tag(made.root, made.root.digest);
    return made;
  };
  const app = (annotations: Record<string, string>, layers = [[file('app')]]) =>
    madeImage(layers, { annotations, platform });
  const check = async (image: MadeImage, options: Partial<StaleOptions> = {}) => {
    const open = async () => ({ name: 'app', content: image.content, root: image.root });
    const [found] = await checkStale(['app'], open, bases(), { platform, ...options });
    return found;
  };
  return { registry, repository, base, app, check, bases };
}

async function tagIndex(repository: Target, name: string, children: readonly Descriptor[]): Promise<Descriptor> {
  const bytes = serializeManifest({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: children });
  const index = descriptorOf(mediaTypes.index, bytes);
  await repository.write(index, streamOf(bytes));
  await repository.tag(index, name);
  await repository.tag(index, index.digest);
  return index;
}

describe('checkStale', () => {
  it('says when the name means what was recorded, and when it moved', async () => {
    const { repository, base, app, check } = bench();
    const [one, two] = [await base('1'), await base('2')];
    const image = await app({ [nameKey]: 'r.example/base', [digestKey]: one.root.digest });

    await repository.tag(one.root, 'latest');
    expect(await check(image)).toMatchObject({ state: 'current', by: 'digest', base: 'r.example/base:latest' });
    await repository.tag(two.root, 'latest');
    expect(await check(image)).toMatchObject({ state: 'stale', from: one.root.digest, to: two.root.digest });
  });

  it('takes the digest of the platform and that of the index for the same base', async () => {
    const { repository, base, app, check } = bench();
    const [one, other] = [await base('1'), await base('other platform')];
    const arm = { ...other.root, platform: parsePlatform('linux/arm64') };
    const first = await tagIndex(repository, '1', [{ ...one.root, platform }, arm]);
    const byChild = await app({ [nameKey]: 'r.example/base:1', [digestKey]: one.root.digest });
    const byIndex = await app({ [nameKey]: 'r.example/base:1', [digestKey]: first.digest });

    expect(await check(byChild)).toMatchObject({ state: 'current', by: 'platform' });
    expect(await check(byIndex)).toMatchObject({ state: 'current', by: 'digest' });

    // Only the other platform moved.
    const third = await base('other platform, patched');
    await tagIndex(repository, '1', [
      { ...one.root, platform },
      { ...third.root, platform: arm.platform },
    ]);
    expect(await check(byIndex)).toMatchObject({ state: 'current', by: 'platform' });
  });

  it('compares layers of an image that does not say its base, when the base is said', async () => {
    const { registry, repository, base, check } = bench();
    const one = await base('1');
    const image = await madeImage([[status('1')], [file('app')]], { platform });
    const said = { name: 'r.example/base:1', content: repository, root: one.root, isNear: false };

    expect(await check(image, { base: said })).toMatchObject({ state: 'current', by: 'layers' });
    const two = await base('2');
    expect(await check(image, { base: { ...said, root: two.root } })).toMatchObject({
      state: 'stale',
      to: two.root.digest,
    });
    expect(registry.asked).toEqual([]);
  });

  it('reads labels where there are no annotations', async () => {
    const { repository, base, check } = bench();
    const one = await base('1');
    await repository.tag(one.root, 'latest');
    const image = await madeImage([[file('app')]], {
      platform,
      config: { Labels: { [nameKey]: 'r.example/base', [digestKey]: one.root.digest } as never },
    });

    expect(await check(image)).toMatchObject({ state: 'current', by: 'digest' });
  });

  it('tells packages that moved when it is asked to, and when the old base is gone', async () => {
    await using scratch = await mkdtempDisposable(`${tmpdir()}/kiln-stale-`);
    const { repository, base, app, check } = bench();
    const [one, two] = [await base('1'), await base('2')];
    await repository.tag(two.root, 'latest');
    const packages = async () => scratch.path;
    const image = await app({ [nameKey]: 'r.example/base', [digestKey]: one.root.digest });
    const gone = await app({ [nameKey]: 'r.example/base', [digestKey]: `sha256:${'0'.repeat(64)}` });

    expect(await check(image, { packages })).toMatchObject({ packages: [{ name: 'zlib', from: '1', to: '2' }] });
    expect(await check(gone, { packages })).toMatchObject({
      state: 'stale',
      notes: [expect.stringContaining('not at its registry any more')],
    });
  });

  it('does not let one image keep the others back', async () => {
    const { registry, repository, base, app, bases } = bench();
    const one = await base('1');
    await repository.tag(one.root, 'latest');
    registry.unreachable.add('down.example');
    const images: Record<string, MadeImage> = {
      good: await app({ [nameKey]: 'r.example/base', [digestKey]: one.root.digest }),
      down: await app({ [nameKey]: 'down.example/base', [digestKey]: one.root.digest }),
      silent: await app({}),
      bootstrapped: await app({ [nameKey]: 'bootstrap:debian/bookworm', [digestKey]: one.root.digest }),
      wrong: await app({ [nameKey]: '../../etc', [digestKey]: one.root.digest }),
    };
    const open = async (name: string) => {
      const image = images[name];
      if (image === undefined) throw new TypeError(name);
      return { name, content: image.content, root: image.root };
    };

    const found = await checkStale(Object.keys(images), open, bases(), { platform });

    expect(found).toMatchObject([
      { image: 'good', state: 'current' },
      { image: 'down', state: 'unknown', trouble: { code: 'REGISTRY_UNREACHABLE' } },
      { image: 'silent', state: 'unknown', trouble: { code: 'STALE_BASE_UNKNOWN' } },
      { image: 'bootstrapped', state: 'unchecked' },
      { image: 'wrong', state: 'unknown', trouble: { code: 'REFERENCE_INVALID' } },
    ]);
  });

  it('asks for a base that several images have once', async () => {
    const { registry, repository, base, app, bases } = bench();
    const one = await base('1');
    await repository.tag(one.root, 'latest');
    const image = await app({ [nameKey]: 'r.example/base', [digestKey]: one.root.digest });

    await checkStale(['a', 'b', 'c'], async (name) => ({ name, content: image.content, root: image.root }), bases(), {
      platform,
    });

    expect(registry.asked).toEqual(['r.example/base latest']);
  });
});

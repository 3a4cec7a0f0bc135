import { describe, expect, it } from 'vitest';
import type { BootstrapSource } from '../builder/index.ts';
import {
  type Descriptor,
  type Digest,
  describe as describeBytes,
  mediaTypes,
  parseReference,
  platformOf,
  type Reference,
  sha256,
  streamOf,
  ToolError,
} from '../core/index.ts';
import { memoryTarget } from '../registry/index.ts';
import { RebuildHistory } from './history.ts';
import type { ListedImage } from './listed-image.ts';
import { Observer, type Upstreams } from './observe.ts';
import type { Source } from './sources.ts';

const platform = platformOf('x64');
const recorded = [{ name: 'r.example/base:1', digest: sha256('old base') }];
const annotations = { 'kiln.sources': JSON.stringify(recorded) };
const bookworm: BootstrapSource = {
  kind: 'bootstrap',
  distribution: 'debian',
  suite: 'bookworm',
  variant: 'minbase',
  security: true,
  include: [],
};

/** Everything is in one repository in memory; `asked` collects what it was asked for. */
function fakeUpstreams(overrides: Partial<Upstreams> = {}) {
  const target = memoryTarget();
  const asked: string[] = [];
  const upstreams: Upstreams = {
    platform,
    repository: (reference: Reference) => ({
      read: target.read.bind(target),
      resolve: (tag, options) => {
        asked.push(`${reference.repository}:${tag}`);
        return target.resolve(`${reference.repository}:${tag}`, options);
      },
    }),
    bootstrapDigest: async () => sha256('a root'),
    ...overrides,
  };
  const put = async (tag: string | undefined, mediaType: string, document: object): Promise<Descriptor> => {
    const bytes = new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, mediaType, ...document }));
    const descriptor = describeBytes(mediaType, bytes);
    await target.write(descriptor, streamOf(bytes));
    if (tag !== undefined) await target.tag(descriptor, tag);
    return descriptor;
  };
  return { upstreams, asked, put };
}

const config = { mediaType: mediaTypes.config, digest: sha256('config'), size: 6 };
const noHistory = new RebuildHistory({ read: async () => undefined, write: async () => {} });

function image(...sources: readonly Source[]): ListedImage {
  const reference = parseReference('r.example/app:1');
  return {
    name: 'app',
    reference,
    tag: 'r.example/app:1',
    contextFolder: '/nowhere',
    buildfile: '/nowhere/Buildfile',
    ignore: { isIgnored: () => false, mayContainIncluded: () => true },
    plan: { platform, stages: [], targets: ['main'] },
    sources,
    sourceNames: sources.map(({ name }) => name),
    position: { file: 'kiln.toml', line: 1, column: 1 },
  };
}

function onImage(text: string): Source {
  return { kind: 'image', name: text, reference: parseReference(text) };
}

describe('Observer', () => {
  it('reads what an image was built from, and asks for what its base is now', async () => {
    const { upstreams, put } = fakeUpstreams();
    const app = await put('app:1', mediaTypes.manifest, { config, layers: [], annotations });
    const base = await put('base:1', mediaTypes.manifest, { config, layers: [] });

    const seen = await new Observer(upstreams, noHistory).observe(image(onImage('r.example/base:1')));

    expect(seen).toEqual({
      built: { digest: app.digest, sources: recorded },
      current: new Map([['r.example/base:1', { kind: 'digests', digests: [base.digest] }]]),
      last: undefined,
    });
  });

  it('takes the annotations of its platform out of an index', async () => {
    const { upstreams, put } = fakeUpstreams();
    const child = await put(undefined, mediaTypes.manifest, { config, layers: [], annotations });
    const index = await put('app:1', mediaTypes.index, { manifests: [{ ...child, platform }] });

    const { built } = await new Observer(upstreams, noHistory).observe(image());

    expect(built).toEqual({ digest: index.digest, sources: recorded });
  });

  it('knows an image that is not there from one that cannot be asked for', async () => {
    const { upstreams } = fakeUpstreams();
    const asleep: Upstreams = {
      ...upstreams,
      repository: () => ({
        read: () => Promise.reject(new ToolError('REGISTRY_UNAVAILABLE', 'asleep')),
        resolve: () => Promise.reject(new ToolError('REGISTRY_UNAVAILABLE', 'asleep', { hint: 'wait' })),
      }),
    };

    const missing = await new Observer(upstreams, noHistory).observe(image(onImage('r.example/base:1')));
    const unknown = await new Observer(asleep, noHistory).observe(image(onImage('r.example/base:1')));

    expect(missing.built).toBeUndefined();
    expect(missing.current.get('r.example/base:1')).toMatchObject({
      kind: 'unknown',
      trouble: { code: 'REFERENCE_NOT_FOUND' },
    });
    expect(unknown.built).toEqual({
      kind: 'unknown',
      trouble: { code: 'REGISTRY_UNAVAILABLE', message: 'asleep', hint: 'wait' },
    });
  });

  it('does not take a mistake in the program for trouble with a registry', async () => {
    const { upstreams } = fakeUpstreams({ repository: () => ({}) as ReturnType<Upstreams['repository']> });

    await expect(new Observer(upstreams, noHistory).observe(image())).rejects.toThrow(TypeError);
  });

  it('asks for a base once, however many images are built on it, until it is forgotten', async () => {
    const { upstreams, asked, put } = fakeUpstreams();
    await put('base:1', mediaTypes.manifest, { config, layers: [] });
    const observer = new Observer(upstreams, noHistory);
    const built = image(onImage('r.example/base:1'));

    await Promise.all([observer.observe(built), observer.observe(built)]);
    await observer.observe(built);
    const before = asked.filter((name) => name === 'base:1').length;
    observer.forget('r.example/base:1');
    await observer.observe(built);

    expect(before).toBe(1);
    expect(asked.filter((name) => name === 'base:1')).toHaveLength(2);
  });

  it('asks nobody about a base that is named by its digest', async () => {
    const { upstreams, asked } = fakeUpstreams();
    const digest = sha256('pinned');

    const { current } = await new Observer(upstreams, noHistory).observe(image(onImage(`r.example/base:1@${digest}`)));

    expect([...current.values()]).toEqual([{ kind: 'pinned', digest }]);
    expect(asked).toEqual(['app:1']);
  });

  it('asks nobody about the bases of an image that was never built, when only the decision is wanted', async () => {
    const { upstreams, asked } = fakeUpstreams();

    await new Observer(upstreams, noHistory).observe(image(onImage('r.example/base:1')), { onlyToDecide: true });

    expect(asked).toEqual(['app:1']);
  });

  describe('of a bootstrapped root', () => {
    const source: Source = { kind: 'bootstrap', name: 'bootstrap:debian/bookworm', roots: [bookworm, bookworm] };
    const stateWith = async (bootstrapDigest: () => Promise<Digest>) => {
      const { upstreams } = fakeUpstreams({ bootstrapDigest });
      return (await new Observer(upstreams, noHistory).observe(image(source))).current.get(source.name);
    };

    it('asks the archive, and counts equal roots once', async () => {
      expect(await stateWith(async () => sha256('a root'))).toEqual({ kind: 'digests', digests: [sha256('a root')] });
    });

    it('says that it was not checked where the tool is missing', async () => {
      const state = await stateWith(() =>
        Promise.reject(new ToolError('ENVIRONMENT_MISSING_TOOL', 'mmdebstrap is not installed')),
      );

      expect(state).toEqual({ kind: 'unchecked', why: 'mmdebstrap is not installed' });
    });

    it('has trouble when the archive does', async () => {
      const state = await stateWith(() => Promise.reject(new ToolError('BOOTSTRAP_FAILED', 'no archive')));

      expect(state).toMatchObject({ kind: 'unknown', trouble: { code: 'BOOTSTRAP_FAILED' } });
    });
  });
});

import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildImages, noPins, openBuildContext, planBuildfile, pushImage } from '../builder/index.ts';
import { parseReference } from '../core/index.ts';
import { type DockerRegistry, startDockerRegistry } from '../test/docker-registry.ts';
import { missing } from '../test/requirements.ts';
import { openTestWorkshop, type TestWorkshop } from '../test/workshop.ts';
import { RebuildHistory } from './history.ts';
import { type ListedImage, loadImages } from './listed-image.ts';
import { checkImages, type RoundResult, rebuildImages } from './round.ts';

const build = {
  jobs: 2,
  network: 'none',
  proxies: {},
  secrets: { find: async () => undefined },
  sshAgents: new Map<string, string>(),
  limits: {},
} as const;

let registry: DockerRegistry;
let bench: TestWorkshop;

describe.skipIf(missing('root', 'overlay', 'busybox', 'docker-registry'))('rebuilding', () => {
  beforeEach(async () => {
    [registry, bench] = await Promise.all([startDockerRegistry(), openTestWorkshop()]);
  });
  afterEach(async () => {
    await bench[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
  });

  it('follows a base that was pushed again, and rebuilds nothing else', async () => {
    await pushBase('patched', '1');
    await pushBase('steady', '1');
    await put({ moves: `from = "${name('patched')}"`, stays: `from = "${name('steady')}"` });
    const first = await run();
    const current = await check();

    await pushBase('patched', '2');
    const [old, fresh] = [sourceOf(first, 'moves'), await digestAt('patched')];
    const decisions = await checkImages(await load(), bench.workshop);
    const second = await run();

    expect(summary(first)).toEqual(['moves pushed: never built', 'stays pushed: never built']);
    expect(current).toEqual(['moves current', 'stays current']);
    expect(decisions).toMatchObject([
      { image: 'moves', action: 'rebuild', moved: [{ source: name('patched'), from: old, to: fresh }] },
      { image: 'stays', action: 'current' },
    ]);
    expect(second.rebuilds).toMatchObject([{ image: 'moves', outcome: { kind: 'pushed' } }]);
    expect(await fileAt('moves')).toBe('2');
    expect(await run()).toMatchObject({ rebuilds: [] });
    expect(await check()).toEqual(['moves current', 'stays current']);
  });

  it('writes down why, what moved, and what came of it', async () => {
    await pushBase('patched', '1');
    await put({ app: `from = "${name('patched')}"` });
    await run();
    const before = await digestAt('app');
    await pushBase('patched', '2');
    await run();

    const kept = await new RebuildHistory(bench.workshop.records).of(name('app'));

    expect(kept).toMatchObject([
      { reason: 'never built', outcome: { kind: 'pushed', digest: before } },
      {
        image: 'app',
        tag: name('app'),
        reason: expect.stringMatching(/^base 127\.0\.0\.1:\d+\/patched:1 moved sha256:\w{12}… → sha256:\w{12}…$/),
        moved: [{ source: name('patched'), to: await digestAt('patched') }],
        before,
        outcome: { kind: 'pushed', digest: await digestAt('app') },
      },
    ]);
  });

  it('rebuilds a chain from its beginning to its end in one run', async () => {
    await pushBase('root', '1');
    await put({ app: `from = "${name('middle')}"`, middle: `from = "${name('root')}"` });
    const first = await run();

    await pushBase('root', '2');
    const checked = await check();
    const second = await run();

    expect(summary(first)).toEqual(['middle pushed: never built', 'app pushed: never built']);
    expect(checked).toEqual(['middle rebuild', 'app follow']);
    expect(second.rebuilds.map(({ image }) => image)).toEqual(['middle', 'app']);
    expect(await fileAt('app')).toBe('2');
    expect(await run()).toMatchObject({ rebuilds: [] });
  });

  it('needs no state of its own: another store gives the same answers', async () => {
    await pushBase('patched', '1');
    await put({ app: `from = "${name('patched')}"` });
    await run();
    await using elsewhere = await openTestWorkshop();

    const before = await checkImages(await load(), elsewhere.workshop);
    await pushBase('patched', '2');
    const after = await checkImages(await load(), elsewhere.workshop);

    expect(before).toMatchObject([{ action: 'current' }]);
    expect(after).toMatchObject([{ action: 'rebuild' }]);
    expect((await run(elsewhere)).rebuilds).toMatchObject([{ outcome: { kind: 'pushed' } }]);
    expect(await run()).toMatchObject({ rebuilds: [] });
  });

  it('goes on with the others when a base cannot be found or a build fails', async () => {
    await pushBase('patched', '1');
    await put({
      lost: `from = "${name('nowhere')}"`,
      broken: `from = "${name('patched')}"\nsteps = [{ copy = "not-there", to = "/" }]`,
      app: `from = "${name('patched')}"`,
    });

    const result = await run();

    expect(result.rebuilds).toMatchObject([
      { image: 'lost', outcome: { kind: 'failed', trouble: { code: 'REFERENCE_NOT_FOUND' } } },
      { image: 'broken', outcome: { kind: 'failed', trouble: { code: 'COPY_SOURCE_NOT_FOUND' } } },
      { image: 'app', outcome: { kind: 'pushed' } },
    ]);
  });

  it('says for which image a registry gave no answer, and answers for the others', async () => {
    await pushBase('patched', '1');
    await put({ app: `from = "${name('patched')}"`, lost: `from = "${name('patched')}"` });
    await run();
    await put({ app: `from = "${name('patched')}"`, lost: `from = "${name('nowhere')}"` });

    expect(await checkImages(await load(), bench.workshop)).toMatchObject([
      { image: 'app', action: 'current' },
      { image: 'lost', action: 'unknown', trouble: { code: 'REFERENCE_NOT_FOUND' } },
    ]);
  });

  it('does not rebuild for ever an image that hides what it was built from', async () => {
    await pushBase('patched', '1');
    const annotations = { 'kiln.sources': 'no', 'org.opencontainers.image.base.name': 'no' };
    await put({
      app: `from = "${name('patched')}"\n[image]\nannotations = ${tomlTable(annotations)}`,
    });
    await run();

    const again = await run();
    await bench.workshop.records.remove('rebuilds-v1', name('app'));
    const forgotten = await run();
    const last = await run();

    expect(again.rebuilds).toEqual([]);
    expect(forgotten.rebuilds).toMatchObject([{ outcome: { kind: 'unchanged', digest: await digestAt('app') } }]);
    expect(last.rebuilds).toEqual([]);
  });

  it('lets rounds of one store take turns: what the first did is not done again', async () => {
    await pushBase('patched', '1');
    await put({ app: `from = "${name('patched')}"` });

    const rounds = await Promise.all([run(), run()]);

    expect(rounds.map(({ rebuilds }) => rebuilds.length).sort()).toEqual([0, 1]);
  });

  it('stops when it is aborted', async () => {
    await pushBase('patched', '1');
    await put({ app: `from = "${name('patched')}"` });
    const images = await load();

    await expect(
      rebuildImages(images, bench.workshop, { build, signal: AbortSignal.abort(new Error('enough')) }),
    ).rejects.toThrow('enough');
  });
});

function name(image: string): string {
  return `${registry.host}/${image}:1`;
}

/** Writes kiln.toml with these images, in this order. */
async function put(buildfiles: Readonly<Record<string, string>>): Promise<void> {
  const entries = Object.keys(buildfiles).map(
    (image) => `[images.${image}]\ntag = "${name(image)}"\ncontext = "${image}"\n`,
  );
  const files = Object.entries(buildfiles).map(([image, text]) => [`${image}/Buildfile`, text] as const);
  await bench.put({ 'kiln.toml': entries.join('\n'), ...Object.fromEntries(files) });
}

async function pushBase(image: string, version: string): Promise<void> {
  await bench.put({
    [`bases/${image}/version`]: version,
    [`bases/${image}/Buildfile`]: 'from = "scratch"\nsteps = [{ copy = "version", to = "/version" }]',
  });
  const { workshop, context } = bench;
  const { platform } = workshop.options;
  const opened = await openBuildContext(path.join(context, 'bases', image));
  const plan = planBuildfile(opened.buildfileText, opened.buildfileName, {
    args: new Map(),
    targets: [],
    platform,
    buildPlatform: platform,
    baseFolder: opened.buildfileFolder,
  });
  const reference = parseReference(name(image));
  const { contextFolder, ignore } = opened;
  const onEvent = () => {};
  await buildImages({ plans: [plan], names: new Map([['main', [reference]]]) }, workshop, {
    ...build,
    contextFolder,
    buildfile: path.join(contextFolder, 'Buildfile'),
    pins: noPins,
    ignore,
    noCache: false,
    pull: false,
    onEvent,
  });
  await pushImage(workshop, reference, {});
}

function load(): Promise<readonly ListedImage[]> {
  const { platform } = bench.workshop.options;
  return loadImages(path.join(bench.context, 'kiln.toml'), { platform, workingFolder: bench.context });
}

async function run({ workshop }: TestWorkshop = bench): Promise<RoundResult> {
  return rebuildImages(await load(), workshop, { build });
}

async function check(): Promise<string[]> {
  const decisions = await checkImages(await load(), bench.workshop);
  return decisions.map(({ image, action }) => `${image} ${action}`);
}

function summary({ rebuilds }: RoundResult): string[] {
  return rebuilds.map(({ image, outcome, reason }) => `${image} ${outcome.kind}: ${reason}`);
}

function sourceOf({ rebuilds }: RoundResult, image: string) {
  return rebuilds.find((rebuild) => rebuild.image === image)?.sources[0]?.digest;
}

async function digestAt(image: string) {
  return (await bench.workshop.repository(parseReference(name(image))).resolve('1')).digest;
}

/** The content of /version in the image as the registry has it. */
async function fileAt(image: string): Promise<string> {
  await using elsewhere = await openTestWorkshop();
  const built = await elsewhere.build(`
    [stages.source]
    from = "${name(image)}"
    [stages.main]
    from = "busybox"
    steps = [{ copy = "/version", from = "source", to = "/version" }, { run = "cat /version" }]
  `);
  const output = built.events.flatMap((event) => (event.type === 'output' ? [event.bytes.toString()] : []));
  return output.join('');
}

function tomlTable(table: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(table).map(([key, value]) => `"${key}" = "${value}"`);
  return `{ ${pairs.join(', ')} }`;
}

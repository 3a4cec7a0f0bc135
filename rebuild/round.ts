import {
  type BuildEvent,
  type BuildOptions,
  type BuiltTarget,
  buildImages,
  noPins,
  openBootstrapBase,
  pushImage,
  registryDigestOf,
  type Workshop,
} from '../builder/index.ts';
import { type CallOptions, mapConcurrent } from '../core/index.ts';
import { type Decision, decide, decideAll, digestsNow, type Observation } from './decision.ts';
import { RebuildHistory } from './history.ts';
import type { ListedImage } from './listed-image.ts';
import { type ObserveOptions, Observer, type Upstreams } from './observe.ts';
import type { Outcome, Rebuild } from './rebuild.ts';
import { troubleOf } from './trouble.ts';

/** Registries asked at once. */
const concurrency = 8;
/** Rounds of one store take turns: two would build and push the same images. */
const roundLock = 'rebuild';

export type RebuildEvent =
  /** What is to be done about an image, known before it is done. */
  | { readonly type: 'decision'; readonly decision: Decision }
  | { readonly type: 'start'; readonly image: ListedImage; readonly reason: string }
  | { readonly type: 'build'; readonly image: ListedImage; readonly event: BuildEvent }
  /** The whole error behind an outcome, for those who show it. */
  | { readonly type: 'failed'; readonly image: ListedImage; readonly error: unknown }
  | { readonly type: 'rebuilt'; readonly rebuild: Rebuild };

export interface RoundOptions extends CallOptions {
  /** How images are built. */
  readonly build: Pick<BuildOptions, 'jobs' | 'network' | 'proxies' | 'secrets' | 'sshAgents' | 'limits'>;
  /** Must not throw. */
  readonly onEvent?: (event: RebuildEvent) => void;
}

/** What a round found and did, in graph order. */
export interface RoundResult {
  /** The last word about each image. */
  readonly decisions: readonly Decision[];
  readonly rebuilds: readonly Rebuild[];
}

/** Says what would have to be rebuilt, and why. Asks registries and archives; builds and pushes nothing. */
export async function checkImages(
  images: readonly ListedImage[],
  workshop: Workshop,
  options: CallOptions = {},
): Promise<Decision[]> {
  const observer = new Observer(upstreamsOf(workshop), new RebuildHistory(workshop.records));
  return decideAll(images, await observeAll(images, observer, { ...options, onlyToDecide: true }));
}

/**
 * Rebuilds and pushes what has to be, each image after those it is built on, and keeps a record of it. What goes wrong
 * with one image is its outcome and does not stop the others.
 */
export async function rebuildImages(
  images: readonly ListedImage[],
  workshop: Workshop,
  options: RoundOptions,
): Promise<RoundResult> {
  await using _turn = await workshop.locks.acquire(roundLock, 'exclusive', options);
  const history = new RebuildHistory(workshop.records);
  const observer = new Observer(upstreamsOf(workshop), history);
  const observationOf = await observeAll(images, observer, options);
  const first = decideAll(images, observationOf);
  const pushed = new Set<string>();
  const decisions: Decision[] = [];
  const rebuilds: Rebuild[] = [];
  for (const [index, image] of images.entries()) {
    options.signal?.throwIfAborted();
    let decision = first[index];
    let observation = observationOf(image);
    if (decision === undefined || decision.action === 'follow' || image.sourceNames.some((name) => pushed.has(name))) {
      observation = await observer.observe(image, options);
      decision = decide(image, observation);
    }
    decisions.push(decision);
    options.onEvent?.({ type: 'decision', decision });
    if (decision.action !== 'rebuild') continue;
    const rebuild = await rebuildImage(image, decision, observation, workshop, options);
    await history.add(rebuild);
    rebuilds.push(rebuild);
    options.onEvent?.({ type: 'rebuilt', rebuild });
    if (rebuild.outcome.kind !== 'pushed') continue;
    pushed.add(image.tag);
    observer.forget(image.tag);
  }
  return { decisions, rebuilds };
}

async function rebuildImage(
  image: ListedImage,
  decision: Decision & { readonly action: 'rebuild' },
  { current }: Observation,
  workshop: Workshop,
  options: RoundOptions,
): Promise<Rebuild> {
  const { clock } = workshop.options;
  const startedAtMs = clock.now();
  options.onEvent?.({ type: 'start', image, reason: decision.reason });
  const outcome = await outcomeOf(image, decision, workshop, options);
  return {
    image: image.name,
    tag: image.tag,
    startedAtMs,
    durationMs: clock.now() - startedAtMs,
    reason: decision.reason,
    moved: decision.moved,
    sources: digestsNow(current),
    ...(decision.digest === undefined ? {} : { before: decision.digest }),
    outcome,
  };
}

async function outcomeOf(
  image: ListedImage,
  { digest: before }: Decision,
  workshop: Workshop,
  options: RoundOptions,
): Promise<Outcome> {
  const { signal } = options;
  try {
    const { descriptor } = await build(image, workshop, options);
    // Known to be at the registry in this very form: the push would only say so again.
    const known = await registryDigestOf(workshop.records, image.tag, descriptor.digest);
    if (before !== undefined && known === before) return { kind: 'unchanged', digest: before };
    const { digest } = (await pushImage(workshop, image.reference, { signal })).descriptor;
    return { kind: digest === before ? 'unchanged' : 'pushed', digest };
  } catch (error) {
    const trouble = troubleOf(error, options);
    options.onEvent?.({ type: 'failed', image, error });
    return { kind: 'failed', trouble };
  }
}

async function build(image: ListedImage, workshop: Workshop, options: RoundOptions): Promise<BuiltTarget> {
  const names = new Map(image.plan.targets.map((target) => [target, [image.reference]]));
  const { targets } = await buildImages({ plans: [image.plan], names }, workshop, {
    ...options.build,
    contextFolder: image.contextFolder,
    buildfile: image.buildfile,
    pins: noPins,
    ignore: image.ignore,
    noCache: false,
    pull: true,
    signal: options.signal,
    onEvent: (event) => options.onEvent?.({ type: 'build', image, event }),
  });
  const [built] = targets;
  if (built === undefined) throw new TypeError('a plan has a target');
  return built;
}

async function observeAll(
  images: readonly ListedImage[],
  observer: Observer,
  { signal, onlyToDecide = false }: ObserveOptions,
): Promise<(image: Pick<ListedImage, 'tag'>) => Observation> {
  const observations = new Map(
    await mapConcurrent(
      images,
      { concurrency, signal },
      async (image, call) => [image.tag, await observer.observe(image, { ...call, onlyToDecide })] as const,
    ),
  );
  return ({ tag }) => {
    const observation = observations.get(tag);
    if (observation === undefined) throw new TypeError(`${tag} was not observed`);
    return observation;
  };
}

function upstreamsOf(workshop: Workshop): Upstreams {
  const { platform } = workshop.options;
  return {
    platform,
    repository: (reference) => workshop.repository(reference),
    bootstrapDigest: async (source, { signal }) => {
      const { record } = await openBootstrapBase(workshop, source, { signal, platform, pull: true });
      return record.digest;
    },
  };
}

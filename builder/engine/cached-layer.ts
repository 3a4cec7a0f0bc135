import { type CacheKey, type CallOptions, digestHex, formatPlatform, mediaTypes } from '../../core/index.ts';
import type { WrittenLayer } from '../workshop/layers.ts';
import { type CachedResult, cacheKeyOf, type Preimage } from '../workshop/step-cache.ts';
import type { BuildContext, StepScope } from './build-context.ts';
import type { TracedStep } from './build-trace.ts';
import { resultElsewhere } from './cache-elsewhere.ts';
import { chainIdOfState, type StageState } from './stage-state.ts';

/** Bumped when the same inputs would give other bytes. */
const engineVersion = '2';

export interface LayerOutcome {
  readonly state: StageState;
  readonly cached: boolean;
}

/** What every key starts with: engine, platform, the root file system so far. */
export function commonPreimage(context: BuildContext, state: StageState): Preimage {
  const { sourceDateEpoch } = context.plan;
  return [
    ['engine', engineVersion],
    ['platform', formatPlatform(context.platform)],
    ['parent', chainIdOfState(state) ?? 'scratch'],
    ...(sourceDateEpoch === undefined ? [] : [['source-date-epoch', sourceDateEpoch] as const]),
  ];
}

/**
 * The layer for a preimage: out of the cache when its blob is still here, else made by `make`, which gives undefined
 * when the file system did not change. The same preimage is made once, however many steps, builds and processes ask
 * for it meanwhile.
 */
export async function cachedLayer(
  context: BuildContext,
  state: StageState,
  preimage: Preimage,
  make: () => Promise<WrittenLayer | undefined>,
  scope: StepScope,
): Promise<LayerOutcome> {
  const { workshop, platform } = context;
  const { clock } = workshop.options;
  const key = cacheKeyOf(preimage);
  const startedMs = clock.now();
  try {
    const { result, cached } = await lookUp();
    trace({ cached });
    return { state: withResult(state, result), cached };
  } catch (error) {
    trace({ cached: false, unfinished: preimage });
    throw error;
  }

  function trace(outcome: Pick<TracedStep, 'cached' | 'unfinished'>): void {
    context.trace.add(scope.vertex, {
      key,
      ...outcome,
      ...(mustRun(context, scope) ? { forced: true } : {}),
      durationMs: clock.now() - startedMs,
      platform: formatPlatform(platform),
    });
  }

  async function lookUp(): Promise<StepResult> {
    const found = mustRun(context, scope) ? undefined : await usableResult(context, key, scope);
    if (found !== undefined) return { result: found, cached: true };
    const mine: Promise<StepResult>[] = [];
    const under = workshop.stepsUnderWay.run(key, () => {
      const made = makeOnce(context, key, preimage, make, scope);
      mine.push(made);
      return made;
    });
    return mine.length > 0 ? under : joined(under);
  }

  /** Another step of this process does it: if that one is called off, this one still has to. */
  async function joined(under: Promise<StepResult>): Promise<StepResult> {
    const [ended] = await Promise.allSettled([under]);
    if (ended.status === 'fulfilled') return { ...ended.value, cached: true };
    scope.signal?.throwIfAborted();
    return makeOnce(context, key, preimage, make, scope);
  }
}

interface StepResult {
  readonly result: CachedResult;
  readonly cached: boolean;
}

/** With the lock of the key held, so that another process that does the same is waited for. */
async function makeOnce(
  context: BuildContext,
  key: CacheKey,
  preimage: Preimage,
  make: () => Promise<WrittenLayer | undefined>,
  scope: StepScope,
): Promise<StepResult> {
  const { workshop } = context;
  const { clock } = workshop.options;
  const lockName = `step-${digestHex(key)}`;
  await using _lock = await workshop.locks.acquire(lockName, 'exclusive', scope);
  // Whoever waits for it looks for the result before it begins.
  using _forgotten = { [Symbol.dispose]: () => workshop.locks.forget(lockName) };
  const found = mustRun(context, scope) ? undefined : await usableResult(context, key, scope);
  if (found !== undefined) return { result: found, cached: true };
  const elsewhere = mustRun(context, scope) ? undefined : await resultElsewhere(context, key, preimage, scope);
  if (elsewhere !== undefined) return { result: elsewhere, cached: true };

  const startedMs = clock.now();
  const written = await make();
  const result: CachedResult =
    written === undefined ? { size: 0 } : { diffId: written.layer.diffId, size: written.layer.descriptor.size };
  const endedMs = clock.now();
  if (context.options.isTrial !== true) {
    await workshop.cache.remember(key, preimage, result, { atMs: endedMs, durationMs: endedMs - startedMs });
  }
  return { result, cached: false };
}

function mustRun({ options }: BuildContext, { stage }: StepScope): boolean {
  return options.noCache || options.noCacheStages?.has(stage) === true;
}

/** What is remembered for a key, its layer being here; undefined when the step has to be carried out. */
export async function usableResult(
  context: BuildContext,
  key: CacheKey,
  options: CallOptions,
): Promise<CachedResult | undefined> {
  const { workshop } = context;
  const found = await workshop.cache.find(key);
  if (found === undefined || (await isHere(found))) return found;
  return undefined;

  async function isHere({ diffId, size }: CachedResult): Promise<boolean> {
    return diffId === undefined || workshop.content.has({ mediaType: mediaTypes.layer, digest: diffId, size }, options);
  }
}

function withResult(state: StageState, { diffId, size }: CachedResult): StageState {
  if (diffId === undefined) return state;
  const descriptor = { mediaType: mediaTypes.layer, digest: diffId, size };
  return { ...state, layers: [...state.layers, { descriptor, diffId }] };
}

import { type CacheKey, type CallOptions, mediaTypes } from '../../core/index.ts';
import type { WrittenLayer } from '../workshop/layers.ts';
import { type CachedResult, cacheKeyOf, type Preimage } from '../workshop/step-cache.ts';
import type { BuildContext } from './build-context.ts';
import { chainIdOfState, type StageState } from './stage-state.ts';

/** Bumped when the same inputs would give other bytes. */
const engineVersion = '1';

export interface LayerOutcome {
  readonly state: StageState;
  readonly cached: boolean;
}

/** What every key starts with: engine, platform, the root file system so far. */
export function commonPreimage(context: BuildContext, state: StageState): Preimage {
  const { sourceDateEpoch } = context.plan;
  return [
    ['engine', engineVersion],
    ['platform', `${context.platform.os}/${context.platform.architecture}/${context.platform.variant ?? ''}`],
    ['parent', chainIdOfState(state) ?? 'scratch'],
    ...(sourceDateEpoch === undefined ? [] : [['source-date-epoch', sourceDateEpoch] as const]),
  ];
}

/**
 * The layer for a preimage: out of the cache when its blob is still here, else made by `make`, which gives undefined
 * when the file system did not change.
 */
export async function cachedLayer(
  context: BuildContext,
  state: StageState,
  preimage: Preimage,
  make: () => Promise<WrittenLayer | undefined>,
  options: CallOptions,
): Promise<LayerOutcome> {
  const { workshop } = context;
  const key = cacheKeyOf(preimage);
  const found = context.options.noCache ? undefined : await usableResult(context, key, options);
  if (found !== undefined) return { state: withResult(state, found), cached: true };

  const startedMs = workshop.options.clock.now();
  const written = await make();
  const result: CachedResult =
    written === undefined ? { size: 0 } : { diffId: written.layer.diffId, size: written.layer.descriptor.size };
  const endedMs = workshop.options.clock.now();
  await workshop.cache.remember(key, preimage, result, { atMs: endedMs, durationMs: endedMs - startedMs });
  return { state: withResult(state, result), cached: false };
}

async function usableResult(
  context: BuildContext,
  key: CacheKey,
  options: CallOptions,
): Promise<CachedResult | undefined> {
  const found = await context.workshop.cache.find(key);
  if (found?.diffId === undefined) return found;
  const descriptor = { mediaType: mediaTypes.layer, digest: found.diffId, size: found.size };
  return (await context.workshop.content.has(descriptor, options)) ? found : undefined;
}

function withResult(state: StageState, { diffId, size }: CachedResult): StageState {
  if (diffId === undefined) return state;
  const descriptor = { mediaType: mediaTypes.layer, digest: diffId, size };
  return { ...state, layers: [...state.layers, { descriptor, diffId }] };
}

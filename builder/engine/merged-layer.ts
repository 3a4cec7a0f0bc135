import { type CallOptions, chainIdsOf, formatPlatform, type Image, mediaTypes } from '../../core/index.ts';
import { type ByteString, mergedEntries, RootView } from '../../runtime/index.ts';
import { openLayerFiles } from '../workshop/layer-files.ts';
import { writeLayer } from '../workshop/layers.ts';
import { type CachedResult, cacheKeyOf, type Preimage } from '../workshop/step-cache.ts';
import type { BuildContext } from './build-context.ts';
import { resultElsewhere } from './cache-elsewhere.ts';
import { usableResult } from './cached-layer.ts';

type Layer = Image['layers'][number];

/** Bumped when the same layers would give other bytes. */
const mergeVersion = '1';

export interface MergeRequest extends CallOptions {
  /** Layers to be one, lowest first. */
  readonly layers: readonly Layer[];
  /** Those they lie on; with none, the result is a whole root file system. */
  readonly below: readonly Layer[];
  readonly stage: string;
}

/**
 * Several neighbouring layers as one with the same effect; undefined when they have none. Made once and remembered as
 * the results of steps are, so that caches elsewhere take and give it too.
 */
export async function mergedLayer(context: BuildContext, request: MergeRequest): Promise<Layer | undefined> {
  const { workshop, platform, trace } = context;
  const preimage: Preimage = [
    ['verb', 'merge'],
    ['merge', mergeVersion],
    ['parent', chainIdsOf(request.below.map(({ diffId }) => diffId)).at(-1) ?? 'scratch'],
    ['layers', request.layers.map(({ diffId }) => diffId)],
  ];
  const key = cacheKeyOf(preimage);
  trace.addMerge({ stage: request.stage, platform: formatPlatform(platform), key });
  const known = (await usableResult(context, key, request)) ?? (await resultElsewhere(context, key, preimage, request));
  if (known !== undefined) return layerOf(known);

  const startedMs = workshop.options.clock.now();
  const result = await merge(context, request);
  const atMs = workshop.options.clock.now();
  await workshop.cache.remember(key, preimage, result, { atMs, durationMs: atMs - startedMs });
  return layerOf(result);
}

async function merge(context: BuildContext, { layers, below, signal }: MergeRequest): Promise<CachedResult> {
  const { workshop } = context;
  await using opened = await openLayerFiles(workshop, layers, { signal });
  const isBelow = below.length === 0 ? undefined : await lookupIn(context, below, { signal });
  const entries = mergedEntries(opened.files, {
    signal,
    isComplete: below.length === 0,
    ...(isBelow === undefined ? {} : { isBelow }),
  });
  const written = await writeLayer(workshop, entries, { signal });
  if (written === undefined) return { size: 0 };
  return { diffId: written.layer.diffId, size: written.layer.descriptor.size };
}

/** Whether layers have something at a path: what came and went within a group leaves no mark then. */
async function lookupIn(
  { workshop }: BuildContext,
  below: readonly Layer[],
  options: CallOptions,
): Promise<(path: ByteString) => Promise<boolean>> {
  const view = new RootView(workshop.options.launcher, await workshop.snapshotOf(below, options));
  return async (path) => (await view.lookup(path)) !== undefined;
}

function layerOf({ diffId, size }: CachedResult): Layer | undefined {
  if (diffId === undefined) return undefined;
  return { diffId, descriptor: { mediaType: mediaTypes.layer, digest: diffId, size } };
}

import { type CacheKey, type CallOptions, mediaTypes } from '../../core/index.ts';
import type { CachedResult, Preimage } from '../workshop/step-cache.ts';
import type { BuildContext } from './build-context.ts';

/**
 * A result that this store does not know and a cache elsewhere does, its layer brought here; remembered as if it had
 * been made here. What is remembered as its making is our own: only key and layer are taken from there.
 */
export async function resultElsewhere(
  { workshop, options }: BuildContext,
  key: CacheKey,
  preimage: Preimage,
  call: CallOptions,
): Promise<CachedResult | undefined> {
  for (const source of options.cacheSources ?? []) {
    const found = await source.find(key, call);
    if (found === undefined) continue;
    const { diffId, size } = found;
    if (diffId !== undefined) {
      const isHere = await workshop.content.has({ mediaType: mediaTypes.layer, digest: diffId, size }, call);
      if (!isHere && !(await source.fetchLayer({ diffId, size }, call))) continue;
    }
    await workshop.cache.remember(key, preimage, found, { atMs: workshop.options.clock.now(), durationMs: 0 });
    return found;
  }
  return undefined;
}

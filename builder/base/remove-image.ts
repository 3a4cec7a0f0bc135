import { type CallOptions, type Digest, formatReference, type Reference, withDefaultTag } from '../../core/index.ts';
import { pruneStore } from '../prune/prune.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { findLocal } from './pull-image.ts';
import { imageNotFound } from './push-image.ts';

export interface RemovedImage {
  readonly name: string;
  readonly digest: Digest;
}

/**
 * Takes names out of the store. What nothing refers to any more is deleted, but for what another process uses at the
 * moment; the next removal does that.
 * @throws NotFoundError IMAGE_NOT_FOUND before anything is removed
 */
export async function removeImages(
  workshop: Workshop,
  references: readonly Reference[],
  options: CallOptions = {},
): Promise<RemovedImage[]> {
  const removed: RemovedImage[] = [];
  for (const reference of references) {
    const name = formatReference(withDefaultTag(reference));
    const found = await findLocal(workshop, name, options);
    if (found === undefined) throw imageNotFound(name);
    removed.push({ name, digest: found.digest });
  }
  for (const { name } of removed) {
    await workshop.content.untag(name);
    await workshop.records.remove('origins-v1', name);
  }
  await pruneStore(workshop, { ...options, all: false, dryRun: false });
  return removed;
}

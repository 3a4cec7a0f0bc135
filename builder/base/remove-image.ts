import {
  type CallOptions,
  type ChainId,
  chainIdsOf,
  type Digest,
  formatReference,
  openImage,
  parseDescriptor,
  type Reference,
  withDefaultTag,
} from '../../core/index.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { findLocal } from './pull-image.ts';
import { imageNotFound } from './push-image.ts';

/** A blob this young may belong to an image that is being written. */
const minBlobAgeMs = 60 * 60 * 1000;

export interface RemovedImage {
  readonly name: string;
  readonly digest: Digest;
}

/**
 * Takes names out of the store. What no name, cached step or bootstrapped base needs any more is deleted, when no
 * other Kiln process uses the store at the moment; otherwise the next removal does it.
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
  await collect(workshop, options);
  return removed;
}

async function collect(workshop: Workshop, options: CallOptions): Promise<void> {
  await using alone = await workshop.alone();
  if (alone === undefined) return;
  const now = workshop.options.clock.now();
  await workshop.content.collectGarbage({ ...options, keep: await keptDigests(workshop), now, minAgeMs: minBlobAgeMs });
  await removeSnapshots(workshop, options);
}

async function keptDigests(workshop: Workshop): Promise<Set<Digest>> {
  const kept = new Set<Digest>();
  for await (const diffId of workshop.cache.diffIds()) kept.add(diffId);
  for await (const record of workshop.records.all('bootstrap-sets-v1')) {
    if (typeof record === 'object' && record !== null && 'descriptor' in record)
      kept.add(parseDescriptor(record.descriptor).digest);
  }
  return kept;
}

/** Unpacked layers are a cache of blobs: those under a name stay, the others are unpacked again when needed. */
async function removeSnapshots(workshop: Workshop, options: CallOptions): Promise<void> {
  const used = new Set<ChainId>();
  for (const { descriptor } of await workshop.content.list()) {
    const image = await openImage(workshop.content, descriptor, {
      ...options,
      platform: workshop.options.platform,
    }).catch(() => undefined);
    for (const chainId of chainIdsOf(image?.config.diffIds ?? [])) used.add(chainId);
  }
  const snapshots = await workshop.snapshots();
  await snapshots.removeAllBut(used);
}

import { type CallOptions, type Digest, diskUseOf, isDigest } from '../../core/index.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { type StoreItem, storeItems } from './store-items.ts';

export interface PruneOptions extends CallOptions {
  /** Everything that can be made again, not only what nothing refers to. */
  readonly all: boolean;
  /** Also whatever was last used before, milliseconds since the epoch. */
  readonly olderThanMs?: number;
  /** Also what was used longest ago, until the whole store takes no more than this on disk. */
  readonly maxBytes?: number;
  /** Only says what it would do. */
  readonly dryRun: boolean;
}

export interface PrunedItem {
  readonly kind: StoreItem['kind'];
  readonly id: string;
  readonly bytes: number;
  readonly lastUsedMs: number;
}

export interface PruneResult {
  readonly removed: readonly PrunedItem[];
  readonly freedBytes: number;
  /** What the store takes now, everything in it. */
  readonly remainingBytes: number;
}

/**
 * Removes from the store what can be made again. Never what an image with a name consists of, and never what a process
 * that works with the store has used since it began.
 */
export async function pruneStore(workshop: Workshop, options: PruneOptions): Promise<PruneResult> {
  await using closed = await workshop.closed(options);
  const snapshots = await workshop.snapshots();
  if (!options.dryRun) await snapshots.removeUntrusted(options);
  const items = await storeItems(workshop, options);
  const total = async () => (await diskUseOf(workshop.options.home, { signal: options.signal })).bytes;
  const before = await total();
  const removed: PrunedItem[] = [];
  let freed = 0;
  for (const item of byLastUse(items)) {
    if (!isUnwanted(item, options, before - freed) || item.lastUsedMs > closed.usedBeforeMs) continue;
    const bytes = options.dryRun ? item.bytes : await item.remove(closed.usedBeforeMs, options);
    if (bytes === 0 && item.bytes > 0) continue;
    freed += bytes;
    const { kind, id, lastUsedMs } = item;
    removed.push({ kind, id, bytes, lastUsedMs });
  }
  if (!options.dryRun) {
    await removeDanglingRecords(workshop, options);
    await removeUnusedListings(workshop, closed.usedBeforeMs, options);
    await snapshots.emptyTrash(options);
  }
  return { removed, freedBytes: freed, remainingBytes: options.dryRun ? before - freed : await total() };
}

/** What nothing refers to, then by last use, longest ago first; what lies on another layer before that layer. */
function byLastUse(items: readonly StoreItem[]): StoreItem[] {
  return items.toSorted(
    (a, b) =>
      Number(b.kind === 'garbage') - Number(a.kind === 'garbage') || a.lastUsedMs - b.lastUsedMs || b.depth - a.depth,
  );
}

function isUnwanted(item: StoreItem, { all, olderThanMs, maxBytes }: PruneOptions, takes: number): boolean {
  if (item.kind === 'garbage' || all) return true;
  if (olderThanMs !== undefined && item.lastUsedMs < olderThanMs) return true;
  return maxBytes !== undefined && takes > maxBytes;
}

/** Records of results whose layer is gone. */
async function removeDanglingRecords({ records, content }: Workshop, { signal }: CallOptions): Promise<void> {
  const here = new Set<Digest>((await content.blobs({ signal })).map(({ digest }) => digest));
  for await (const record of records.all('steps-v1')) {
    const { key, result } = record as { readonly key?: unknown; readonly result?: { readonly diffId?: Digest } };
    if (typeof key === 'string' && result?.diffId !== undefined && !here.has(result.diffId)) {
      await records.remove('steps-v1', key);
    }
  }
}

/**
 * Listings of files that no key on record was computed from any more, and that `kiln explain` needs for no step that
 * failed. Each is as long as its tree has files. What selected them goes as well, so that they can be written again.
 */
async function removeUnusedListings(
  { records }: Workshop,
  usedBeforeMs: number,
  { signal }: CallOptions,
): Promise<void> {
  const used = new Set<string>();
  for (const kind of ['steps-v1', 'traces-v1'] as const) {
    for await (const record of records.all(kind)) for (const text of textsIn(record)) used.add(text);
  }
  const removed = new Set<unknown>();
  for await (const { key, writtenMs } of records.entries('listings-v1')) {
    signal?.throwIfAborted();
    if (used.has(key) || writtenMs > usedBeforeMs) continue;
    await records.remove('listings-v1', key);
    removed.add(key);
  }
  for await (const { key, value } of records.entries('selections-v1')) {
    const { listing } = value as { readonly listing?: unknown };
    if (removed.has(listing)) await records.remove('selections-v1', key);
  }
}

/** All digests anywhere in a record. */
function* textsIn(value: unknown): Generator<string> {
  if (typeof value === 'string' && isDigest(value)) yield value;
  else if (typeof value === 'object' && value !== null) for (const part of Object.values(value)) yield* textsIn(part);
}

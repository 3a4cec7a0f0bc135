import { type CallOptions, type Digest, diskUseOf } from '../../core/index.ts';
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

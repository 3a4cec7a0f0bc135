import { readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { type CallOptions, type ChainId, type Digest, diskUseOf, errorCode, isDigest } from '../../core/index.ts';
import type { StoredLayer } from '../../runtime/index.ts';
import type { RecordKind } from '../workshop/record-store.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { type CacheFolder, cacheFolders } from './cache-folders.ts';

/** What of a store can be removed, and comes back when it is needed. */
export interface StoreItem {
  readonly kind: 'garbage' | 'result' | 'unpacked' | CacheFolder['kind'];
  /** Digest, chain id, or name of the folder. */
  readonly id: string;
  /** On disk. */
  readonly bytes: number;
  readonly lastUsedMs: number;
  /** Items that are of no use without this one are further from the root: they go first. */
  readonly depth: number;
  /** Gives the bytes that it set free; 0 when it was used meanwhile. */
  remove(usedBeforeMs: number, options: CallOptions): Promise<number>;
}

/** All items of a store, in no particular order. What has a name is not among them. */
export async function storeItems(workshop: Workshop, options: CallOptions = {}): Promise<StoreItem[]> {
  const snapshots = await workshop.snapshots();
  const layers = await snapshots.list();
  return [
    ...(await blobItems(workshop, options)),
    ...(await incomingItems(workshop)),
    ...(await Promise.all(layers.map((layer) => unpackedItem(workshop, layer, layers, options)))),
    ...(await folderItems(workshop, options)),
  ];
}

/** Blobs that no named image has: garbage, unless a record says whose result they are. */
async function blobItems({ content, records }: Workshop, options: CallOptions): Promise<StoreItem[]> {
  const [named, wanted] = [await content.reachable([]), await content.reachable(await recordedDigests(records))];
  return (await content.blobs(options)).flatMap(({ digest, bytes, lastUsedMs }) => {
    if (named.has(digest)) return [];
    const remove = async (usedBeforeMs: number, call: CallOptions) =>
      (await content.removeBlobs([digest], { ...call, usedBeforeMs })).bytes;
    return [{ kind: wanted.has(digest) ? 'result' : 'garbage', id: digest, bytes, lastUsedMs, depth: 0, remove }];
  });
}

/** Beginnings of blobs whose transfer broke off: the next pull would go on with them. */
async function incomingItems({ content }: Workshop): Promise<StoreItem[]> {
  return (await content.incoming()).map(({ name, bytes, lastUsedMs }) => ({
    kind: 'garbage',
    id: name,
    bytes,
    lastUsedMs,
    depth: 0,
    remove: (usedBeforeMs) => content.removeIncoming(name, { usedBeforeMs }),
  }));
}

/** Kinds of records that point at blobs, and where in the record the digest is. */
const pointers: readonly { readonly kind: RecordKind; readonly at: readonly string[] }[] = [
  { kind: 'steps-v1', at: ['result', 'diffId'] },
  { kind: 'fetches-v1', at: ['digest'] },
  { kind: 'bootstrap-sets-v1', at: ['descriptor', 'digest'] },
];

async function recordedDigests(records: Workshop['records']): Promise<Set<Digest>> {
  const digests = new Set<Digest>();
  for (const { kind, at } of pointers) {
    for await (const record of records.all(kind)) {
      const found = at.reduce<unknown>((value, key) => (isRecord(value) ? value[key] : undefined), record);
      if (typeof found === 'string' && isDigest(found)) digests.add(found);
    }
  }
  return digests;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

async function unpackedItem(
  workshop: Workshop,
  { chainId, lastUsedMs, diskUse }: StoredLayer,
  layers: readonly StoredLayer[],
  options: CallOptions,
): Promise<StoreItem> {
  const bytes = await diskUse(options);
  return {
    kind: 'unpacked',
    id: chainId,
    bytes,
    lastUsedMs,
    depth: depthOf(chainId, new Map(layers.map((layer) => [layer.chainId, layer.parent]))),
    async remove(usedBeforeMs, call) {
      const snapshots = await workshop.snapshots();
      const now = (await snapshots.list()).find((layer) => layer.chainId === chainId);
      if (now === undefined || now.lastUsedMs > usedBeforeMs) return 0;
      await snapshots.remove(chainId, call);
      return bytes;
    },
  };
}

function depthOf(chainId: ChainId, parents: ReadonlyMap<ChainId, ChainId | undefined>): number {
  let depth = 0;
  for (let next = parents.get(chainId); next !== undefined; next = parents.get(next)) depth++;
  return depth;
}

async function folderItems(workshop: Workshop, options: CallOptions): Promise<StoreItem[]> {
  const items: StoreItem[] = [];
  for (const { kind, folder, lockOf } of cacheFolders) {
    const parent = path.join(workshop.options.home, folder);
    for (const name of await namesIn(parent)) {
      const entry = path.join(parent, name);
      const { bytes } = await diskUseOf(entry, options);
      items.push({
        kind,
        id: name,
        bytes,
        lastUsedMs: await lastUse(entry),
        depth: 0,
        async remove(usedBeforeMs, call) {
          await using lock = await workshop.locks.tryAcquire(lockOf(name), 'exclusive');
          if (lock === undefined || (await lastUse(entry)) > usedBeforeMs) return 0;
          await discard(workshop, entry, call);
          return bytes;
        },
      });
    }
  }
  return items;
}

/** Out of the way at once, so that nobody meets half of it; then gone, so that what is told of the disk is so. */
async function discard(workshop: Workshop, folder: string, { signal }: CallOptions): Promise<void> {
  signal?.throwIfAborted();
  await using trash = await (await workshop.scratch()).make('pruned');
  await rename(folder, path.join(trash.path, 'folder')).catch((error: unknown) => {
    if (errorCode(error) === 'ENOTDIR') return rm(folder, { force: true });
    throw error;
  });
}

async function lastUse(file: string): Promise<number> {
  try {
    return (await stat(file)).mtimeMs;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 0;
    throw error;
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => !name.startsWith('.')).sort();
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

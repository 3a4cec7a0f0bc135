import {
  asRecord,
  type CacheKey,
  canonicalJson,
  type DiffId,
  parseCacheKey,
  parseDiffId,
  ToolError,
} from '../../core/index.ts';
import { type CachedResult, cacheKeyOf, type Preimage } from '../workshop/step-cache.ts';

/** What a cache's manifest says it is. */
export const cacheArtifactType = 'application/vnd.kiln.cache.v1';
/** Its config: the results. Its layers are those of the results. */
export const cacheRecordsType = 'application/vnd.kiln.cache.records.v1+json';

/** Larger ones are refused unread. */
export const maxCacheRecordsBytes = 64 * 1024 * 1024;

export interface CacheRecord {
  readonly key: CacheKey;
  /** What the key was computed from. */
  readonly preimage: Preimage;
  readonly result: CachedResult;
}

export interface CacheLayer {
  readonly diffId: DiffId;
  /** Bytes of the tar. */
  readonly size: number;
}

/** What a cache holds; the nth layer is the nth of the manifest, compressed or not. */
export interface CacheContent {
  readonly records: readonly CacheRecord[];
  readonly layers: readonly CacheLayer[];
}

/** The bytes of a cache's records: equal content gives equal bytes. */
export function serializeCacheRecords({ records, layers }: CacheContent): Buffer {
  const sorted = [...records].sort((a, b) => (a.key < b.key ? -1 : 1));
  const results = sorted.map(({ preimage, result: { diffId } }) => ({
    preimage,
    ...(diffId === undefined ? {} : { diffId }),
  }));
  return Buffer.from(canonicalJson({ version: 1, layers, results }));
}

/**
 * Understands a cache that anybody may have written. Keys are computed anew from what is said of them, so that none can
 * be given that belongs to something else.
 * @throws ToolError CACHE_INVALID, DIGEST_INVALID, DESCRIPTOR_INVALID
 */
export function parseCacheRecords(bytes: Uint8Array): CacheContent {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new ToolError('CACHE_INVALID', 'the records of the cache are not JSON', { cause });
  }
  const { version, layers, results } = asRecord(value, 'the records of a cache');
  if (version !== 1) throw invalid(`version ${JSON.stringify(version)} is not known to this Kiln`);
  if (!Array.isArray(layers) || !Array.isArray(results)) throw invalid('lists are missing');
  const parsed = layers.map(parseLayer);
  const sizes = new Map(parsed.map(({ diffId, size }) => [diffId, size]));
  return { layers: parsed, records: results.map((record) => parseRecord(record, sizes)) };
}

function parseLayer(value: unknown): CacheLayer {
  const { diffId, size } = asRecord(value, 'a layer of a cache');
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) throw invalid('a layer has no usable size');
  return { diffId: parseDiffId(diffId), size };
}

function parseRecord(value: unknown, sizes: ReadonlyMap<DiffId, number>): CacheRecord {
  const record = asRecord(value, 'a result of a cache');
  const preimage = parsePreimage(record.preimage);
  const key = parseCacheKey(cacheKeyOf(preimage));
  if (record.diffId === undefined) return { key, preimage, result: { size: 0 } };
  const diffId = parseDiffId(record.diffId);
  const size = sizes.get(diffId);
  if (size === undefined) throw invalid(`the layer ${diffId} of a result is not among its layers`);
  return { key, preimage, result: { diffId, size } };
}

function parsePreimage(value: unknown): Preimage {
  const isValue = (item: unknown) =>
    ['string', 'number', 'boolean'].includes(typeof item) ||
    (Array.isArray(item) && item.every((each) => typeof each === 'string'));
  const isPair = (item: unknown) =>
    Array.isArray(item) && item.length === 2 && typeof item[0] === 'string' && isValue(item[1]);
  if (!Array.isArray(value) || value.length === 0 || !value.every(isPair)) {
    throw invalid('a result does not say what it was made of');
  }
  return value as unknown as Preimage;
}

function invalid(why: string): ToolError {
  return new ToolError('CACHE_INVALID', `the records of the cache cannot be used: ${why}`);
}

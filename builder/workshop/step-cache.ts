import { type CacheKey, canonicalJson, type DiffId, parseCacheKey, parseDiffId, sha256 } from '../../core/index.ts';
import type { RecordStore } from './record-store.ts';

/**
 * Everything a step's result depends on, as named values in a fixed order. The names are what `kiln explain` will
 * speak in, so they are kept whole beside the key.
 */
export type Preimage = readonly (readonly [name: string, value: PreimageValue])[];
export type PreimageValue = string | number | boolean | readonly string[];

/** What a step produced; no diffId when it changed nothing in the file system. */
export interface CachedResult {
  readonly diffId?: DiffId;
  /** Bytes of the layer's tar. */
  readonly size: number;
}

/** Canonical JSON keeps components apart: no two preimages share their bytes. */
export function cacheKeyOf(preimage: Preimage): CacheKey {
  return parseCacheKey(sha256(canonicalJson(preimage)));
}

/** Results by key, with the preimage of each. */
export class StepCache {
  readonly #records: RecordStore;

  constructor(records: RecordStore) {
    this.#records = records;
  }

  async find(key: CacheKey): Promise<CachedResult | undefined> {
    return parseResult(await this.#records.read('steps-v1', key));
  }

  /** What a key was computed from; undefined when it is not on record. */
  async preimageOf(key: CacheKey): Promise<Preimage | undefined> {
    return parsePreimage(await this.#records.read('steps-v1', key));
  }

  /** All that are on record, in no particular order. */
  async *preimages(): AsyncGenerator<Preimage> {
    for await (const record of this.#records.all('steps-v1')) {
      const preimage = parsePreimage(record);
      if (preimage !== undefined) yield preimage;
    }
  }

  async remember(
    key: CacheKey,
    preimage: Preimage,
    result: CachedResult,
    made: { readonly atMs: number; readonly durationMs: number },
  ): Promise<void> {
    await this.#records.write('steps-v1', key, { key, preimage, result, ...made });
  }

  /** Layers that results point at: garbage collection keeps their blobs. */
  async *diffIds(): AsyncGenerator<DiffId> {
    for await (const record of this.#records.all('steps-v1')) {
      const result = parseResult(record);
      if (result?.diffId !== undefined) yield result.diffId;
    }
  }
}

function parseResult(record: unknown): CachedResult | undefined {
  if (typeof record !== 'object' || record === null || !('result' in record)) return undefined;
  const { diffId, size } = record.result as { diffId?: unknown; size?: unknown };
  if (typeof size !== 'number') return undefined;
  try {
    return diffId === undefined ? { size } : { size, diffId: parseDiffId(diffId) };
  } catch {
    return undefined;
  }
}

function parsePreimage(record: unknown): Preimage | undefined {
  if (typeof record !== 'object' || record === null || !('preimage' in record)) return undefined;
  return Array.isArray(record.preimage) ? (record.preimage as unknown as Preimage) : undefined;
}

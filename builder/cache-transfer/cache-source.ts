import type { CacheKey, CallOptions } from '../../core/index.ts';
import type { CachedResult } from '../workshop/step-cache.ts';

/** Results of steps that were carried out elsewhere. Asked when this store knows none. */
export interface CacheSource {
  find(key: CacheKey, options?: CallOptions): Promise<CachedResult | undefined>;
  /**
   * Brings a result's layer into the store, verified.
   * @returns false when it cannot be had: the step is carried out then
   */
  fetchLayer(result: Required<CachedResult>, options?: CallOptions): Promise<boolean>;
}

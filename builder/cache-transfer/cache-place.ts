import type { Reference } from '../../core/index.ts';

/** Where results of steps are kept for other machines: a name in a registry, or a folder of this machine. */
export type CachePlace =
  | { readonly kind: 'registry'; readonly reference: Reference }
  /** Absolute path. */
  | { readonly kind: 'local'; readonly folder: string };

export interface CacheDestination {
  readonly place: CachePlace;
  /**
   * `min` has the steps that the results were made by; `max` those of stages that were only copied from, too: without
   * them such stages are built again.
   */
  readonly mode: 'min' | 'max';
  readonly compression: 'gzip' | 'uncompressed';
  /** A failure is a warning, not the build's. */
  readonly ignoreError: boolean;
}

/** The name of the cache in a folder. */
export const localCacheName = 'kiln-cache';

import type { CallOptions } from '../../core/index.ts';
import type { Entry } from './entry.ts';

/**
 * The entries of one layer that does what several do one after the other.
 * @param files uncompressed tars, lowest first
 */
export function mergedEntries(
  _files: readonly string[],
  _options: CallOptions & {
    /** Nothing lies below: marks that hide something are left out. */
    readonly isComplete: boolean;
  },
): AsyncIterable<Entry> {
  throw new Error('not yet');
}

import type { BaseRecord } from '../builder/index.ts';
import type { Digest } from '../core/index.ts';
import type { Trouble } from './decision.ts';
import type { Move } from './sources.ts';

/** One rebuild of one image: why, what moved, what came of it. This is what is kept. */
export interface Rebuild {
  /** Key of kiln.toml. */
  readonly image: string;
  /** Full reference. */
  readonly tag: string;
  /** Milliseconds since the epoch. */
  readonly startedAtMs: number;
  readonly durationMs: number;
  /** Why, as a sentence. */
  readonly reason: string;
  readonly moved: readonly Move[];
  /** What the sources meant when it was decided. */
  readonly sources: readonly BaseRecord[];
  /** The digest at the registry before; undefined when there was none. */
  readonly before?: Digest;
  readonly outcome: Outcome;
}

export type Outcome =
  /** Built, and its tag at the registry means the new digest. */
  | { readonly kind: 'pushed'; readonly digest: Digest }
  /** Built, and it came out as the registry has it: nothing was pushed. */
  | { readonly kind: 'unchanged'; readonly digest: Digest }
  | { readonly kind: 'failed'; readonly trouble: Trouble };

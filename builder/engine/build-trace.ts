import type { CacheKey } from '../../core/index.ts';
import type { BaseRecord } from '../base/image-base.ts';
import type { Vertex } from '../events.ts';
import type { RecordStore } from '../workshop/record-store.ts';
import type { Preimage } from '../workshop/step-cache.ts';

/** How one step of a build went: what `kiln explain` starts from. */
export interface TracedStep {
  readonly stage: string;
  readonly platform: string;
  /** As progress showed it. */
  readonly title: string;
  readonly line: number;
  readonly key: CacheKey;
  readonly cached: boolean;
  /** Carried out although there may have been a result: `--no-cache`. */
  readonly forced?: boolean;
  /** Set on a step that failed or was called off: nothing else keeps what its key was made of. */
  readonly unfinished?: Preimage;
  readonly durationMs: number;
}

/** What a stage started from. */
export interface TracedBase {
  readonly stage: string;
  readonly platform: string;
  readonly base: BaseRecord;
}

/** Layers that were made one. */
export interface TracedMerge {
  readonly stage: string;
  readonly platform: string;
  readonly key: CacheKey;
}

/** A build as it is remembered. */
export interface RememberedTrace {
  readonly atMs: number;
  readonly bases: readonly TracedBase[];
  readonly steps: readonly TracedStep[];
}

/** The last builds of one Buildfile with one context. */
export interface RememberedTraces {
  readonly last: RememberedTrace;
  /** The one before it; undefined after the first. */
  readonly before?: RememberedTrace;
}

/** Collects the steps of one build. */
export class BuildTrace {
  readonly #bases: TracedBase[] = [];
  readonly #steps: TracedStep[] = [];
  readonly #merges: TracedMerge[] = [];

  get steps(): readonly TracedStep[] {
    return this.#steps;
  }

  get merges(): readonly TracedMerge[] {
    return this.#merges;
  }

  addMerge(merge: TracedMerge): void {
    this.#merges.push(merge);
  }

  addBase(base: TracedBase): void {
    this.#bases.push(base);
  }

  add(vertex: Vertex, step: Omit<TracedStep, 'stage' | 'title' | 'line'>): void {
    this.#steps.push({ stage: vertex.stage ?? '', title: vertex.title, line: vertex.position?.line ?? 0, ...step });
  }

  /** Keeps this trace as the last one. */
  async keep(records: RecordStore, name: string, atMs: number): Promise<void> {
    if (this.#steps.length === 0) return;
    const before = (await readTraces(records, name))?.last;
    const last: RememberedTrace = { atMs, bases: this.#bases, steps: this.#steps };
    await records.write('traces-v1', name, { last, ...(before === undefined ? {} : { before }) });
  }
}

/** What a build of this Buildfile with this context is remembered under. */
export function traceName(buildfile: string, contextFolder: string): string {
  return JSON.stringify([buildfile, contextFolder]);
}

export async function readTraces(records: RecordStore, name: string): Promise<RememberedTraces | undefined> {
  const record = await records.read('traces-v1', name);
  if (typeof record !== 'object' || record === null || !('last' in record)) return undefined;
  // Written by `keep` and checked by the record's checksum.
  return record as unknown as RememberedTraces;
}

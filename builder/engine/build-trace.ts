import type { CacheKey } from '../../core/index.ts';
import type { Vertex } from '../events.ts';
import type { RecordStore } from '../workshop/record-store.ts';

/** How one step of a build went: what `kiln explain` starts from. */
export interface TracedStep {
  readonly stage: string;
  readonly platform: string;
  /** As progress showed it. */
  readonly title: string;
  readonly line: number;
  readonly key: CacheKey;
  readonly cached: boolean;
  readonly durationMs: number;
}

/** A build as it is remembered: the last one of each Buildfile and context, and the one before it. */
export interface RememberedTrace {
  readonly atMs: number;
  readonly steps: readonly TracedStep[];
}

/** Collects the steps of one build. */
export class BuildTrace {
  readonly #steps: TracedStep[] = [];

  add(vertex: Vertex, step: Omit<TracedStep, 'stage' | 'title' | 'line'>): void {
    this.#steps.push({ stage: vertex.stage ?? '', title: vertex.title, line: vertex.position?.line ?? 0, ...step });
  }

  /** Keeps this trace as the last one, and the last one that ran a step as the one before. */
  async keep(records: RecordStore, name: string, atMs: number): Promise<void> {
    if (this.#steps.length === 0) return;
    const traces = await readTraces(records, name);
    await records.write('traces-v1', name, { last: { atMs, steps: this.#steps }, before: traces?.last });
  }
}

/** What a build of this Buildfile with this context is remembered under. */
export function traceName(buildfile: string, contextFolder: string): string {
  return JSON.stringify([buildfile, contextFolder]);
}

export async function readTraces(
  records: RecordStore,
  name: string,
): Promise<{ readonly last: RememberedTrace; readonly before: RememberedTrace | undefined } | undefined> {
  const record = await records.read('traces-v1', name);
  if (typeof record !== 'object' || record === null || !('last' in record)) return undefined;
  return record as { last: RememberedTrace; before: RememberedTrace | undefined };
}

import type { Clock } from '../../core/index.ts';
import type { OnBuildEvent, Vertex } from '../events.ts';
import { StepFailedError } from './errors.ts';

/** Tells about the parts of a build as they start and end. */
export class VertexLog {
  readonly #clock: Clock;
  readonly #onEvent: OnBuildEvent;
  readonly #told = new Set<unknown>();
  #lastId = 0;
  /** Steps that ended, and those of them that came out of the cache. */
  steps = 0;
  cached = 0;

  constructor(clock: Clock, onEvent: OnBuildEvent) {
    this.#clock = clock;
    this.#onEvent = onEvent;
  }

  /** Runs one part. `work` says whether its result came out of the cache. */
  async tell<T extends { readonly cached: boolean }>(
    about: Omit<Vertex, 'id'>,
    work: (vertex: Vertex, status: (text: string) => void) => Promise<T>,
  ): Promise<T> {
    this.#lastId += 1;
    const vertex: Vertex = { id: this.#lastId, ...about };
    const startedMs = this.#clock.now();
    this.#onEvent({ type: 'start', vertex });
    try {
      const result = await work(vertex, (text) => this.#onEvent({ type: 'status', vertex, text }));
      this.#onEvent({ type: 'done', vertex, cached: result.cached, durationMs: this.#clock.now() - startedMs });
      this.steps += 1;
      if (result.cached) this.cached += 1;
      return result;
    } catch (error) {
      const calledOff = this.#isAnothers(error, about) ? { isCalledOff: true } : {};
      this.#onEvent({ type: 'error', vertex, error, ...calledOff, durationMs: this.#clock.now() - startedMs });
      throw error;
    }
  }

  /** The first failure ends all parts, by its own error: it is told of one, or names it. */
  #isAnothers(error: unknown, { title }: Omit<Vertex, 'id'>): boolean {
    const isTold = this.#told.has(error);
    this.#told.add(error);
    return error instanceof StepFailedError ? error.title !== title : isTold;
  }
}

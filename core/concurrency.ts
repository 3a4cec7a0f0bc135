import pLimit from 'p-limit';
import type { CallOptions } from './cancellation.ts';

export interface ConcurrencyOptions extends CallOptions {
  /** How many run at once. */
  readonly concurrency: number;
}

/**
 * Maps with bounded parallelism and keeps the order. The first failure aborts the siblings' signal, keeps the rest
 * from starting, and is thrown once all that started have ended.
 */
export async function mapConcurrent<T, R>(
  items: Iterable<T>,
  options: ConcurrencyOptions,
  task: (item: T, options: { readonly signal: AbortSignal }) => Promise<R>,
): Promise<R[]> {
  options.signal?.throwIfAborted();
  const siblings = new AbortController();
  const signal = options.signal === undefined ? siblings.signal : AbortSignal.any([options.signal, siblings.signal]);
  const limit = pLimit(options.concurrency);
  let failure: { readonly error: unknown } | undefined;

  const settled = await Promise.allSettled(
    Array.from(items, (item) =>
      limit(async () => {
        signal.throwIfAborted();
        try {
          return await task(item, { signal });
        } catch (error) {
          failure ??= { error };
          siblings.abort(error);
          throw error;
        }
      }),
    ),
  );

  options.signal?.throwIfAborted();
  if (failure !== undefined) throw failure.error;
  return settled.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}

/** Makes a function that runs at most `concurrency` of its calls at once. */
export function limiter(concurrency: number): <R>(task: () => Promise<R>) => Promise<R> {
  const limit = pLimit(concurrency);
  return (task) => limit(task);
}

/** Joins identical work that is under way: one call per key, its result given to all who ask meanwhile. */
export class InFlight<R> {
  readonly #running = new Map<string, Promise<R>>();

  run(key: string, task: () => Promise<R>): Promise<R> {
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    const started = task().finally(() => this.#running.delete(key));
    this.#running.set(key, started);
    return started;
  }
}

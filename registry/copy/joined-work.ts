import { once } from 'node:events';
import type { CallOptions } from '../../core/index.ts';

/** Work that is under way at a place, in this process: who wants the same waits for it, and then looks again. */
export class JoinedWork {
  readonly #running = new WeakMap<object, Map<string, Promise<unknown>>>();

  /**
   * Runs the task, unless the same is under way at this place: then waits for the end of that, good or bad. One caller's
   * failure or abort is not another's.
   * @returns true when the task was run
   */
  async run(place: object, key: string, task: () => Promise<void>, options: CallOptions = {}): Promise<boolean> {
    const there = this.#running.get(place) ?? new Map<string, Promise<unknown>>();
    this.#running.set(place, there);
    const running = there.get(key);
    if (running !== undefined) {
      await endOf(running, options);
      return false;
    }
    const started = task().finally(() => there.delete(key));
    there.set(key, started);
    await started;
    return true;
  }
}

/** Waits for the end of somebody else's work. @throws the signal's reason when aborted first */
async function endOf(work: Promise<unknown>, { signal }: CallOptions): Promise<void> {
  signal?.throwIfAborted();
  const ended = work.catch(() => undefined);
  if (signal === undefined) return void (await ended);
  const stop = new AbortController();
  const aborted = once(signal, 'abort', { signal: stop.signal }).catch(() => undefined);
  await Promise.race([ended, aborted]);
  stop.abort();
  await aborted;
  signal.throwIfAborted();
}

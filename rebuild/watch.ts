import { type CallOptions, type Clock, isAbort } from '../core/index.ts';
import { type Schedule, sleepUntil } from './schedule.ts';

export interface WatchOptions extends CallOptions {
  readonly clock: Clock;
  /** Waits until the clock shows a moment. Other than the real one in tests only. */
  readonly waitUntil?: (clock: Clock, untilMs: number, options: CallOptions) => Promise<void>;
  /** A round threw. It does not end the watch. */
  readonly onRoundFailed: (error: unknown) => void | Promise<void>;
  /** A round is over, and this is when the next one is due. */
  readonly onWaiting?: (untilMs: number) => void;
}

/**
 * Runs a round at once and then whenever one is due, never two at the same time. Returns when the signal is aborted,
 * after the round under way has ended.
 */
export async function watch(
  schedule: Schedule,
  round: (options: CallOptions) => Promise<void>,
  options: WatchOptions,
): Promise<void> {
  const { clock, signal, waitUntil = sleepUntil } = options;
  while (!signal?.aborted) {
    try {
      await round({ signal });
    } catch (error) {
      if (signal?.aborted) return;
      await options.onRoundFailed(error);
    }
    if (signal?.aborted) return;
    const dueMs = schedule.nextAfter(clock.now());
    options.onWaiting?.(dueMs);
    try {
      await waitUntil(clock, dueMs, { signal });
    } catch (error) {
      if (signal?.aborted && (error === signal.reason || isAbort(error))) return;
      throw error;
    }
  }
}

import { findDurationMs } from '../builder/index.ts';
import { type CallOptions, type Clock, sleep, ToolError } from '../core/index.ts';

/** When something is due. Pure: knows no clock. Milliseconds since the epoch. */
export interface Schedule {
  /** The first moment after `ms` at which a round is due. */
  nextAfter(ms: number): number;
}

const minIntervalMs = 1000;
/** A year: more is a mistake, and Date ends somewhere. */
const maxIntervalMs = 366 * 24 * 3_600_000;
/** The system's timers cannot wait longer than 24.8 days, and do not run while a machine sleeps. */
const maxSleepMs = 60_000;

/** At `startMs`, and every interval from there on. A round that takes longer than the interval skips what it missed. */
export function everyInterval(intervalMs: number, startMs: number): Schedule {
  if (!(intervalMs > 0)) throw new TypeError(`an interval of ${intervalMs} ms`);
  return {
    nextAfter(ms) {
      const passed = Math.floor((ms - startMs) / intervalMs);
      return startMs + Math.max(0, passed + 1) * intervalMs;
    },
  };
}

/**
 * Milliseconds of `1h`, `30m`, `1h30m`, `90s`.
 * @throws ToolError REBUILD_BAD_INTERVAL
 */
export function parseInterval(text: string): number {
  const intervalMs = findDurationMs(text);
  if (intervalMs !== undefined && intervalMs >= minIntervalMs && intervalMs <= maxIntervalMs) return intervalMs;
  throw new ToolError('REBUILD_BAD_INTERVAL', `${JSON.stringify(text)} is not an interval`, {
    hint: 'write 1h, 30m or 90s; at least 1s',
  });
}

/**
 * Waits until the clock shows `untilMs`, in short steps, so that a clock that is set or a machine that slept is noticed.
 * A clock that is set back ends the wait: early is better than never.
 */
export async function sleepUntil(clock: Clock, untilMs: number, options: CallOptions = {}): Promise<void> {
  let leftMs = untilMs - clock.now();
  for (let longestMs = leftMs; leftMs > 0 && leftMs <= longestMs; leftMs = untilMs - clock.now()) {
    longestMs = leftMs;
    await sleep(Math.min(leftMs, maxSleepMs), options);
  }
}

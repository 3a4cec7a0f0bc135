import { describe, expect, it } from 'vitest';
import type { Clock } from '../core/index.ts';
import { everyInterval } from './schedule.ts';
import { watch } from './watch.ts';

/** A clock that only moves when someone waits for it, or when work is said to take time. */
class FakeTime implements Clock {
  #nowMs = 1000;

  now(): number {
    return this.#nowMs;
  }

  pass(ms: number): void {
    this.#nowMs += ms;
  }

  readonly waitUntil = async (_clock: Clock, untilMs: number): Promise<void> => {
    this.#nowMs = untilMs;
  };
}

interface Script {
  /** Milliseconds that each round takes; the watch is ended in the last one. */
  readonly takesMs: readonly number[];
  readonly fails?: readonly number[];
}

async function play({ takesMs, fails = [] }: Script) {
  const time = new FakeTime();
  const controller = new AbortController();
  const startedAt: number[] = [];
  const failures: unknown[] = [];
  let running = 0;
  const round = async () => {
    running += 1;
    expect(running).toBe(1);
    const index = startedAt.push(time.now()) - 1;
    await Promise.resolve();
    time.pass(takesMs[index] ?? 0);
    if (index === takesMs.length - 1) controller.abort();
    running -= 1;
    if (fails.includes(index)) throw new Error(`round ${index}`);
  };
  await watch(everyInterval(100, time.now()), round, {
    clock: time,
    signal: controller.signal,
    waitUntil: time.waitUntil,
    onRoundFailed: (error) => void failures.push(error),
  });
  return { startedAt, failures };
}

describe('watch', () => {
  it('begins at once and goes on at every interval', async () => {
    expect((await play({ takesMs: [10, 20, 0] })).startedAt).toEqual([1000, 1100, 1200]);
  });

  it('never has two rounds at once: a long one skips what it missed', async () => {
    expect((await play({ takesMs: [250, 0] })).startedAt).toEqual([1000, 1300]);
  });

  it('goes on after a round that failed, and tells of it', async () => {
    const { startedAt, failures } = await play({ takesMs: [0, 0, 0], fails: [0, 1] });

    expect(startedAt).toHaveLength(3);
    expect(failures).toEqual([new Error('round 0'), new Error('round 1')]);
  });

  it('ends quietly when it is aborted within a round', async () => {
    expect((await play({ takesMs: [0], fails: [0] })).failures).toEqual([]);
  });

  it('ends quietly when it is aborted while it waits', async () => {
    const controller = new AbortController();
    const rounds: number[] = [];

    await watch(everyInterval(60_000, 0), async () => void rounds.push(1), {
      clock: { now: () => 0 },
      signal: controller.signal,
      onRoundFailed: () => expect.unreachable(),
      onWaiting: () => controller.abort(),
    });

    expect(rounds).toHaveLength(1);
  });

  it('does not begin when it is aborted already', async () => {
    await watch(everyInterval(1, 0), () => expect.unreachable(), {
      clock: { now: () => 0 },
      signal: AbortSignal.abort(),
      onRoundFailed: () => expect.unreachable(),
    });
  });
});

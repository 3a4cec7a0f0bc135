import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { InFlight, limiter, mapConcurrent } from './concurrency.ts';

describe('mapConcurrent', () => {
  it('keeps the order, and runs no more at once than it may', async () => {
    let [running, most] = [0, 0];

    const results = await mapConcurrent([5, 4, 3, 2, 1], { concurrency: 2 }, async (item) => {
      running += 1;
      most = Math.max(most, running);
      for (let wait = 0; wait < item; wait++) await turn();
      running -= 1;
      return item * 10;
    });

    expect(results).toEqual([50, 40, 30, 20, 10]);
    expect(most).toBe(2);
  });

  it('aborts the siblings of the first failure, starts no more, and throws when all have ended', async () => {
    const ended: number[] = [];
    const started: number[] = [];

    const mapping = mapConcurrent([0, 1, 2, 3], { concurrency: 2 }, async (item, { signal }) => {
      started.push(item);
      if (item === 1) throw new Error('first');
      while (!signal.aborted) await turn();
      await turn();
      ended.push(item);
      throw new Error('second');
    });

    await expect(mapping).rejects.toThrow('first');
    expect([started, ended]).toEqual([[0, 1], [0]]);
  });

  it('throws the reason when it is aborted from outside', async () => {
    const controller = new AbortController();

    const mapping = mapConcurrent([1, 2], { concurrency: 1, signal: controller.signal }, async (_item, { signal }) => {
      controller.abort(new Error('enough'));
      signal.throwIfAborted();
    });

    await expect(mapping).rejects.toThrow('enough');
    const signal = AbortSignal.abort(new Error('before'));
    await expect(mapConcurrent([1], { concurrency: 1, signal }, async () => 1)).rejects.toThrow('before');
  });
});

describe('limiter', () => {
  it('is shared by all its calls', async () => {
    const limit = limiter(1);
    const order: string[] = [];

    await Promise.all(
      ['a', 'b'].map((name) =>
        limit(async () => {
          order.push(`${name} begins`);
          await turn();
          order.push(`${name} ends`);
        }),
      ),
    );

    expect(order).toEqual(['a begins', 'a ends', 'b begins', 'b ends']);
  });
});

describe('InFlight', () => {
  it('joins calls with one key while the first runs, and runs anew after', async () => {
    const inFlight = new InFlight<number>();
    let runs = 0;
    const task = async () => {
      await turn();
      runs += 1;
      return runs;
    };

    const [a, b, other] = [inFlight.run('k', task), inFlight.run('k', task), inFlight.run('other', task)];

    expect(await Promise.all([a, b, other])).toEqual([1, 1, 2]);
    expect(await inFlight.run('k', task)).toBe(3);
  });

  it('gives a failure to all who wait for it, and keeps none', async () => {
    const inFlight = new InFlight<number>();
    const fail = async (): Promise<number> => {
      await turn();
      throw new Error('no');
    };

    const outcomes = await Promise.allSettled([inFlight.run('k', fail), inFlight.run('k', fail)]);

    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await inFlight.run('k', async () => 7)).toBe(7);
  });
});

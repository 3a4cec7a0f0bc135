import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { errorCode } from '../core/index.ts';
import { everyInterval, parseInterval, sleepUntil } from './schedule.ts';

describe('everyInterval', () => {
  it('is due at multiples of the interval from its start', () => {
    const schedule = everyInterval(100, 1000);

    expect([999, 1000, 1099, 1100].map((ms) => schedule.nextAfter(ms))).toEqual([1000, 1100, 1100, 1200]);
  });

  it('skips what a long round missed', () => {
    expect(everyInterval(100, 0).nextAfter(555)).toBe(600);
  });

  it('is always due later, by one interval at most, once it has begun', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e9 }), fc.nat(1e12), fc.nat(1e12), (intervalMs, startMs, passedMs) => {
        const ms = startMs + passedMs;

        const waitMs = everyInterval(intervalMs, startMs).nextAfter(ms) - ms;

        expect(waitMs).toBeGreaterThan(0);
        expect(waitMs).toBeLessThanOrEqual(intervalMs);
      }),
    );
  });
});

describe('parseInterval', () => {
  it.each([
    ['1h', 3_600_000],
    ['1h30m', 5_400_000],
    ['90s', 90_000],
  ])('reads %s', (text, ms) => {
    expect(parseInterval(text)).toBe(ms);
  });

  it.each(['', 'hourly', '0s', '10ms', '-1h', '999999999h'])('refuses %j', (text) => {
    expect(() => parseInterval(text)).toThrow(expect.objectContaining({ code: 'REBUILD_BAD_INTERVAL' }));
  });
});

describe('sleepUntil', () => {
  it('returns at once for a moment that has passed', async () => {
    await expect(sleepUntil({ now: () => 10 }, 10)).resolves.toBeUndefined();
  });

  it('returns when the clock is set back, rather than waiting for the time to come again', async () => {
    const shown = [1000, 0];

    await expect(sleepUntil({ now: () => shown.shift() ?? 0 }, 1001)).resolves.toBeUndefined();
  });

  it('ends with the signal', async () => {
    const controller = new AbortController();
    const waiting = sleepUntil({ now: () => 0 }, 1e12, { signal: controller.signal });

    controller.abort(Object.assign(new Error('stop'), { code: 'STOP' }));

    expect(errorCode(await waiting.catch((error: unknown) => error))).toBe('STOP');
  });
});

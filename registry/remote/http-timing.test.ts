import { describe, expect, it } from 'vitest';
import { backoffMs, defaultTiming, retryAfterMs } from './http-timing.ts';

describe('backoffMs', () => {
  it('doubles up to its limit, and leaves out up to half by chance', () => {
    const whole = [1, 2, 3, 9].map((attempt) => backoffMs(attempt, defaultTiming, () => 0.999999));
    const half = [1, 2, 3, 9].map((attempt) => backoffMs(attempt, defaultTiming, () => 0));

    expect(whole.map(Math.round)).toEqual([250, 500, 1000, 10_000]);
    expect(half).toEqual([125, 250, 500, 5000]);
  });
});

describe('retryAfterMs', () => {
  it.each<[Record<string, string>, number | undefined]>([
    [{}, undefined],
    [{ 'retry-after': '7' }, 7000],
    [{ 'retry-after': ' 0 ' }, 0],
    [{ 'retry-after': '-1' }, undefined],
    [{ 'retry-after': '1.5' }, undefined],
    [{ 'retry-after': 'soon' }, undefined],
    [{ 'retry-after': '99999999999' }, undefined],
    [{ 'retry-after': 'Thu, 01 Jan 2026 00:00:07 GMT', date: 'Thu, 01 Jan 2026 00:00:00 GMT' }, 7000],
    [{ 'retry-after': 'Thu, 01 Jan 2026 00:00:00 GMT', date: 'Thu, 01 Jan 2026 00:00:07 GMT' }, 0],
    [{ 'retry-after': 'Thu, 01 Jan 2026 00:00:07 GMT' }, undefined],
  ])('reads %j as %s', (headers, ms) => {
    expect(retryAfterMs({ headers: new Map(Object.entries(headers)) })).toBe(ms);
  });
});

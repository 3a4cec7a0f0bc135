import { describe, expect, it } from 'vitest';
import { parseEpoch } from './build-request.ts';

describe('parseEpoch', () => {
  it.each([
    [undefined, undefined],
    ['', undefined],
    ['0', 0],
    ['1700000000', 1_700_000_000],
  ])('takes %j as %j', (text, seconds) => {
    expect(parseEpoch(text)).toBe(seconds);
  });

  it.each(['-1', '1.5', 'today', '99999999999999'])('refuses %j, which is no time an image can have', (text) => {
    expect(() => parseEpoch(text)).toThrow(expect.objectContaining({ code: 'USAGE_SOURCE_DATE_EPOCH' }));
  });
});

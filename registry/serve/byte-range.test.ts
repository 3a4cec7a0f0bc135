import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseContentRange, parseRange, uploadedRange } from './byte-range.ts';

describe('parseRange', () => {
  it.each([
    ['bytes=0-0', { first: 0, last: 0 }],
    ['bytes=0-', { first: 0, last: 99 }],
    ['bytes=-1', { first: 99, last: 99 }],
    ['bytes=-1000', { first: 0, last: 99 }],
    ['Bytes= 5-9 ', { first: 5, last: 9 }],
    ['bytes=5-99999999999999999999999', { first: 5, last: 99 }],
    ['bytes=99999999999999999999999-', 'unsatisfiable'],
    ['bytes=100-', 'unsatisfiable'],
    ['bytes=9-5', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=-', 'unsatisfiable'],
    ['bytes=a-b', 'unsatisfiable'],
    ['bytes=1-2,4-5', undefined],
    ['items=1-2', undefined],
    ['', undefined],
  ] as const)('reads %j', (header, range) => {
    expect(parseRange(header, 100)).toEqual(range);
  });

  it('never leaves the content', () => {
    const headers = fc.oneof(
      fc.string(),
      fc.stringMatching(/^bytes=\d{0,20}-\d{0,20}$/),
      fc.string().map((text) => `bytes=${text}`),
    );
    fc.assert(
      fc.property(headers, fc.nat(), (header, size) => {
        const range = parseRange(header, size);
        if (range === undefined || range === 'unsatisfiable') return;
        expect(range.first).toBeGreaterThanOrEqual(0);
        expect(range.last).toBeGreaterThanOrEqual(range.first);
        expect(range.last).toBeLessThan(size);
      }),
    );
  });

  it('reads what a client writes for any part', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.nat(), (a, b, rest) => {
        const [first, last] = [Math.min(a, b), Math.max(a, b)];
        expect(parseRange(`bytes=${first}-${last}`, last + 1 + rest)).toEqual({ first, last });
      }),
    );
  });
});

describe('parseContentRange', () => {
  it('reads what a client writes for any chunk', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (first, more) => {
        expect(parseContentRange(`${first}-${first + more}`)).toEqual({ first, last: first + more });
      }),
    );
  });

  it.each([
    '',
    '-',
    '5-',
    '-5',
    '5-4',
    'bytes 0-5/6',
    '0-5/6',
    '0-5,6-7',
    ' 0-5',
    '0x1-2',
    '1e3-2000',
    '0-1234567890123456',
  ])('refuses %j', (header) => {
    expect(parseContentRange(header)).toBeUndefined();
  });
});

it('says how much was uploaded as a range from the first byte on', () => {
  expect([0, 1, 2, 1000].map(uploadedRange)).toEqual(['0-0', '0-0', '0-1', '0-999']);
});

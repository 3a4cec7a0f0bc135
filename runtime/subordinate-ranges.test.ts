import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseSubordinateRanges } from './subordinate-ranges.ts';

it('finds the ranges of a user by name and by number, in order', () => {
  const text = 'ann:100000:65536\nbob:200000:65536\n1001:300000:10\n# bob:1:1\n';

  expect(parseSubordinateRanges(text, 'bob', 1001)).toEqual([
    { start: 200_000, count: 65_536 },
    { start: 300_000, count: 10 },
  ]);
});

it.each([
  'bob:x:1',
  'bob:1',
  'bob:-1:5',
  'bob:0:65536',
  'bob:5:0',
  'bob:4294967295:2',
  'bob:99999999999:1',
  'bobby:1:1',
])('passes over %s', (line) => {
  expect(parseSubordinateRanges(line, 'bob', 1001)).toEqual([]);
});

it('never gives root, nor ids beyond 32 bits, whatever is written', () => {
  const line = fc.tuple(fc.constantFrom('bob', '1001', ''), fc.nat({ max: 2 ** 33 }), fc.nat({ max: 2 ** 33 }));

  fc.assert(
    fc.property(fc.array(line), (lines) => {
      const text = lines.map((parts) => parts.join(':')).join('\n');
      for (const { start, count } of parseSubordinateRanges(text, 'bob', 1001)) {
        expect(start).toBeGreaterThan(0);
        expect(start + count).toBeLessThanOrEqual(0xffffffff);
      }
    }),
  );
});

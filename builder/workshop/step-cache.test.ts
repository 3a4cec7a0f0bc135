import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cacheKeyOf, type Preimage } from './step-cache.ts';

const value = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.array(fc.string(), { maxLength: 3 }));
const preimage = fc.array(fc.tuple(fc.string(), value), { maxLength: 4 });

describe('cacheKeyOf', () => {
  it('gives two preimages one key only when they are equal', () => {
    fc.assert(
      fc.property(preimage, preimage, (a, b) => {
        const equal = JSON.stringify(a) === JSON.stringify(b);
        expect(cacheKeyOf(a as Preimage) === cacheKeyOf(b as Preimage)).toBe(equal);
      }),
    );
  });

  it('keeps what is next to each other apart', () => {
    expect(cacheKeyOf([['argv', ['a b', 'c']]])).not.toBe(cacheKeyOf([['argv', ['a', 'b c']]]));
    expect(
      cacheKeyOf([
        ['a', 'b'],
        ['c', 'd'],
      ]),
    ).not.toBe(cacheKeyOf([['a', 'bc,d']]));
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { errorCode } from '../../core/index.ts';
import { encodePax, parsePax } from './pax.ts';

const keyword = fc.stringMatching(/^[^=\n\0 ]{1,20}$/).map((text) => Buffer.from(text).toString('latin1'));
const value = fc.uint8Array({ maxLength: 120 }).map((bytes) => Buffer.from(bytes));

describe('parsePax', () => {
  it('reads what encodePax wrote, bytes and all', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(keyword, value), { maxLength: 6 }), (pairs) => {
        const records = new Map(pairs);

        expect(new Map([...parsePax(encodePax(records))].sort())).toEqual(new Map([...records].sort()));
      }),
    );
  });

  it.each([
    ['what follows a record has no space', '6 a=b\nxxxx'],
    ['a record counts nothing', '0 a=b\n'],
    ['a record counts too much', '99 a=b\n'],
    ['a record counts too little', '5 a=b\n'],
    ['a record has no keyword', '5 =b\n'],
    ['a record has no value', '4 ab\n'],
    ['a number has a sign', '-6 a=b\n'],
    ['a number is endless', `${'1'.repeat(40)} a=b\n`],
  ])('refuses a header when %s', (_what, text) => {
    expect(() => parsePax(Buffer.from(text, 'latin1'))).toThrow(expect.objectContaining({ code: 'LAYER_INVALID' }));
  });

  it('ends on any bytes, by records or by an error', () => {
    const near = fc.stringMatching(/^[0-9a= \n]{0,60}$/).map((text) => Buffer.from(text));
    fc.assert(
      fc.property(fc.oneof(near, value), near, (head, tail) => {
        try {
          parsePax(Buffer.concat([encodePax(new Map([['k', head]])), tail]));
        } catch (error) {
          expect(errorCode(error)).toBe('LAYER_INVALID');
        }
      }),
      { numRuns: 1000 },
    );
  });
});

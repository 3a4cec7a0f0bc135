import fc from 'fast-check';
import { expect, it } from 'vitest';
import { encodeOperations } from './operations.ts';

const field = fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', ''));

it('writes words that can be told apart again, whatever they hold', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(field, field), { minLength: 1 }), (binds) => {
      const bytes = encodeOperations(binds.map(([source, destination]) => ['bind', source, destination, '']));

      const nul = bytes.indexOf(0);
      const words = bytes
        .subarray(nul + 1)
        .toString()
        .split('\0');
      expect(bytes.subarray(0, nul).toString()).toBe(String(bytes.byteLength - nul - 1));
      expect(words.slice(0, -1)).toEqual(
        binds.flatMap(([s, d]) => ['bind', s, d, ''].map((word) => word.toWellFormed())),
      );
    }),
  );
});

it('refuses a NUL byte, which would begin another operation', () => {
  expect(() => encodeOperations([['env', 'A=\0user\u00000']])).toThrow(
    expect.objectContaining({ code: 'SANDBOX_SPEC_INVALID', message: expect.stringContaining('env "A=\\u0000user') }),
  );
});

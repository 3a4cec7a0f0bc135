import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseToml } from '../../builder/index.ts';
import { parsesPlainAliases } from './plain-aliases.ts';

const whole = (text: string) => parseToml(text, 'file').value;
const refused = () => {
  throw new Error('was not read line by line');
};

describe('plain aliases', () => {
  it('are read without a parser', () => {
    const text = '# of the distribution\n[aliases]\n  # A\n  "a/b" = "docker.io/a/b" # why\n\n"c"="quay.io/c"\n';

    expect(parsesPlainAliases(refused)(text, 'file')).toEqual({ aliases: { 'a/b': 'docker.io/a/b', c: 'quay.io/c' } });
  });

  it.each([
    '[[registry]]\nlocation = "a.example"\n',
    'short-name-mode = "disabled"\n[aliases]\n',
    '[aliases]\na = "b/c"\n',
  ])('and anything else by the parser: %j', (text) => {
    expect(parsesPlainAliases(() => ({ parsed: true }))(text, 'file')).toEqual({ parsed: true });
  });

  it('never mean another thing than to the parser', () => {
    const part = fc.constantFrom(
      '"',
      'a',
      'b/c',
      '=',
      ' ',
      '\n',
      '\t',
      '\\',
      '#',
      '[',
      ']',
      'aliases',
      '[aliases]\n',
      '"a" = "b/c"\n',
      '\r',
      '\u0000',
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 20 }), (parts) => {
        const text = `[aliases]\n${parts.join('')}`;
        let read: unknown;
        try {
          read = parsesPlainAliases(refused)(text, 'file');
        } catch {
          return;
        }
        expect(read).toEqual(whole(text));
      }),
      { numRuns: 2000 },
    );
  });
});

import { describe, expect, it } from 'vitest';
import { assignment, parseEnvFile } from './environment-lines.ts';

const env = { HERE: 'value', EMPTY: '' };

describe('assignment', () => {
  it.each([
    { text: 'A=1', pair: ['A', '1'] },
    { text: 'A=', pair: ['A', ''] },
    { text: 'A=b=c', pair: ['A', 'b=c'] },
    { text: 'HERE', pair: ['HERE', 'value'] },
    { text: 'EMPTY', pair: ['EMPTY', ''] },
    { text: 'NOWHERE', pair: undefined },
  ])('reads $text', ({ text, pair }) => {
    expect(assignment(text, '--env', env)).toEqual(pair);
  });

  it.each(['', '=x', 'A B=1'])('refuses %j', (text) => {
    expect(() => assignment(text, '--env', env)).toThrow(expect.objectContaining({ code: 'USAGE_FLAG_VALUE' }));
  });
});

describe('parseEnvFile', () => {
  it('reads lines as Docker does', () => {
    const text = '\ufeff# a comment\n\nA=1\r\n  B="quoted" # kept\nHERE\nNOWHERE\nC=\n';

    expect(parseEnvFile(text, 'x.env', env)).toEqual(['A=1', 'B="quoted" # kept', 'HERE=value', 'C=']);
  });

  it('says where a name is not one', () => {
    expect(() => parseEnvFile('A=1\nmy key=2\n', 'x.env', env)).toThrow(
      expect.objectContaining({ code: 'USAGE_ENV_FILE', message: 'x.env:2: "my key" is not a variable\'s name' }),
    );
  });
});

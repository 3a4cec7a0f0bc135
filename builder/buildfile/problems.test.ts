import { describe, expect, it } from 'vitest';
import { BuildfileError, formatProblems, listed, type Problem, printable, quoted } from './problems.ts';

function problem(line: number, column: number, more: Partial<Problem> = {}): Problem {
  return { code: 'X_Y', message: 'it is wrong', position: { file: 'f', line, column }, ...more };
}

describe('formatProblems', () => {
  it('shows the place, the line with a caret below the word, and the suggestion', () => {
    const text = formatProblems([problem(2, 3, { suggestion: 'that' })], new Map([['f', 'a\r\n\tb this = 1\r\n']]));

    expect(text).toBe('f:2:3: it is wrong\n  2 |  b this = 1\n    |   ^\n  did you mean `that`?');
  });

  it.each([
    ['"a \\" b" c', 8],
    ["'a b' c", 5],
    ['[[a.b]] # c', 7],
    ['word-1 = 2', 6],
    ['é日本 = 2', 3],
    ['{ a = 1 }', 1],
    ['', 1],
  ])('underlines %j by its first %i characters', (source, width) => {
    expect(formatProblems([problem(1, 1)], new Map([['f', source]]))).toContain(`\n    | ${'^'.repeat(width)}`);
  });

  it('counts columns in characters', () => {
    expect(formatProblems([problem(1, 3)], new Map([['f', '😀 x']]))).toContain('  1 | 😀 x\n    |   ^');
  });

  it('cuts a long line around the place', () => {
    const text = formatProblems([problem(1, 5001)], new Map([['f', `${'a '.repeat(2500)}HERE${' b'.repeat(2500)}`]]));
    const [, line = '', carets = ''] = text.split('\n');

    expect(line.length).toBeLessThan(120);
    expect(line.slice(carets.indexOf('^'), carets.lastIndexOf('^') + 1)).toBe('HERE');
  });

  it('shows what is about no file by its name alone', () => {
    const position = { file: '--target', line: 1, column: 1 };

    expect(formatProblems([problem(1, 1, { position })], new Map())).toBe('--target: it is wrong');
  });

  it('counts what is too much to show', () => {
    const many = Array.from({ length: 150 }, (_, index) => problem(index + 1, 1));

    expect(
      formatProblems(many, new Map([['f', '']]))
        .split('\n')
        .at(-1),
    ).toBe('… and 50 more problems');
  });

  it('lets no control character through', () => {
    const hostile = '\u001b[31m\u009b\u202e\u0007\r';
    const text = formatProblems(
      [problem(1, 1, { message: `wrong ${quoted(hostile)}`, suggestion: hostile })],
      new Map([['f', `a${hostile}`]]),
    );

    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
    expect(printable('\u001b[31m')).toBe('\\u001b[31m');
  });
});

it('sorts problems by their place', () => {
  const { problems, code } = new BuildfileError([problem(2, 1), problem(1, 5), problem(1, 2)], new Map(), 'AREA');

  expect(problems.map(({ position }) => `${position.line}:${position.column}`)).toEqual(['1:2', '1:5', '2:1']);
  expect(code).toBe('AREA_INVALID');
});

it('lists a few names of many', () => {
  expect(listed(['a', 'b'])).toBe('a, b');
  expect(listed(Array.from({ length: 25 }, (_, index) => `n${index}`))).toMatch(/, n19, … \(5 more\)$/);
});

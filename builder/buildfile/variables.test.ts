import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { replaceVariables, type VariableScope } from './variables.ts';

const scope = {
  names: new Set(['NAME', 'EMPTY', 'UNSET', 'BROKEN']),
  values: new Map([
    ['NAME', 'value'],
    ['EMPTY', ''],
  ]),
  broken: new Set(['BROKEN']),
} satisfies VariableScope;

describe('replaceVariables', () => {
  it.each([
    ['plain', 'plain'],
    ['a-$' + '{NAME}-b', 'a-value-b'],
    ['$' + '{EMPTY}', ''],
    ['$' + '{EMPTY:-x}', 'x'],
    ['$' + '{UNSET:-x}', 'x'],
    ['$' + '{UNKNOWN:-x}', 'x'],
    ['$' + '{NAME:-x}', 'value'],
    ['$' + '{UNSET:-a$' + '{NAME}b}c', 'avaluebc'],
    ['$' + '{UNSET:-}', ''],
    ['}$' + '{UNSET:-a b/c:d}', '}a b/c:d'],
    ['$$' + '{NAME}', '$' + '{NAME}'],
    ['5$$', '5$'],
  ])('makes %j %j', (text, expected) => {
    expect(replaceVariables(text, scope)).toEqual({ text: expected, problems: [] });
  });

  it.each([
    ['$' + '{NAMR}', 'UNKNOWN_ARG', '$' + '{NAMR}'],
    ['$' + '{UNSET}', 'MISSING_ARG', '$' + '{UNSET}'],
    ['$NAME', 'BAD_VALUE', '$NAME'],
    ['a$', 'BAD_VALUE', '$'],
    ['$' + '{}', 'BAD_VALUE', '$' + '{'],
    ['$' + '{NAME', 'BAD_VALUE', '$' + '{NAME'],
    ['$' + '{NAME:+x}', 'BAD_VALUE', '$' + '{NAME'],
    ['$' + '{NAME:-x', 'BAD_VALUE', '$' + '{NAME'],
    [`$${'{A:-'.repeat(100_000)}`, 'BAD_VALUE', '$' + '{A'],
  ])('refuses %j', (text, code, part) => {
    const { text: replaced, problems } = replaceVariables(text, scope);

    expect(replaced).toBeUndefined();
    expect(problems[0]).toMatchObject({ code, part });
  });

  it('reports every unknown name, with the one that was meant', () => {
    const { problems } = replaceVariables('$' + '{NAMR} $' + '{NME}', scope);

    expect(problems.map(({ suggestion }) => suggestion)).toEqual(['NAME', 'NAME']);
  });

  it('gives up a text without a word when its variable is declared wrongly', () => {
    expect(replaceVariables('$' + '{BROKEN}', scope)).toEqual({ text: undefined, problems: [] });
  });

  it('checks names alone where there are no values', () => {
    const names = { names: scope.names, values: undefined };

    expect(replaceVariables('$' + '{NAME}', names)).toEqual({ text: undefined, problems: [] });
    expect(replaceVariables('$' + '{NAMR}', names).problems).toHaveLength(1);
  });

  it('refuses to grow without limit', () => {
    const big = { names: new Set(['A']), values: new Map([['A', 'x'.repeat(60_000)]]) };

    expect(replaceVariables(('$' + '{A}').repeat(10_000), big).problems).toMatchObject([{ code: 'BAD_VALUE' }]);
  });

  it('gives back any text whose dollars are doubled', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('$', '{', '}', ':', '-', 'A', '😀') }), (text) => {
        expect(replaceVariables(text.replaceAll('$', '$$$$'), scope).text).toBe(text);
      }),
    );
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compile, compilePattern } from './patterns.ts';

describe('a pattern', () => {
  it.each([
    ['a', 'a', true],
    ['a', 'ab', false],
    ['a', 'a/b', false],
    ['*', 'abc', true],
    ['*', '', true],
    ['*', 'a/b', false],
    ['a*', 'a', true],
    ['*c', 'abc', true],
    ['a*/b', 'abc/b', true],
    ['a*/b', 'a/c/b', false],
    ['a*b*c*d*e*/f', 'axbxcxdxe/f', true],
    ['a*b*c*d*e*/f', 'axbxcxdxexxx/f', true],
    ['a*b*c*d*e*/f', 'axbxcxdxe/xxx/f', false],
    ['a*b?c*x', 'abxbbxdbxebxczzx', true],
    ['a*b?c*x', 'abxbbxdbxebxczzy', false],
    ['?', '😀', true],
    ['a?b', 'a/b', false],
    ['ab[c]', 'abc', true],
    ['ab[b-d]', 'abc', true],
    ['ab[e-g]', 'abc', false],
    ['ab[^c]', 'abc', false],
    ['ab[^e-g]', 'abc', true],
    ['[!a]', 'b', false],
    ['[\\]a]', ']', true],
    ['[\\-x]', '-', true],
    ['[x\\-]', 'x', true],
    ['a\\*b', 'a*b', true],
    ['a\\*b', 'ab', false],
    ['*x', 'xxx', true],
    ['**', '', true],
    ['**', 'a/b', true],
    ['**/a', 'a', true],
    ['**/a', 'x/y/a', true],
    ['**/a', 'xa', false],
    ['a/**', 'a/b/c', true],
    ['a/**', 'a', false],
    ['a/**/b', 'a/b', true],
    ['a/**/b', 'a/x/y/b', true],
    ['a/**/b', 'axb', false],
    ['**/**/a', 'x/a', true],
    ['**/*.go', 'x/y.go', true],
    ['a**b', 'ax/b', true],
    ['', '', true],
    ['.*', '.git', true],
    ['a.c', 'abc', false],
    ['(a|b)+$', '(a|b)+$', true],
  ])('%j on %j: %j', (pattern, path, expected) => {
    expect(compile(pattern)(path)).toBe(expected);
  });

  it.each([
    '[',
    '[a',
    '[]',
    '[]a]',
    '[-]',
    '[a-]',
    '[-x]',
    '[a-b-c]',
    '[^]',
    '[^bc',
    'a[',
    'a\\',
    '[\\',
    'a'.repeat(5000),
  ])('%j is refused', (pattern) => {
    expect(() => compile(pattern)).toThrow(expect.objectContaining({ code: 'PATTERN_INVALID' }));
  });

  it('matches a path by its parents', () => {
    for (const pattern of ['a', 'a*', '**/a', '[a]']) {
      const { matchesPathOrParent } = compilePattern(pattern);
      expect([pattern, ...['a', 'a/b/c', 'b'].map(matchesPathOrParent)]).toEqual([pattern, true, true, false]);
    }
    expect(compilePattern('a/*').matchesPathOrParent('a')).toBe(false);
    expect(compilePattern('a').matchesPathOrParent('ab/c')).toBe(false);
  });

  it('knows whether something below a directory might match', () => {
    expect(['', 'a', 'a/b', 'b', 'ab'].map(compilePattern('a/b/c').mayMatchBelow)).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
    expect(['', 'a', 'a/b', 'b'].map(compilePattern('a/*').mayMatchBelow)).toEqual([true, true, false, false]);
    expect(['a', 'b/c', ''].map(compilePattern('**/x').mayMatchBelow)).toEqual([true, true, true]);
  });

  it('takes no longer for patterns that make others try every way', () => {
    expect(compile(`${'*a'.repeat(500)}*b`)('a'.repeat(4000))).toBe(false);
    expect(compile(`${'**/a/'.repeat(500)}b`)('a/'.repeat(2000))).toBe(false);
  }, 60_000);
});

/** The obvious reading of a pattern, which tries every way: for short ones only. */
function matchSlowly(pattern: string, path: string): boolean {
  if (pattern === '') return path === '';
  if (pattern.startsWith('**')) {
    const rest = pattern.slice(pattern[2] === '/' ? 3 : 2);
    if (rest === '') return true;
    const starts = [0, ...Array.from(path.matchAll(/\//g), (match) => match.index + 1)];
    return starts.some((start) => matchSlowly(rest, path.slice(start)));
  }
  if (pattern.startsWith('*')) {
    const end = path.search(/\/|$/);
    return Array.from({ length: end + 1 }, (_, taken) => taken).some((taken) =>
      matchSlowly(pattern.slice(1), path.slice(taken)),
    );
  }
  if (path === '') return false;
  const fits = pattern[0] === '?' ? path[0] !== '/' : pattern[0] === path[0];
  return fits && matchSlowly(pattern.slice(1), path.slice(1));
}

describe('any pattern', () => {
  const pattern = fc.stringMatching(/^[ab*?/]{0,8}$/);
  const path = fc.stringMatching(/^[ab/]{0,8}$/);

  it('matches as its obvious reading does', () => {
    fc.assert(
      fc.property(pattern, path, (text, candidate) => {
        expect(compile(text)(candidate)).toBe(matchSlowly(text, candidate));
      }),
      { numRuns: 3000 },
    );
  });

  it('agrees with itself about parents and what is below', () => {
    fc.assert(
      fc.property(pattern, path, (text, candidate) => {
        const { matches, matchesPathOrParent, mayMatchBelow } = compilePattern(text);
        const parents = Array.from(candidate.matchAll(/\//g), (match) => candidate.slice(0, match.index));
        expect(matchesPathOrParent(candidate)).toBe([candidate, ...parents].some(matches));
        if (matches(candidate)) expect(parents.filter((parent) => !mayMatchBelow(parent))).toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });

  it('is compiled or refused, and nothing else', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('[', ']', '-', '^', '\\', '*', 'a', '/', '😀') }),
        path,
        (text, candidate) => {
          try {
            compile(text)(candidate);
          } catch (error) {
            expect(error).toMatchObject({ code: 'PATTERN_INVALID' });
          }
        },
      ),
    );
  });
});

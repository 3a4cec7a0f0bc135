import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseIgnoreFile } from './ignore.ts';

describe('an ignore file', () => {
  it.each<[string, string, readonly string[], readonly string[]]>([
    ['ignores a file, and a directory with all below it', 'a', ['a', 'a/b', 'a/b/c'], ['b', 'ab', 'x/a']],
    ['skips comments and blank lines', '# a\n\n  \n a \n', ['a'], ['# a', 'b']],
    ['takes a # after blanks for a name', ' #a', ['#a'], ['a']],
    ['reads CRLF and a byte order mark', '\ufeffa\r\nb\r\n', ['a', 'b'], ['c']],
    ['drops a leading and a trailing slash', '/a/\n./b/../c', ['a', 'a/x', 'c'], ['x/a', 'b']],
    ['finds names at any depth with **', '**/*.log', ['a.log', 'x/y/a.log'], ['a.log2']],
    ['takes back in with !', '*.md\n!README.md', ['a.md'], ['README.md', 'b']],
    ['lets the last match win', '!README.md\n*.md', ['README.md'], []],
    ['takes back in what is below an ignored directory', 'a\n!a/b', ['a', 'a/c'], ['a/b', 'a/b/d']],
    ['ignores again below what was taken back in', '*\n!a\na/b', ['c', 'a/b', 'a/b/c'], ['a', 'a/c']],
    ['takes back in by a pattern', '**\n!**/*.ts', ['a', 'a/b.js'], ['a/b.ts']],
    ['ignores nothing by ., / or a lone !', '.\n/\n!\n! ', [], ['a', 'a/b']],
  ])('%s', (_title, text, ignored, included) => {
    const { isIgnored } = parseIgnoreFile(text);

    expect(ignored.filter((path) => !isIgnored(path))).toEqual([]);
    expect(included.filter(isIgnored)).toEqual([]);
  });

  it('lets a reader skip directories of which nothing is wanted', () => {
    const { mayContainIncluded } = parseIgnoreFile('node_modules\ndocs\n!docs/a/*.md\nother\n!**/deep');

    expect(['', 'src', 'docs', 'docs/a', 'docs/b'].map(mayContainIncluded)).toEqual([true, true, true, true, true]);
    expect(parseIgnoreFile('docs\n!docs/a/*.md').mayContainIncluded('docs/b')).toBe(false);
    expect(parseIgnoreFile('node_modules').mayContainIncluded('node_modules')).toBe(false);
  });

  it('refuses a pattern that is none', () => {
    expect(() => parseIgnoreFile('a\n[')).toThrow(expect.objectContaining({ code: 'PATTERN_INVALID' }));
  });

  it('never lets a reader skip a directory that has an included file', () => {
    const line = fc.stringMatching(/^!?[ab*?/]{1,6}$/);
    const file = fc.array(fc.constantFrom('a', 'b', 'ab'), { minLength: 2, maxLength: 4 });
    fc.assert(
      fc.property(fc.array(line, { maxLength: 5 }), file, (lines, parts) => {
        const { isIgnored, mayContainIncluded } = parseIgnoreFile(lines.join('\n'));
        if (isIgnored(parts.join('/'))) return;
        for (let depth = 1; depth < parts.length; depth++)
          expect(mayContainIncluded(parts.slice(0, depth).join('/'))).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

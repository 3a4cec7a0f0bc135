import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { effectiveWords, shellCommands } from './shell-commands.ts';

/** Commands, with | at the end of those that are piped. */
function commands(script: string): string[] {
  return shellCommands(script).map(
    ({ words, isPiped, readsPipe }) =>
      `${readsPipe ? '| ' : ''}${words.map(({ text }) => text).join(' ')}${isPiped ? ' |' : ''}`,
  );
}

describe('shellCommands', () => {
  it.each<[string, string[]]>([
    ['a b; c && d || e & f', ['a b', 'c', 'd', 'e', 'f']],
    ['a\nb\n\n  c', ['a', 'b', 'c']],
    ['a | b |& c', ['a |', '| b |', '| c']],
    ['a |\n  b', ['a |', '| b']],
    ['a "b | c" \'d ; e\' f\\ g', ['a b | c d ; e f g']],
    ['a "x$(b "c" | d)y" e', ['a x$(b "c" | d)y e']],
    ['a $(b | c) `d | e` f', ['a $(b | c) `d | e` f']],
    [`a \${f:-g|h}`, [`a \${f:-g|h}`]],
    ['a # b | c\nd', ['a', 'd']],
    ['a#b', ['a#b']],
    ['if a; then b; else c; fi', ['a', 'b', 'c']],
    ['while ! a; do b; done', ['a', 'b']],
    ['{ a; }; (b; c)', ['a', 'b', 'c']],
    ['X=1 Y="2 3" a', ['a']],
    ['a >x 2>&1 <y &>z b', ['a b']],
    ['a <<EOF\nb | c\nEOF\nd', ['a', 'd']],
    ["a <<-'X' | e\n\tb\n\tX\nd", ['a |', '| e', 'd']],
    ['a <<<b c', ['a c']],
    ['a \\\n  b', ['a b']],
    ['a "unclosed | b', ['a unclosed | b']],
    ['', []],
  ])('reads %j', (script, expected) => {
    expect(commands(script)).toEqual(expected);
  });

  it('knows where each word is', () => {
    const script = 'X=1 sudo "apt get" \\\n install;\nb';

    const words = shellCommands(script).flatMap((command) => command.words);

    expect(words.map(({ start, end }) => script.slice(start, end))).toEqual(['sudo', '"apt get"', 'install', 'b']);
  });

  it('reads whatever there is', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'ab \n\t\'"`$(){}<>|&;#\\=!1') }), (script) => {
        for (const { words } of shellCommands(script)) {
          expect(words.length).toBeGreaterThan(0);
          for (const { start, end } of words) expect(start).toBeLessThan(end);
        }
      }),
      { numRuns: 500 },
    );
  });

  it.each(['$(', '"', "'", '`', '<<X\n', '((', 'a|', '\\', '${', '# '])(
    'takes time in proportion to many %j',
    (part) => {
      expect(() => shellCommands(part.repeat(200_000))).not.toThrow();
    },
  );
});

describe('effectiveWords', () => {
  it.each([
    ['sudo -E env A=1 apt-get install', 'apt-get install'],
    ['/usr/bin/env python', 'python'],
    ['exec nginx', 'nginx'],
    ['sudo', ''],
    ['make sudo', 'make sudo'],
  ])('of %j', (script, expected) => {
    const [command] = shellCommands(script);

    expect(
      effectiveWords(command?.words ?? [])
        .map(({ text }) => text)
        .join(' '),
    ).toBe(expected);
  });
});

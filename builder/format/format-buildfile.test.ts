import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BuildfileError } from '../buildfile/problems.ts';
import { parseToml } from '../buildfile/toml.ts';
import { formatBuildfile } from './format-buildfile.ts';

const blanks = fc.constantFrom('', ' ', '  ', '\t');
const comment = fc.nat(99).map((number) => `#comment${number}`);
const lineEnd = fc.constantFrom('\n', '\r\n', ' \n', '\n\n', '\n\n\n');

const string = fc.oneof(
  fc.constantFrom('"x"', "'x'", `'a"b'`, `'a\\b'`, '"a\\"b\\u00e9"', '"$x"', '"#no"', "''", '""', '"😀"', "'é'"),
  fc.constantFrom(
    '"""\nx\n  y\n"""',
    "'''\n#no\n'''",
    '"""a\\\n  b"""',
    '"""""x"""""',
    '"""\r\nx\r\n"""',
    '""" [1] """',
  ),
  fc.integer({ min: 1, max: 120 }).map((length) => `"${'w'.repeat(length)}"`),
);

const scalar = fc.oneof(
  string,
  fc.constantFrom('1', '-17', '0o755', '1_000', '1.5', 'true', 'false', '1979-05-27T07:32:00Z'),
);

const bareKey = fc.constantFrom(
  'a',
  'b-c',
  'd_e',
  '1',
  'true',
  'inf',
  '"f"',
  "'g'",
  '"h.i"',
  '"j k"',
  "'l'",
  '""',
  `'"'`,
);

/** Trivia within an array: comments end with their line. */
const gap = fc
  .array(
    fc.oneof(
      blanks,
      lineEnd,
      fc.tuple(comment, lineEnd).map((parts) => parts.join('')),
    ),
    { maxLength: 3 },
  )
  .map((parts) => parts.join(''));

/** The parser wants the elements of an array to be of one kind. */
const { value } = fc.letrec<{ value: string; array: string; table: string }>((tie) => ({
  value: fc.oneof({ depthSize: 'small', withCrossShrink: true }, scalar, tie('array'), tie('table')),
  array: fc
    .oneof(
      { depthSize: 'small' },
      fc.array(fc.tuple(gap, string, gap), { maxLength: 8 }),
      fc.array(fc.tuple(gap, fc.constantFrom('1', '22', '-3'), gap), { maxLength: 8 }),
      fc.array(fc.tuple(gap, tie('table'), gap), { maxLength: 4 }),
      fc.array(fc.tuple(gap, tie('array'), gap), { maxLength: 3 }),
    )
    .chain((elements) =>
      fc
        .tuple(gap, fc.boolean())
        .map(
          ([end, comma]) =>
            `[${elements.map((parts) => parts.join('')).join(',')}${comma && elements.length > 0 ? ',' : ''}${end}]`,
        ),
    ),
  table: fc
    .uniqueArray(fc.tuple(bareKey, blanks, tie('value'), blanks), { selector: ([key]) => unquoted(key), maxLength: 4 })
    .map(
      (entries) => `{${entries.map(([key, before, of, after]) => `${before}${key}${before}=${after}${of}${after}`)}}`,
    ),
}));

const assignments = fc
  .uniqueArray(fc.tuple(blanks, bareKey, blanks, value, blanks, fc.option(comment), lineEnd), {
    selector: ([, key]) => unquoted(key),
    maxLength: 6,
  })
  .chain((all) =>
    fc
      .array(fc.tuple(blanks, fc.option(comment), lineEnd), { minLength: all.length, maxLength: all.length })
      .map((others) =>
        all
          .flatMap(([indent, key, around, of, after, end, line], index) => [
            `${indent}${key}${around}=${around}${of}${after}${end ?? ''}${line}`,
            others[index]?.map((part) => part ?? '').join('') ?? '',
          ])
          .join(''),
      ),
  );

const header = fc.tuple(blanks, fc.boolean(), blanks, fc.option(comment), lineEnd).map(
  ([indent, isList, inner, end, line]) =>
    (number: number) =>
      `${indent}${isList ? '[[' : '['}${inner}t.'x${number}'${inner}${isList ? ']]' : ']'}${end ?? ''}${line}`,
);

/** Texts that are TOML, written in every way that nobody should write. */
const tomlText: fc.Arbitrary<string> = fc
  .tuple(fc.constantFrom('', '\ufeff', '\n'), assignments, fc.array(fc.tuple(header, assignments), { maxLength: 4 }))
  .map(([start, top, tables]) => {
    const sections = tables.map(([head, body], index) => head(index) + body);
    return start + top + sections.join('');
  });

function unquoted(key: string): string {
  return key.replace(/^["'](.*)["']$/, '$1');
}

const root = path.dirname(path.dirname(import.meta.dirname));

function formatted(text: string): string {
  return formatBuildfile(text, 'Buildfile');
}

describe('formatBuildfile', () => {
  it('changes neither what a text says nor its own output', () => {
    fc.assert(
      fc.property(tomlText, (text) => {
        const once = formatted(text);

        expect(formatted(once)).toBe(once);
        expect(parseToml(once, 'f').value).toEqual(parseToml(text, 'f').value);
        expect(commentsOf(once)).toEqual(commentsOf(text));
        expect(once).toMatch(/^(?:[\s\S]*[^\n]\n)?$/);
      }),
      { numRuns: 300 },
    );
  });

  it.each(['Buildfile.example', ...globSync('fixtures/**/Buildfile', { cwd: root })])(
    'agrees with itself on %s',
    (file) => {
      const text = readFileSync(path.join(root, file), 'utf8');
      let once: string;
      try {
        once = formatted(text);
      } catch (error) {
        // Some fixtures are there because they are not TOML.
        expect(error).toBeInstanceOf(BuildfileError);
        return;
      }

      expect(formatted(once)).toBe(once);
      expect(parseToml(once, 'f').value).toEqual(parseToml(text, 'f').value);
    },
  );

  it.each<[string, string, string]>([
    ['spaces around = and in brackets', 'a=[1,2 ,3,]\nb ={x=1,y = {}}\n', 'a = [1, 2, 3]\nb = { x = 1, y = {} }\n'],
    ['indentation and blanks at ends', '  a = 1  \n\t# c \t\n', 'a = 1\n# c\n'],
    ['headers', '[ a . "b" ]\n[[ c ]]\n', '[a.b]\n\n[[c]]\n'],
    ['line ends', 'a = 1\r\nb = """\r\nx\r\n"""', 'a = 1\nb = """\nx\n"""\n'],
    ['a byte order mark', '\ufeffa = 1', 'a = 1\n'],
    [
      'quotes',
      `a = 'x'\nb = 'a"b'\nc = 'a\\b'\n'd' = 1\n'e.f' = 1\n`,
      `a = "x"\nb = 'a"b'\nc = 'a\\b'\nd = 1\n"e.f" = 1\n`,
    ],
    ['many blank lines', '\n\na = 1\n\n\n\nb = 2\n\n\n', 'a = 1\n\nb = 2\n'],
    ['no blank line before a table, and one after it', 'a = 1\n[t]\n\nb = 2', 'a = 1\n\n[t]\nb = 2\n'],
    ['comments above a table', 'a = 1\n# one\n# two\n[t]', 'a = 1\n\n# one\n# two\n[t]\n'],
    [
      'comments at ends of lines',
      'a = 1 # x\nbcd = 2   # y\n\ne = 3    # z',
      'a = 1   # x\nbcd = 2 # y\n\ne = 3 # z\n',
    ],
    ['an array that its author broke', 'a = [\n1,2]', 'a = [\n  1,\n  2,\n]\n'],
    ['an array with comments', 'a = [1, # one\n\n\n# two\n2]', 'a = [\n  1, # one\n\n  # two\n  2,\n]\n'],
    ['a comment before a comma', 'a = [1 # one\n, 2]', 'a = [\n  1, # one\n  2,\n]\n'],
    ['a broken array without anything in it', 'a = [\n\n]\nb = {}', 'a = []\nb = {}\n'],
    ['an empty text', '\n \n', ''],
    ['a script', 'a = """\n  x\\\n   y  \n"""', 'a = """\n  x\\\n   y  \n"""\n'],
  ])('puts right %s', (_title, text, expected) => {
    expect(formatted(text)).toBe(expected);
  });

  it('breaks an array where it would be too long, one element per line', () => {
    const names = Array.from({ length: 12 }, (_, index) => `"package-${index}"`);

    expect(formatted(`a = [${names.join(',')}]`)).toBe(`a = [\n${names.map((name) => `  ${name},\n`).join('')}]\n`);
  });

  it('keeps 100 columns on one line and breaks 101', () => {
    const of = (width: number) => `a = ["${'x'.repeat(width - 8)}"]\n`;

    expect(formatted(of(100))).toBe(of(100));
    expect(formatted(of(101))).toBe(`a = [\n  "${'x'.repeat(93)}",\n]\n`);
  });

  it('breaks an inline table inside its longest array alone', () => {
    const long = 'x'.repeat(40);
    const text = `steps = [\n{ run = "${long}", env = { A = "1" }, mounts = [{ cache = "/${long}" }, { ssh = "default" }] }]`;

    expect(formatted(text)).toBe(
      `steps = [\n  { run = "${long}", env = { A = "1" }, mounts = [\n    { cache = "/${long}" },\n    { ssh = "default" },\n  ] },\n]\n`,
    );
  });

  it('takes time in proportion to the text', () => {
    const text = `a = [${'{ x = [1, 2, [3]] }, # c\n'.repeat(30_000)}]\n`;

    expect(formatted(text).split('\n')).toHaveLength(30_003);
  });

  it('tells what is not TOML', () => {
    expect(() => formatted('a = ')).toThrow(BuildfileError);
  });
});

/** Words in the comments of generated texts are unlike anything else in them. */
function commentsOf(text: string): string[] {
  return [...text.matchAll(/#comment\d*/g)].map(([comment]) => comment);
}

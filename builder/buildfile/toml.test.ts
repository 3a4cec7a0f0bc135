import TOML from '@iarna/toml';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BuildfileError } from './problems.ts';
import { maxTomlLength, parseToml, type TomlDocument, type TomlPath } from './toml.ts';

function positions(text: string, path: TomlPath): string {
  const document = parseToml(text, 'f');
  const key = document.keyPosition(path);
  const value = document.valuePosition(path);
  return `${key.line}:${key.column} ${value.line}:${value.column}`;
}

function problemOf(text: string): string {
  try {
    parseToml(text, 'f');
  } catch (error) {
    if (!(error instanceof BuildfileError)) throw error;
    const [problem, ...more] = error.problems;
    expect(more).toEqual([]);
    return `${problem?.code} ${problem?.position.line}:${problem?.position.column} ${problem?.message}`;
  }
  return 'no problem';
}

describe('positions', () => {
  it.each<[string, string, TomlPath, string]>([
    ['a key and its value', 'a = 1\n  bc =  "x"', ['bc'], '2:3 2:9'],
    ['a quoted key', '"a b" = 1', ['a b'], '1:1 1:9'],
    ['a quoted key with an escape', '"\\u0061" = 1', ['a'], '1:1 1:12'],
    ['each part of a dotted key', 'a . "b".c = 1', ['a', 'b'], '1:5 1:5'],
    ['the value of a dotted key', 'a . "b".c = 1', ['a', 'b', 'c'], '1:9 1:13'],
    ['a table', '[x]\n[ a.b ]\nc = 1', ['a', 'b'], '2:5 2:5'],
    ['a table that is opened after its own part', '[a.b]\n[a]\nc = 1', ['a'], '2:2 2:2'],
    ['an element of a list of tables', '[[a]]\nb = 1\n[[a]]\nb = 2', ['a', 1], '3:3 3:3'],
    ['a key in such an element', '[[a]]\nb = 1\n[[a]]\nb = 2', ['a', 1, 'b'], '4:1 4:5'],
    ['a table below such an element', '[[a]]\n[[a]]\n[a.b]\nc = 1', ['a', 1, 'b', 'c'], '4:1 4:5'],
    ['an element of an array', 'a = [ 1,\n # no\n  [2, 3],\n]', ['a', 1, 1], '3:7 3:7'],
    ['a key of an inline table', 'a = [{ b = 1 }, { c.d = 2 }]', ['a', 1, 'c', 'd'], '1:21 1:25'],
    ['what follows a multi-line string', 'a = """\n"quoted" \\"""\n""""\nb = 1', ['b'], '4:1 4:5'],
    ['what follows a literal string', "a = '''\n\\'''''\nb = '\\'\nc = 1", ['c'], '4:1 4:5'],
    ['what follows brackets in strings and comments', 'a = "]" # [\nb = "#"\nc = 1', ['c'], '3:1 3:5'],
    ['what follows a date with a space', 'a = [1979-05-27 07:32:00Z, 2]', ['a', 1], '1:28 1:28'],
    ['lines that end in CRLF', '# c\r\na = 1\r\nb = 2', ['b'], '3:1 3:5'],
    ['columns in characters, not UTF-16 units', 'a = ["😀é", "x"]', ['a', 1], '1:12 1:12'],
    ['the nearest ancestor of what was not written', '[a]\nb = 1', ['a', 'zzz', 0], '1:2 1:2'],
    ['a key named like a method', 'constructor = 1\n[toString.x]\ny = 1', ['toString', 'x', 'y'], '3:1 3:5'],
  ])('knows %s', (_title, text, path, expected) => {
    if (text.includes('[toString')) return expect(problemOf(text)).toContain('2:2');
    expect(positions(text, path)).toBe(expected);
  });

  it('finds a part of a value', () => {
    const document = parseToml('a = """\nx <A> <B>"""', 'f');

    expect(document.valuePosition(['a'], '<B>')).toEqual({ file: 'f', line: 2, column: 7 });
    expect(document.valuePosition(['a'], 'not there')).toEqual({ file: 'f', line: 1, column: 5 });
  });

  it('keeps a byte order mark out of the first column', () => {
    expect(positions('\ufeffa = 1', ['a'])).toBe('1:1 1:5');
  });
});

describe('syntax problems', () => {
  it.each([
    ['a\n', '1:2 expected = after the key'],
    ['a = ', '1:5 expected a value'],
    ['a = 1\na = 2', '2:1 `a` is already defined on line 1'],
    ['[a]\n[a]', '2:2 `a` is already defined on line 1'],
    ['a = {}\na.b = 1', '2:1 `a` is already defined on line 1'],
    ['a = []\n[[a]]', '2:3 `a` is already defined on line 1'],
    ['a = "x', '1:5 this string is not closed'],
    ['a = """x\n', '1:5 this multi-line string is not closed'],
    ['a = [1,\n', '1:5 this array is not closed'],
    ['a = [1 2]', '1:8 expected , or ]'],
    ['a = { b = 1,\n c = 2 }', '1:5 an inline table is written on one line'],
    ['a = { b = 1, }', '1:14 an inline table has no comma before its }'],
    ['a = "\\q"', '1:6 unknown escape'],
    ['a = "\\ud800"', '1:6 unknown escape'],
    ['a = 1 b = 2', '1:7 expected the end of the line'],
    ['[a', '1:3 expected ]'],
    ['a = 1\rb = 2', '1:6 a carriage return stands without its line feed'],
    ['é = 1', '1:1 expected a key'],
    ['a = 0755', '1:9 this is not TOML'],
    ['😀', '1:1 expected a key'],
    ['x = 1\n"😀" = "\u0001"', '2:8 this is not TOML'],
    ['a = "\u0001"', '1:6 this is not TOML'],
  ])('reports %j at its place', (text, expected) => {
    const problem = problemOf(text);

    expect(problem).toContain('BUILDFILE_SYNTAX ');
    expect(problem.slice('BUILDFILE_SYNTAX '.length)).toContain(expected);
  });

  it('refuses what is too deep or too long', () => {
    expect(problemOf(`a = ${'['.repeat(100_000)}`)).toContain('nested more than 64 deep');
    expect(problemOf(`a = ${'{a='.repeat(100_000)}`)).toContain('nested more than 64 deep');
    expect(problemOf('#'.repeat(maxTomlLength + 1))).toContain(
      'BUILDFILE_TOO_BIG 1:1 the file is longer than 1024 KiB',
    );
  });

  it('takes long dotted keys', () => {
    expect(problemOf(`${'a.'.repeat(50_000)}a = 1`)).toBe('no problem');
  });
});

describe('names of built-in properties', () => {
  it.each([
    '[constructor]\nfoo = 1',
    'constructor.foo = 1',
    'a = { constructor.foo = 1 }',
    '[toString]\ncall = 1',
    '[a]\n"hasOwn\\u0050roperty".call = 1',
    '__proto__ = 1',
    '[a.__proto__]\nfoo = 1',
    'a = { __proto__ = { foo = 1 } }',
    '[[__proto__]]\nfoo = 1',
  ])('are refused where they could be written to: %j', (text) => {
    const before = Object.getOwnPropertyNames(Object).length;

    expect(problemOf(text)).toContain('cannot be used as a name here');
    expect(Object.getOwnPropertyNames(Object).length).toBe(before);
    expect('foo' in {}).toBe(false);
  });

  it('are plain keys elsewhere', () => {
    const { value } = parseToml('constructor = "x"\na = { toString = "y" }', 'f');

    expect(Object.entries(value)).toEqual([
      ['constructor', 'x'],
      ['a', { toString: 'y' }],
    ]);
  });
});

it('gives values LF line ends', () => {
  expect(parseToml('a = """\r\nx\r\ny"""\r\n# c\r\n', 'f').value).toEqual({ a: 'x\ny' });
});

const bareKey = fc.stringMatching(/^[A-Za-z0-9_-]{1,6}$/).filter((name) => !(name in {}));
const anyKey = fc
  .oneof(bareKey, fc.string({ unit: 'grapheme', maxLength: 5 }))
  .filter((name) => !(name in {}))
  .map((name) => ({ name, written: /^[A-Za-z0-9_-]+$/.test(name) ? name : TOML.stringify.value(name) }));
const scalar = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 8 }).map((text) => TOML.stringify.value(text)),
  fc.stringMatching(/^[\][{}#,= a-z😀]{0,8}$/u).map((text) => `'${text}'`),
  fc.stringMatching(/^[\][{}#,= a-z"\n]{0,8}$/).map((text) => `'''${text}'''`),
  fc.stringMatching(/^[\][{}#,= a-z'\n]{0,8}$/).map((text) => `"""${text}"""`),
  fc.integer().map(String),
  fc.constantFrom('true', '1e3', '-inf', '0x1F', '1979-05-27 07:32:00Z', '1979-05-27T07:32:00.5+01:00', '0o17'),
);
const { value: tomlValue } = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc
      .array(tie('value'), { maxLength: 4 })
      .chain((items) => fc.constantFrom(',', ' , ', ',\n', ', # ]\n').map((comma) => `[${items.join(comma)}]`)),
    fc
      .uniqueArray(fc.tuple(anyKey, tie('value')), { maxLength: 3, selector: ([key]) => key.name })
      .map((entries) => `{${entries.map(([key, item]) => ` ${key.written} = ${item}`).join(',')} }`),
  ),
}));
const entries = fc
  .uniqueArray(fc.tuple(anyKey, fc.array(anyKey, { maxLength: 2 }), tomlValue), {
    maxLength: 4,
    selector: ([key]) => key.name,
  })
  .map((lines) =>
    lines.map(([key, more, value]) => `${[key, ...more].map((part) => part.written).join('.')} = ${value}`),
  );
const section = fc.tuple(fc.constantFrom('none', 'table', 'list', 'nested'), anyKey, entries);
const tomlText = fc.array(section, { maxLength: 5 }).chain((sections) => {
  const lines = sections.flatMap(([kind, key, body], index) => {
    const headers = {
      none: '',
      table: `[T${index}]`,
      list: `[[ list ]] # ${index}`,
      nested: `[T${index} . ${key.written}]`,
    };
    return index === 0 && kind === 'none' ? body : [kind === 'none' ? `[S${index}]` : headers[kind], ...body];
  });
  return fc.constantFrom('\n', '\r\n', '\n\n # c [\n').map((end) => lines.join(end));
});

function pathsOf(value: unknown, at: TomlPath = []): TomlPath[] {
  if (Array.isArray(value)) return value.flatMap((item, index) => [[...at, index], ...pathsOf(item, [...at, index])]);
  if (typeof value !== 'object' || value === null || value instanceof Date) return [];
  return Object.entries(value).flatMap(([key, item]) => [[...at, key], ...pathsOf(item, [...at, key])]);
}

function valueAt(document: TomlDocument, path: TomlPath): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<string | number, unknown>)[key], document.value);
}

function offsetOf(text: string, { line, column }: { readonly line: number; readonly column: number }): number {
  const lines = text.split('\n').slice(0, line);
  const last = Array.from(lines.pop() ?? '').slice(0, column - 1);
  return [...lines.map((before) => `${before}\n`), ...last].join('').length;
}

describe('any document', () => {
  it('has every path of the parser, at a place where that key and that value stand', () => {
    fc.assert(
      fc.property(tomlText, (text) => {
        const document = parseToml(text, 'f');
        for (const path of pathsOf(document.value)) {
          expect(document.has(path)).toBe(true);
          const last = path.at(-1);
          const rest = text.slice(offsetOf(text, document.keyPosition(path)));
          if (typeof last === 'string') expect([last, JSON.stringify(last).slice(1)]).toContain(keyAt(rest));
          const value = valueAt(document, path);
          if (typeof value === 'object' && !(value instanceof Date)) continue;
          const source = document.sourceOf(path);
          expect(text.slice(offsetOf(text, document.valuePosition(path))).startsWith(source)).toBe(true);
          expect(TOML.parse(`x = ${source.replaceAll('\r\n', '\n')}`)).toEqual({ x: value });
        }
      }),
      { numRuns: 300 },
    );
  }, 60_000);

  it('is accepted or refused as the parser does, however it is damaged', () => {
    const damage = fc.tuple(
      fc.nat(),
      fc.nat(3),
      fc.constantFrom('', '"', "'", '[', ']', '{', '}', '=', '.', '\n', '#', ',', '\\'),
    );
    fc.assert(
      fc.property(tomlText, fc.array(damage, { minLength: 1, maxLength: 3 }), (whole, damages) => {
        // The parser does not mind a header that the end of the text cuts off.
        let text = `${whole.replaceAll('\r\n', '\n')}\n#`;
        for (const [at, length, put] of damages) {
          const start = at % (text.length + 1);
          text = text.slice(0, start) + put + text.slice(start + length);
        }
        expect(problemOf(text).split(' ')[0]).toBe(isAccepted(text) ? 'no' : 'BUILDFILE_SYNTAX');
      }),
      { numRuns: 1000 },
    );
  }, 60_000);
});

function keyAt(text: string): string {
  const written = /^(?:"(?:[^"\\]|\\.)*"|[A-Za-z0-9_-]+)/.exec(text)?.[0] ?? '';
  return written.startsWith('"') ? (Object.keys(TOML.parse(`${written} = 1`))[0] ?? '') : written;
}

function isAccepted(text: string): boolean {
  try {
    TOML.parse(text);
    return true;
  } catch {
    return false;
  }
}

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { errorCode } from '../core/index.ts';
import { parseFormat } from './format-template.ts';

const result = {
  digest: 'sha256:abc',
  size: 3,
  config: { digest: 'inner' },
  tags: ['a', 'b'],
  annotations: { 'k.x': 'v' },
  nothing: null,
  none: [],
};

describe('a template', () => {
  it.each([
    ['{{.digest}}', 'sha256:abc'],
    ['{{.Digest}} of {{.Size}}', 'sha256:abc of 3'],
    ['{{.config.digest}} {{.Config.Digest}}', 'inner inner'],
    ['{{json .annotations}}', '{"k.x":"v"}'],
    ['{{range .tags}}{{.}}{{"\\n"}}{{end}}', 'a\nb\n'],
    ['{{range $at, $tag := .tags}}{{$at}}={{$tag}};{{end}}', '0=a;1=b;'],
    ['{{range .none}}x{{else}}empty{{end}}', 'empty'],
    ['{{println .tags}}', '[a b]\n'],
    ['{{index .annotations "k.x"}}{{index .tags 1}}', 'vb'],
    ['{{index .annotations "other"}}', ''],
    ['{{if .none}}1{{else if .size}}2{{else}}3{{end}}', '2'],
    ['{{if and .size (not .none)}}both{{end}}', 'both'],
    ['{{with .config}}{{.digest}} {{$.size}}{{end}}', 'inner 3'],
    ['{{len .tags}} {{len .digest}}', '2 10'],
    ['{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}', '2'],
    ['{{.tags | join ","}} {{join .tags "+"}}', 'a,b a+b'],
    ['{{.size | printf "%03d"}}|{{printf "%-4s|%q" "a" "b"}}', '  3|a   |"b"'],
    ['{{upper "a"}}{{lower "A"}}{{title "one two"}}', 'AaOne Two'],
    ['{{eq .size 3}} {{ne .size 3}} {{lt 1 2}} {{eq .digest "x" "sha256:abc"}}', 'true false true true'],
    ['a\\tb\\n', 'a\tb\n'],
    ['x  {{- .size -}}  y', 'x3y'],
    ['{{/* nothing }} */}}y', 'y'],
    [
      '{{.}}',
      'map[annotations:map[k.x:v] config:map[digest:inner] digest:sha256:abc none:[] nothing:<no value> size:3 tags:[a b]]',
    ],
    ['{{"}}"}}{{`{{`}}', '}}{{'],
    ['{{or .absent "else"}}{{default "d" .absent}}', 'elsed'],
    ['{{(index .tags 0) | upper}}', 'A'],
    ['no action', 'no action'],
  ])('%s gives %j', (template, text) => {
    expect(parseFormat(template).render(result)).toBe(text);
  });

  it('names what there is where something unknown is asked for', () => {
    expect(() => parseFormat('{{.digst}}').render(result)).toThrow(
      'the result has no .digst; it has digest, size, config, tags, annotations, nothing, none',
    );
    expect(() => parseFormat('{{.config.size}}').render(result)).toThrow('.config has no .size; it has digest');
    expect(() => parseFormat('{{.tags.x}}').render(result)).toThrow('.tags is a list and has no .x');
  });

  it('takes a name out of the prototype for one that is not there', () => {
    for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty']) {
      expect(() => parseFormat(`{{.${name}}}`).render(result)).toThrow(`has no .${name}`);
      expect(() => parseFormat(`{{${name} 1}}`)).toThrow(`there is no function ${name}`);
      expect(parseFormat(`{{index . "${name}"}}`).render(result)).toBe('');
    }
  });

  it.each([
    '{{',
    '{{}}',
    '{{end}}',
    '{{if .size}}',
    '{{else}}',
    '{{.size',
    '{{foo .size}}',
    '{{.size .size}}',
    '{{"a',
    '{{(.size}}',
    '{{index}}',
    '{{range $a, $b, $c := .tags}}{{end}}',
    '{{if .size}}a{{else}}b{{else}}c{{end}}',
    '{{.size |}}',
    '{{printf "%d"}}',
    '{{$unset}}',
    '{{index .tags 9}}',
    '{{lt .tags 1}}',
    '{{range .size}}{{end}}',
  ])('refuses %s', (template) => {
    expect(() => parseFormat(template).render(result)).toThrow(expect.objectContaining({ code: 'USAGE_FORMAT' }));
  });

  it('ends where a template would make more and more', () => {
    const doubling = `{{$x := "aaaaaaaaaaaaaaaa"}}{{range .}}{{$x = print $x $x}}{{end}}{{len $x}}`;
    const nested = '{{range $}}{{range $}}{{range $}}{{range $}}{{range $}}x{{end}}{{end}}{{end}}{{end}}{{end}}';
    const quiet = '{{range $}}{{range $}}{{$x := json $}}{{end}}{{end}}';
    const list = Array.from({ length: 300 }, (_, at) => String(at).repeat(20));

    for (const template of [doubling, nested, quiet]) {
      expect(() => parseFormat(template).render(list)).toThrow(expect.objectContaining({ code: 'USAGE_FORMAT' }));
    }
  });

  it('says so where blocks, parentheses or data are nested too deep', () => {
    let deep: unknown = 1;
    for (let depth = 0; depth < 50_000; depth++) deep = [deep];

    for (const render of [
      () => parseFormat(`${'{{if 1}}'.repeat(5000)}${'{{end}}'.repeat(5000)}`).render({}),
      () => parseFormat(`{{${'('.repeat(5000)}1${')'.repeat(5000)}}}`).render({}),
      () => parseFormat('{{.}}').render({ deep }),
    ]) {
      expect(render).toThrow(expect.objectContaining({ code: 'USAGE_FORMAT' }));
    }
  });

  it('ends for any template and any data, with text or with USAGE_FORMAT', () => {
    const pieces = fc.constantFrom(
      '{{',
      '}}',
      '{{-',
      '-}}',
      '.',
      '$',
      '$x',
      ':=',
      '=',
      '|',
      '(',
      ')',
      ',',
      ' ',
      '"a"',
      '`b`',
      '1',
      '-2.5',
      'true',
      'nil',
      'if',
      'else',
      'end',
      'range',
      'with',
      'json',
      'len',
      'index',
      'print',
      'printf',
      '"%s"',
      'join',
      'split',
      'eq',
      'and',
      '.a',
      '.b.c',
      '/*',
      '*/',
      '\\n',
      'text',
      '{{range .}}',
      '{{end}}',
      '{{if .a}}',
      '{{.}}',
      '{{json .}}',
    );
    const templates = fc.oneof(
      fc.array(pieces, { maxLength: 25 }).map((parts) => parts.join('')),
      fc.string({ maxLength: 60 }),
    );

    fc.assert(
      fc.property(templates, fc.jsonValue({ maxDepth: 4 }), (template, data) => {
        try {
          expect(typeof parseFormat(template).render(data)).toBe('string');
        } catch (error) {
          if (errorCode(error) !== 'USAGE_FORMAT') throw error;
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('shows any value as JSON that reads back as that value', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
        const data = JSON.parse(JSON.stringify(value)) as unknown;
        expect(JSON.parse(parseFormat('{{json .}}').render({ value: data }))).toEqual({ value: data });
      }),
    );
  });
});

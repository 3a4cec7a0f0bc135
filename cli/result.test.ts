import { describe, expect, it } from 'vitest';
import type { Context } from './context.ts';
import { checkResultFlags, printResult } from './result.ts';

function printed(
  flags: { json?: boolean; format?: string },
  result: object | readonly object[],
  text = 'as text',
  isTerminal = false,
): string {
  const lines: string[] = [];
  const write = (more: string | Uint8Array): void => void lines.push(String(more));
  const sink = { write, isTerminal, columns: 80, rows: 25 };
  const context = { terminal: { out: sink } } as unknown as Context;
  printResult(context, { json: flags.json ?? false, format: flags.format }, result, text);
  return lines.join('');
}

const rows = [
  { name: 'one', sizeBytes: 1 },
  { name: 'two', sizeBytes: 22 },
];

describe('the result of a verb', () => {
  it('is the text the verb has for it', () => {
    expect(printed({}, rows)).toBe('as text\n');
    expect(printed({}, rows, '')).toBe('');
    expect(printed({ format: 'table' }, rows)).toBe('as text\n');
  });

  it.each([{ json: true }, { format: 'json' }])('is an object per line with %j', (flags) => {
    expect(printed(flags, rows)).toBe('{"name":"one","sizeBytes":1}\n{"name":"two","sizeBytes":22}\n');
    expect(printed(flags, [])).toBe('');
  });

  it('is a line per object by a template', () => {
    expect(printed({ format: '{{.Name}}={{.sizeBytes}}' }, rows)).toBe('one=1\ntwo=22\n');
    expect(printed({ format: '{{println .name}}' }, rows)).toBe('one\ntwo\n');
    expect(printed({ format: '{{if eq .name "two"}}{{.name}}{{end}}' }, rows)).toBe('two\n');
  });

  it('is a table with headings, as Docker writes them', () => {
    expect(printed({ format: 'table {{.name}}\\t{{.sizeBytes}}' }, rows)).toBe(
      'NAME   SIZE BYTES\none    1\ntwo    22\n',
    );
  });

  it('brings no escape sequences of a registry to a terminal', () => {
    const hostile = { name: '\u001b]0;owned\u0007x' };

    expect(printed({ format: '{{.name}}' }, hostile, '', true)).not.toContain('\u001b');
    expect(printed({ format: '{{.name}}' }, hostile)).toBe('\u001b]0;owned\u0007x\n');
  });

  it('is refused before the work where the template is wrong', () => {
    const wrong = { code: 'USAGE_FORMAT' };
    expect(() => checkResultFlags({ json: false, format: '{{.a' })).toThrow(expect.objectContaining(wrong));
    expect(() => checkResultFlags({ json: true, format: '{{.a}}' })).toThrow(expect.objectContaining(wrong));
    expect(() => checkResultFlags({ json: false, format: 'table {{nope}}' })).toThrow(expect.objectContaining(wrong));
    expect(() => checkResultFlags({ json: false, format: '{{.a}}' })).not.toThrow();
    expect(() => checkResultFlags({ json: true, format: undefined })).not.toThrow();
  });
});

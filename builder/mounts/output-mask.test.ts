import { describe, expect, it } from 'vitest';
import { OutputMask } from './output-mask.ts';

function masked(secrets: readonly string[], chunks: readonly string[]): string {
  const mask = new OutputMask(secrets.map((secret) => Buffer.from(secret)));
  return Buffer.concat([...chunks.map((chunk) => mask.push(Buffer.from(chunk))), mask.end()]).toString();
}

describe('OutputMask', () => {
  it.each([
    ['a secret', ['hunter22'], 'x hunter22 y hunter22', 'x *** y ***'],
    ['one without the line end of its file', ['hunter22\n'], 'hunter22!', '***!'],
    ['the longer one of two that begin alike', ['hunter', 'hunter22'], 'hunter22 hunter2', '*** ***2'],
    ['each line of one', ['first line\nsecond line\n'], 'a second line, first line', 'a ***, ***'],
    ['one of several lines as a whole', ['ab\ncd\n'], 'x ab\ncd y', 'x *** y'],
    ['a line that is indented in the file', ['  "key": "v"  \n'], '"key": "v"', '***'],
    ['one that begins where another one seemed to', ['aaab'], 'aaaab', 'a***'],
    ['secrets side by side', ['abcd', 'efgh'], 'abcdefghabcd', '*********'],
  ])('hides %s', (_what, secrets, text, expected) => {
    expect(masked(secrets, [text])).toBe(expected);
  });

  it('hides nothing that is shorter than four bytes, and nothing when there is nothing to hide', () => {
    expect(masked(['abc', '1\n2\n3', ''], ['abc 1 2 3'])).toBe('abc 1 2 3');
    expect(masked([], ['abc'])).toBe('abc');
  });

  it('hides a secret wherever the output is cut', () => {
    const text = 'start hunter22 hunter2 hunter22 long-one-of-20-bytes end hunte';
    const secrets = ['hunter22', 'long-one-of-20-bytes', 'hunt-others'];
    const expected = 'start *** hunter2 *** *** end hunte';
    for (let first = 0; first <= text.length; first++) {
      for (let second = first; second <= text.length; second += 3) {
        const chunks = [text.slice(0, first), text.slice(first, second), text.slice(second)];

        expect(masked(secrets, chunks)).toBe(expected);
      }
    }
  });

  it('shows at once what cannot be part of a secret', () => {
    const mask = new OutputMask([Buffer.from('hunter22')]);

    expect(mask.push(Buffer.from('a prompt: ')).toString()).toBe('a prompt: ');
    expect(mask.push(Buffer.from('who hunt')).toString()).toBe('who ');
    expect(mask.push(Buffer.from('s?')).toString()).toBe('hunts?');
  });

  it('takes a secret of ten thousand lines and an output of megabytes', () => {
    const lines = Array.from({ length: 10_000 }, (_, index) => `secret line number ${index}`);
    const output = `${'nothing of interest '.repeat(50_000)}${lines[9_999]}\n`;

    expect(masked([lines.join('\n')], [output, output])).not.toContain('number');
  });

  it('hides bytes that are no text', () => {
    const secret = Buffer.from([0xff, 0x00, 0x80, 0xfe, 0x0a, 0x01]);
    const mask = new OutputMask([secret]);

    const shown = Buffer.concat([mask.push(Buffer.concat([Buffer.from('x'), secret])), mask.end()]);

    expect(shown.toString('latin1')).toBe('x***');
  });
});

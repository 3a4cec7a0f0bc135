import { stripVTControlCharacters } from 'node:util';

/**
 * Text from a stranger (a registry's message, a step's output, a file's name) as one harmless line: escape sequences
 * go, a line's progress animation keeps its last frame, every other control character shows as an escape.
 */
export function harmlessLine(text: string): string {
  const frames = text
    .replace(/\s*\n\s*/g, ' ')
    .replace(/\r+$/, '')
    .split('\r');
  return harmless(frames.findLast((frame) => frame !== '') ?? '');
}

/** Like harmlessLine for text of several lines, whose breaks stay. */
export function harmlessText(text: string): string {
  return text
    .replace(/\r\n/g, '\n')
    .split('\n')
    .map((line) => harmless(line))
    .join('\n');
}

function harmless(text: string): string {
  return (
    stripVTControlCharacters(text)
      .replace(/\t/g, '    ')
      // C0, C1, and the marks that reorder or hide text (bidi, zero width).
      .replace(
        /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ufeff]/g,
        escaped,
      )
  );
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`;
}

/** How many columns a harmless text takes. */
export function columnsOf(text: string): number {
  let columns = 0;
  for (const character of text) columns += characterColumns(character);
  return columns;
}

/** The text cut to `columns`, its end replaced by an ellipsis where it was longer. */
export function fitTo(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text;
  let kept = '';
  let used = 0;
  for (const character of text) {
    used += characterColumns(character);
    if (used > columns - 1) break;
    kept += character;
  }
  return columns < 1 ? '' : `${kept}…`;
}

/** UAX #11 as far as terminals agree on it: East Asian wide and emoji take two columns, marks none. */
function characterColumns(character: string): 0 | 1 | 2 {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x300) return 1;
  if (code === 0x200d || /^[\p{Mn}\p{Me}]$/u.test(character)) return 0;
  return isWide(code) ? 2 : 1;
}

function isWide(code: number): boolean {
  return (
    (code >= 0x1100 && code <= 0x115f) ||
    (code >= 0x2e80 && code <= 0xa4cf && code !== 0x303f) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) ||
    (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0xffe0 && code <= 0xffe6) ||
    (code >= 0x1f300 && code <= 0x1f64f) ||
    (code >= 0x1f680 && code <= 0x1faff) ||
    (code >= 0x20000 && code <= 0x3fffd)
  );
}

import { columnsOf, harmlessLine } from './terminal-text.ts';

/** Rows under headings, in aligned columns three spaces apart; ends with a line break. */
export function formatTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [headings, ...rows.map((row) => row.map(harmlessLine))];
  const widths = headings.map((_, column) => Math.max(...all.map((row) => columnsOf(row[column] ?? ''))));
  return all
    .map((row) => row.map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - columnsOf(cell))).join('   '))
    .map((line) => `${line.trimEnd()}\n`)
    .join('');
}

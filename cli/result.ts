import { ToolError } from '../core/index.ts';
import type { FlagTable, FlagValues } from './command.ts';
import type { Context } from './context.ts';
import { parseFormat } from './format-template.ts';
import { formatTable } from './table.ts';
import { harmlessText } from './terminal-text.ts';

/** How a verb's result is printed. */
export const resultFlags = {
  json: { kind: 'switch', summary: 'Print the result as JSON, one object per line, and errors as such' },
  format: { kind: 'value', placeholder: 'FORMAT', summary: 'json, or a template: {{.digest}}, {{json .}}' },
} as const satisfies FlagTable;

export type ResultFlags = FlagValues<typeof resultFlags>;

/**
 * Prints a result: as JSON (a list: an object per line), by a template, or as `text` says.
 * @param text lines without a break at their end; `''` prints nothing
 * @throws ToolError USAGE_FORMAT
 */
export function printResult(
  context: Context,
  flags: ResultFlags,
  result: object | readonly object[],
  text: string | (() => string),
): void {
  const { out } = context.terminal;
  const objects: readonly object[] = Array.isArray(result) ? result : [result];
  const shown = render(flags, objects, text);
  out.write(shown === '' || shown.endsWith('\n') ? shown : `${shown}\n`);

  /** What registries say may hold escape sequences: pipes get it as it is, terminals do not. */
  function safe(line: string): string {
    return out.isTerminal ? harmlessText(line) : line;
  }

  function render({ json, format = '' }: ResultFlags, all: readonly object[], plain: typeof text): string {
    if (json || format === 'json') return all.map((object) => safe(JSON.stringify(object))).join('\n');
    if (format === '' || format === 'text' || format === 'table') return typeof plain === 'string' ? plain : plain();
    const table = tableTemplate(format);
    if (table !== undefined)
      return formatTable(
        table.headings,
        all.map((object) => table.row(object)),
      );
    const template = parseFormat(format);
    return all.map((object) => safe(ended(template.render(object)))).join('');
  }
}

/**
 * For verbs that change something before they have a result: what is wrong with `--format` is said first.
 * @throws ToolError USAGE_FORMAT
 */
export function checkResultFlags({ json, format = '' }: ResultFlags): void {
  if (json && format !== '' && format !== 'json') {
    throw new ToolError('USAGE_FORMAT', '--json and --format exclude each other', { hint: 'leave one of them away' });
  }
  if (['', 'json', 'text', 'table'].includes(format)) return;
  if (tableTemplate(format) === undefined) parseFormat(format);
}

function ended(line: string): string {
  return line === '' || line.endsWith('\n') ? line : `${line}\n`;
}

/** `table {{.name}}\t{{.digest}}`, as Docker's users write it; the headings are the names of the fields. */
function tableTemplate(
  format: string,
): { readonly headings: readonly string[]; row(object: object): readonly string[] } | undefined {
  const [, template] = /^table[ \t]+(\S[\s\S]*)$/.exec(format) ?? [];
  if (template === undefined) return undefined;
  const cells = template.replaceAll('\\t', '\t').split('\t');
  const templates = cells.map(parseFormat);
  return {
    headings: cells.map(headingOf),
    row: (object) => templates.map((cell) => cell.render(object)),
  };
}

function headingOf(cell: string): string {
  const [, field = ''] = /(?:^|[\s{(])(?:\.[\w.]*)?\.(\w+)/.exec(cell) ?? [];
  return field.replace(/(?<=[a-z])(?=[A-Z])/g, ' ').toUpperCase();
}

import type { FlagTable, FlagValues } from './command.ts';
import type { Context } from './context.ts';

/** How a verb's result is printed. */
export const resultFlags = {
  json: { kind: 'switch', summary: 'Print the result as JSON, one object per line, and errors as such' },
  format: { kind: 'value', placeholder: 'FORMAT', summary: 'json, or a template: {{.digest}}, {{json .}}' },
} as const satisfies FlagTable;

export type ResultFlags = FlagValues<typeof resultFlags>;

/**
 * Prints a result: as JSON (a list: an object per line), by a template, or as `text` says.
 * @throws ToolError USAGE_FORMAT
 */
export function printResult(
  context: Context,
  flags: ResultFlags,
  result: object | readonly object[],
  text: string | (() => string),
): void {
  const objects = Array.isArray(result) ? result : [result];
  const plain = () => (typeof text === 'string' ? text : text());
  const isJson = flags.json || flags.format === 'json';
  const out = isJson ? objects.map((object) => JSON.stringify(object)).join('\n') : plain();
  context.terminal.out.write(out === '' ? '' : `${out}\n`);
}

import { readFile } from 'node:fs/promises';
import { errorCode, ToolError } from '../core/index.ts';
import { harmlessLine, harmlessText } from './terminal-text.ts';

/** Where in a file, counted from 1. */
interface Place {
  readonly file: string;
  readonly line: number;
  readonly column?: number;
}

/** What errors of the other rooms carry beyond a sentence; each part is shown where it is there. */
interface Details {
  /** All that is wrong with a file: the error's message shows each. */
  readonly problems: readonly unknown[];
  readonly place: Place | undefined;
  readonly command: string | undefined;
  readonly exitCode: number | undefined;
  /** The last of what a step printed. */
  readonly output: readonly string[];
}

/** How many of a failed step's lines are repeated below its error. */
const shownLines = 20;

export interface ReportOptions {
  /** Also the stack, and that of its causes. */
  readonly debug: boolean;
}

/** The error as a person reads it; ends with a line break. */
export async function reportError(error: unknown, options: ReportOptions): Promise<string> {
  const details = detailsOf(error);
  const lines = [`kiln: ${countOf(details.problems)}${harmlessText(messageOf(error))}`];
  lines.push(...(await failureLines(details)));
  const hint = error instanceof ToolError ? error.hint : undefined;
  if (hint !== undefined) lines.push(`  hint: ${harmlessText(hint)}`);
  if (options.debug) lines.push(stackOf(error));
  else if (errorCode(error) === undefined) lines.push('  hint: this is a mistake in kiln; KILN_DEBUG=1 shows where');
  return `${lines.join('\n')}\n`;
}

/** The error as one JSON object on one line. */
export function reportErrorAsJson(error: unknown): string {
  const { problems, place, command, exitCode, output } = detailsOf(error);
  const hint = error instanceof ToolError ? error.hint : undefined;
  return `${JSON.stringify({
    error: {
      code: errorCode(error) ?? 'UNEXPECTED',
      message: messageOf(error),
      ...(hint === undefined ? {} : { hint }),
      ...(place === undefined ? {} : { position: place }),
      ...(command === undefined ? {} : { command }),
      ...(exitCode === undefined ? {} : { exitCode }),
      ...(output.length === 0 ? {} : { output }),
      ...(problems.length === 0 ? {} : { problems }),
    },
  })}\n`;
}

/** The lines around a place, the line itself marked; empty when the file cannot be read. */
async function excerptAt(place: Place): Promise<string[]> {
  let text: string;
  try {
    text = await readFile(place.file, 'utf8');
  } catch {
    return [];
  }
  const lines = text.split('\n');
  const from = Math.max(1, place.line - 2);
  const to = Math.min(lines.length, place.line + 2);
  const width = String(to).length;
  return lines.slice(from - 1, to).flatMap((line, index) => {
    const number = from + index;
    const isLast = number === lines.length && line === '';
    const mark = number === place.line ? '>>>' : '   ';
    return isLast ? [] : [`${mark} ${String(number).padStart(width)} | ${harmlessLine(line)}`];
  });
}

async function failureLines({ place, command, exitCode, output }: Details): Promise<string[]> {
  const lines: string[] = [];
  if (place !== undefined)
    lines.push('', `  ${placeText(place)}`, ...(await excerptAt(place)).map((line) => `  ${line}`));
  if (command !== undefined) lines.push('', ...labelled('command', command));
  if (exitCode !== undefined) lines.push(`  exit status: ${exitCode}`);
  if (output.length > 0)
    lines.push('  last lines of its output:', ...output.map((line) => `    ${harmlessLine(line)}`));
  return lines;
}

function labelled(label: string, text: string): string[] {
  const [first = '', ...rest] = harmlessText(text.trimEnd()).split('\n');
  return rest.length === 0
    ? [`  ${label}: ${first}`]
    : [`  ${label}:`, ...[first, ...rest].map((line) => `    ${line}`)];
}

/** A file's problems follow a line of their own. */
function countOf(problems: readonly unknown[]): string {
  if (problems.length === 0) return '';
  return problems.length === 1 ? 'there is a problem\n' : `there are ${problems.length} problems\n`;
}

function placeText({ file, line, column }: Place): string {
  return `${harmlessLine(file)}:${line}${column === undefined ? '' : `:${column}`}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.stack ?? error.message;
  return error.cause === undefined ? own : `${own}\ncaused by ${stackOf(error.cause)}`;
}

function detailsOf(error: unknown): Details {
  const record = error instanceof ToolError ? fieldsOf(error) : {};
  return {
    problems: Array.isArray(record.problems) ? record.problems : [],
    place: placeOf(record.position),
    command: textOf(record.command),
    exitCode: typeof record.exitCode === 'number' ? record.exitCode : undefined,
    output: record.output instanceof Uint8Array ? lastLines(record.output) : [],
  };
}

function lastLines(bytes: Uint8Array): string[] {
  return Buffer.from(bytes)
    .toString('utf8')
    .trimEnd()
    .split('\n')
    .slice(-shownLines)
    .filter((line, _at, all) => all.length > 1 || line !== '');
}

function placeOf(value: unknown): Place | undefined {
  const { file, line, column } = fieldsOf(value);
  if (typeof file !== 'string' || typeof line !== 'number') return undefined;
  return { file, line, ...(typeof column === 'number' ? { column } : {}) };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

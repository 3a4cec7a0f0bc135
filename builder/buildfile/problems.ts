import { nearest, ToolError } from '../../core/index.ts';
import type { Position } from '../plan/plan.ts';

/** One thing that is wrong with a file, or with an option that belongs to it. */
export interface Problem {
  readonly code: string;
  /** One sentence that names the thing, without a full stop. */
  readonly message: string;
  /** For what was not written in a file, `file` is the option (`--target`). */
  readonly position: Position;
  /** The known name that was most likely meant. */
  readonly suggestion?: string;
}

/** Every problem of a file at once; the message shows each with its place and its line. */
export class BuildfileError extends ToolError {
  override name = 'BuildfileError';
  readonly problems: readonly Problem[];

  /** `sources` maps file names to their text; `area` is what the code begins with, for files other than Buildfiles. */
  constructor(problems: readonly Problem[], sources: ReadonlyMap<string, string>, area = 'BUILDFILE') {
    const sorted = [...problems].sort(byPosition);
    super(`${area}_INVALID`, formatProblems(sorted, sources));
    this.problems = sorted;
  }
}

/** More are counted, not shown. */
const maxShown = 100;
/** Characters of a source line that are shown. */
const excerptWidth = 100;

/**
 * The problems as a person reads them: place, sentence, the line with a caret, and the nearest name. A position whose
 * file is not among the sources is shown by its name alone.
 */
export function formatProblems(problems: readonly Problem[], sources: ReadonlyMap<string, string>): string {
  const lines = new Map(Array.from(sources, ([file, text]) => [file, text.split(/\r?\n/).map(lazyCharacters)]));
  const shown = problems.slice(0, maxShown).map((problem) => formatProblem(problem, lines.get(problem.position.file)));
  const hidden = problems.length - shown.length;
  return [...shown, ...(hidden > 0 ? [`… and ${hidden} more problems`] : [])].join('\n');
}

/** Control and text-direction characters made visible, so that a file cannot drive the terminal. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, (character) =>
    character === '\t' ? ' ' : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** A text in a message: quoted with backticks, printable, cut when long. */
export function quoted(text: string): string {
  const characters = Array.from(text);
  return `\`${printable(characters.length > 80 ? `${characters.slice(0, 79).join('')}…` : text)}\``;
}

/** Names that are compared or listed; a file may declare thousands, and have as many problems. */
const maxNames = 200;
const maxListed = 20;

/** `FILE:LINE`, to be named inside a message. */
export function placeOf({ file, line }: Position): string {
  return `${printable(file)}:${line}`;
}

/** The known name that was most likely meant, as a part of a Problem. */
export function suggest(name: string, known: Iterable<string>): Pick<Problem, 'suggestion'> {
  const suggestion = nearest(name.slice(0, 100), Iterator.from(known).take(maxNames));
  return suggestion === undefined ? {} : { suggestion };
}

/** `a, b, c` */
export function listed(names: Iterable<string>): string {
  const all = [...names];
  const more = all.length > maxListed ? `, … (${all.length - maxListed} more)` : '';
  return `${all.slice(0, maxListed).join(', ')}${more}`;
}

function formatProblem(problem: Problem, lines: readonly (() => readonly string[])[] | undefined): string {
  const { file, line, column } = problem.position;
  const place = lines === undefined ? file : `${file}:${line}:${column}`;
  return [
    `${printable(place)}: ${printable(problem.message)}`,
    ...excerpt(lines?.[line - 1]?.(), line, column),
    ...(problem.suggestion === undefined ? [] : [`  did you mean ${quoted(problem.suggestion)}?`]),
  ].join('\n');
}

/** A line's characters, split once however many problems the line has. */
function lazyCharacters(line: string): () => readonly string[] {
  let characters: readonly string[] | undefined;
  return () => {
    characters ??= Array.from(line);
    return characters;
  };
}

function excerpt(characters: readonly string[] | undefined, line: number, column: number): string[] {
  if (characters === undefined) return [];
  const start = column - 1 < excerptWidth - 20 ? 0 : column - 21;
  const before = printable(characters.slice(start, column - 1).join(''));
  const rest = characters.slice(column - 1, start + excerptWidth);
  const after = printable(rest.join(''));
  const width = Math.max(1, Array.from(printable(tokenAt(rest.join('')))).length);
  const number = `  ${line} |`;
  return [
    `${number} ${start > 0 ? '…' : ''}${before}${after}${characters.length > start + excerptWidth ? '…' : ''}`,
    `${' '.repeat(number.length - 1)}| ${' '.repeat(Array.from(before).length + (start > 0 ? 1 : 0))}${'^'.repeat(width)}`,
  ];
}

/** What the caret underlines: a string, a variable, a header, or a word. */
function tokenAt(text: string): string {
  const token =
    /^(?:"""|'''|"(?:[^"\\]|\\.)*"|'[^']*'|\$\{?[A-Za-z0-9_:-]*\}?|\[\[?[^\]]*\]\]?|[\p{L}\p{N}_.:+-]+)/u.exec(text);
  return token?.[0] ?? '';
}

function byPosition({ position: a }: Problem, { position: b }: Problem): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line || a.column - b.column;
}

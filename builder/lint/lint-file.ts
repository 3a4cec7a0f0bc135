import { LineIndex } from '../buildfile/line-index.ts';
import type { BuildfilePart } from '../buildfile/parts.ts';
import type { TomlPath } from '../buildfile/toml.ts';
import { locateToml, type TomlNode } from '../buildfile/toml-locator.ts';
import type { Position } from '../plan/plan.ts';

/** A part of a file's text. Offsets are in UTF-16 units; the end is exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A Buildfile, or a file it includes, that knows where each of its parts was written. */
export class LintFile {
  readonly part: BuildfilePart;
  readonly #root: TomlNode;
  readonly #lines: LineIndex;

  constructor(part: BuildfilePart) {
    this.part = part;
    this.#root = locateToml(part.document.text);
    this.#lines = new LineIndex(part.document.text);
  }

  /** What messages call it. */
  get name(): string {
    return this.part.document.file;
  }

  get text(): string {
    return this.part.document.text;
  }

  /** The nodes on the way to a path, the top left away, as far as they were written. */
  nodesTo(path: TomlPath): TomlNode[] {
    const nodes: TomlNode[] = [];
    let node: TomlNode | undefined = this.#root;
    for (const key of path) {
      node = node.children.get(key);
      if (node === undefined) break;
      nodes.push(node);
    }
    return nodes;
  }

  keySpan(path: TomlPath): Span {
    const node = this.nodesTo(path).at(-1);
    return { start: node?.keyStart ?? 0, end: node?.keyEnd ?? 0 };
  }

  valueSpan(path: TomlPath): Span {
    const node = this.nodesTo(path).at(-1);
    return { start: node?.valueStart ?? 0, end: node?.valueEnd ?? 0 };
  }

  /** Where a part of a string value is written. Offsets in `part` count in the value. */
  textSpan(path: TomlPath, part: Span): Span {
    const { start, end } = this.valueSpan(path);
    const [from, until] = sourceOffsets(this.text.slice(start, end), part);
    return { start: start + from, end: start + until };
  }

  source({ start, end }: Span): string {
    return this.text.slice(start, end);
  }

  /** The offset of a line's first character; lines count from 1. */
  lineStart(line: number): number {
    return this.#lines.startOf(line - 1);
  }

  lineAt(offset: number): number {
    return this.#lines.at(offset).line;
  }

  position(offset: number): Position {
    return { file: this.name, ...this.#lines.at(offset) };
  }
}

/** Which offsets of a string as it is written two offsets of its value are. toml.io, "String" */
function sourceOffsets(source: string, { start, end }: Span): readonly [number, number] {
  const quote = source[0] ?? '';
  const isLong = source.startsWith(quote.repeat(3)) && source.length >= 6;
  let at = isLong ? 3 : 1;
  if (isLong) at += /^\r?\n/.exec(source.slice(at, at + 2))?.[0].length ?? 0;
  let value = 0;
  let from = at;
  while (value < end && at < source.length) {
    if (value <= start) from = at;
    const character = source[at];
    if (character === '\\' && quote === '"') {
      const [length, stands] = escapeAt(source, at);
      at += length;
      value += stands;
    } else {
      // Line ends are LF in values.
      if (character !== '\r' || source[at + 1] !== '\n') value++;
      at++;
    }
  }
  return [value <= start ? at : from, at];
}

const lineEndEscape = /\\[ \t]*\r?\n\s*/y;

/** How long an escape is, and how many units it stands for. */
function escapeAt(source: string, at: number): readonly [number, number] {
  const next = source[at + 1];
  if (next === 'u') return [6, 1];
  if (next === 'U') return [10, Number.parseInt(source.slice(at + 2, at + 10), 16) > 0xffff ? 2 : 1];
  lineEndEscape.lastIndex = at;
  const lineEnd = lineEndEscape.exec(source)?.[0];
  return lineEnd === undefined ? [2, 1] : [lineEnd.length, 0];
}

import TOML from '@iarna/toml';
import type { Position } from '../plan/plan.ts';
import { LineIndex } from './line-index.ts';
import { BuildfileError, printable } from './problems.ts';
import { locateToml, type TomlNode } from './toml-locator.ts';
import { TomlSyntaxError } from './toml-scanner.ts';

/** Keys and array indexes from the top of a document. */
export type TomlPath = readonly (string | number)[];

export interface TomlOptions {
  /** What the codes of problems begin with. */
  readonly area?: string;
  /** Longer texts are refused unread; `maxTomlLength` unless given. */
  readonly maxLength?: number;
}

/** A parsed TOML text that knows where each of its parts was written. */
export interface TomlDocument {
  readonly file: string;
  readonly text: string;
  /** What the codes of its problems begin with: `BUILDFILE`. */
  readonly area: string;
  readonly value: Readonly<Record<string, unknown>>;
  /** Whether the path was written in the text. */
  has(path: TomlPath): boolean;
  /** Of the key itself; of a `[[list]]`'s element, its header; of an array's element, the element. */
  keyPosition(path: TomlPath): Position;
  /** Of the value. With `part`, of that text's first occurrence inside the value, where it has one. */
  valuePosition(path: TomlPath, part?: string): Position;
  /** The value as it was written: `0o755`, `"x"`. */
  sourceOf(path: TomlPath): string;
}

/** Of a Buildfile. */
export const maxTomlLength = 1024 * 1024;

/**
 * Parses TOML and remembers positions. A path that was not written has the position of its nearest written ancestor.
 * Line ends become LF in values, so that a checkout's line-end setting changes no result.
 * @throws BuildfileError with the one problem `<area>_SYNTAX` or `<area>_TOO_BIG`
 */
export function parseToml(text: string, file: string, options: TomlOptions = {}): TomlDocument {
  const { area = 'BUILDFILE', maxLength = maxTomlLength } = options;
  const content = text.startsWith('\ufeff') ? text.slice(1) : text;
  if (content.length > maxLength) {
    const message = `the file is longer than ${maxLength / 1024} KiB`;
    throw new BuildfileError(
      [{ code: `${area}_TOO_BIG`, message, position: { file, line: 1, column: 1 } }],
      new Map(),
      area,
    );
  }
  const lines = new LineIndex(content);
  const root = orSyntaxProblem(() => locateToml(content));
  const value = orSyntaxProblem(() => parseValues(content, lines));
  return {
    file,
    text: content,
    area,
    value,
    has: (path) => find(root, path).depth === path.length,
    keyPosition: (path) => positionAt(find(root, path).node.keyStart),
    valuePosition: (path, part) => positionAt(offsetOf(find(root, path).node, part)),
    sourceOf: (path) => source(find(root, path).node),
  };

  function positionAt(offset: number): Position {
    return { file, ...lines.at(offset) };
  }
  function source(node: TomlNode): string {
    return content.slice(node.valueStart, node.valueEnd);
  }
  function offsetOf(node: TomlNode, part: string | undefined): number {
    return node.valueStart + Math.max(0, part === undefined ? 0 : source(node).indexOf(part));
  }
  function orSyntaxProblem<T>(parse: () => T): T {
    try {
      return parse();
    } catch (error) {
      if (!(error instanceof TomlSyntaxError)) throw error;
      const problem = { code: `${area}_SYNTAX`, message: error.message, position: positionAt(error.offset) };
      throw new BuildfileError([problem], new Map([[file, content]]), area);
    }
  }
}

/** @throws TomlSyntaxError */
function parseValues(text: string, lines: LineIndex): Record<string, unknown> {
  try {
    return TOML.parse(text.replaceAll('\r\n', '\n'));
  } catch (error) {
    const { message, line = 0, col = 0 } = error as Error & { readonly line?: number; readonly col?: number };
    // Its message goes on with its own place and excerpt.
    const sentence = printable(message.split(/ at row \d+, col \d+/)[0] ?? message);
    // Its lines count from 0, its columns too, except those of the first line, which count from 1.
    const offset = lines.startOf(line) + Math.max(0, line === 0 ? col - 1 : col);
    throw new TomlSyntaxError(`this is not TOML: ${sentence}`, Math.min(offset, text.length));
  }
}

function find(root: TomlNode, path: TomlPath): { readonly node: TomlNode; readonly depth: number } {
  let node = root;
  for (const [depth, key] of path.entries()) {
    const next = node.children.get(key);
    if (next === undefined) return { node, depth };
    node = next;
  }
  return { node, depth: path.length };
}

/** Keys of a value that is a table, in the order of the text; none of anything else. */
export function tableKeys(value: unknown): string[] {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.keys(value) : [];
}

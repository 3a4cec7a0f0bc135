import { LineIndex } from '../buildfile/line-index.ts';
import { readTomlSyntax } from '../format/toml-syntax.ts';
import type { LintFile, Span } from './lint-file.ts';
import type { Breach } from './rule.ts';

/** What comments of the form `# kiln: ignore RULE, RULE` say. What follows the names is for readers. */
export interface IgnoreComments {
  /** By line, counted from 1: the rules that are not held against what begins or ends there. */
  readonly byLine: ReadonlyMap<number, ReadonlySet<string>>;
  /** Every name that is written in one. */
  readonly named: readonly { readonly name: string; readonly span: Span }[];
}

/** A comment at the end of a line is about that line, one on a line of its own about what comes next. */
export function readIgnoreComments(file: LintFile): IgnoreComments {
  const byLine = new Map<number, Set<string>>();
  const named: { readonly name: string; readonly span: Span }[] = [];
  if (!file.text.includes('kiln:')) return { byLine, named };
  const text = file.text.replaceAll('\r\n', '\n');
  const lines = new LineIndex(text);
  const comments = readTomlSyntax(text).comments.map((comment) => ({ ...comment, ...lines.at(comment.start) }));
  const alone = new Set(comments.flatMap(({ isAlone, line }) => (isAlone ? [line] : [])));
  // From the end, so that comments below each other know what the last of them is about.
  const next = new Map<number, number>();
  for (const { isAlone, text: comment, line, start } of comments.toReversed()) {
    const about = isAlone ? (alone.has(line + 1) ? (next.get(line + 1) ?? line + 1) : line + 1) : line;
    if (isAlone) next.set(line, about);
    for (const { name, offset } of namesIn(comment)) {
      const rules = byLine.get(about) ?? new Set();
      byLine.set(about, rules.add(name));
      const at = file.lineStart(line) + start - lines.startOf(line - 1) + offset;
      named.push({ name, span: { start: at, end: at + name.length } });
    }
  }
  return { byLine, named };
}

/** Whether a comment at the thing itself, or at one that it is a part of, takes the rule out. */
export function isIgnored(rule: string, { file, at, span }: Breach, { byLine }: IgnoreComments): boolean {
  if (byLine.size === 0) return false;
  const isOn = (offset: number): boolean => byLine.get(file.lineAt(offset))?.has(rule) === true;
  if (isOn(span.start)) return true;
  return file
    .nodesTo(at)
    .some(
      ({ kind, keyStart, valueEnd }) => (kind === 'value' || kind === 'header') && (isOn(keyStart) || isOn(valueEnd)),
    );
}

function namesIn(comment: string): { readonly name: string; readonly offset: number }[] {
  const [whole = '', start = '', names = ''] =
    /^(#\s*kiln:\s*ignore\s+)([a-z0-9-]+(?:\s*,\s*[a-z0-9-]+)*)/.exec(comment) ?? [];
  if (whole === '') return [];
  return [...names.matchAll(/[a-z0-9-]+/g)].map(({ 0: name, index }) => ({ name, offset: start.length + index }));
}

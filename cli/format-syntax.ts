import { isFunction, unknownFunction } from './format-functions.ts';
import { formatError } from './format-values.ts';

/** A template, read. */
export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'print'; readonly pipeline: Pipeline }
  | { readonly kind: 'assign'; readonly name: string; readonly declares: boolean; readonly pipeline: Pipeline }
  | Block;

export interface Block {
  readonly kind: 'if' | 'with' | 'range';
  readonly pipeline: Pipeline;
  /** Of `range $value :=` and `range $key, $value :=`. */
  readonly variables: readonly string[];
  readonly body: readonly Node[];
  readonly otherwise: readonly Node[];
}

/** Each command gets what the one before it gave as its last value. */
export type Pipeline = readonly CommandNode[];
export type CommandNode = readonly [Operand, ...Operand[]];

export type Operand =
  | { readonly kind: 'literal'; readonly value: string | number | boolean | null }
  /** `.` is a field without a path. */
  | { readonly kind: 'field'; readonly path: readonly string[] }
  /** `$` has the name `''`. */
  | { readonly kind: 'variable'; readonly name: string; readonly path: readonly string[] }
  | { readonly kind: 'function'; readonly name: string }
  | { readonly kind: 'pipeline'; readonly pipeline: Pipeline; readonly path: readonly string[] };

const maxLength = 64 * 1024;
const maxDepth = 100;

/** @throws ToolError USAGE_FORMAT */
export function parseTemplate(text: string): readonly Node[] {
  if (text.length > maxLength) throw formatError(`the template is longer than ${maxLength} characters`);
  const parser = new Parser(splitActions(text));
  return parser.all();
}

type Part = { readonly text: string } | { readonly action: string; readonly position: number };

/** Text and actions in turn; `{{-` and `-}}` take the white space beside them away. */
function splitActions(template: string): readonly Part[] {
  const parts: Part[] = [];
  let at = 0;
  let trims = false;
  while (at < template.length) {
    const open = template.indexOf('{{', at);
    const end = open === -1 ? template.length : open;
    const trimsBefore = open !== -1 && /^-\s/.test(template.slice(open + 2, open + 4));
    let text = template.slice(at, end);
    if (trims) text = text.trimStart();
    if (trimsBefore) text = text.trimEnd();
    if (text !== '') parts.push({ text: withEscapes(text) });
    if (open === -1) break;
    const close = actionEnd(template, open + 2);
    let action = template.slice(open + 2, close);
    trims = /\s-$/.test(action);
    if (trims) action = action.slice(0, -1);
    if (trimsBefore) action = action.slice(1);
    parts.push({ action, position: open + 1 });
    at = close + 2;
  }
  return parts;
}

/** Docker's users write `\t` and `\n` between actions. */
function withEscapes(text: string): string {
  return text.replaceAll('\\t', '\t').replaceAll('\\n', '\n');
}

const quoted = /"(?:[^"\\\n]|\\.)*"|`[^`]*`/y;

function actionEnd(template: string, from: number): number {
  if (/^-?\s*\/\*/.test(template.slice(from, from + 64))) {
    const end = /\*\/\s*-?\}\}/g;
    end.lastIndex = from;
    const found = end.exec(template);
    if (found !== null) return found.index + found[0].length - 2;
  }
  for (let at = from; at < template.length; ) {
    if (template.startsWith('}}', at)) return at;
    quoted.lastIndex = at;
    const text = quoted.exec(template);
    at = text === null ? at + 1 : quoted.lastIndex;
  }
  throw formatError(`the {{ at character ${from - 1} has no }}`);
}

type Token =
  | { readonly kind: 'literal'; readonly value: string | number }
  | { readonly kind: 'field' | 'variable' | 'word' | 'mark'; readonly text: string; readonly isJoined: boolean };

const tokenPattern =
  /(?<space>\s+)|(?<raw>`[^`]*`)|(?<text>"(?:[^"\\\n]|\\.)*")|(?<number>-?\d+(?:\.\d+)?)(?![\w.])|(?<variable>\$\w*)|(?<field>\.[\p{L}_][\p{L}\p{N}_]*)|(?<dot>\.)|(?<word>[\p{L}_][\p{L}\p{N}_]*)|(?<mark>:=|[|(),=])/uy;

function tokensOf(action: string, position: number): Token[] {
  const tokens: Token[] = [];
  let isJoined = false;
  tokenPattern.lastIndex = 0;
  for (let at = 0; at < action.length; at = tokenPattern.lastIndex) {
    tokenPattern.lastIndex = at;
    const groups = tokenPattern.exec(action)?.groups;
    if (groups === undefined) {
      throw formatError(
        `${JSON.stringify(action.slice(at, at + 12))} in {{…}} at character ${position} is not understood`,
      );
    }
    const token = tokenOf(groups, isJoined, position);
    if (token !== undefined) tokens.push(token);
    isJoined = groups.space === undefined;
  }
  return tokens;
}

function tokenOf(groups: Record<string, string | undefined>, isJoined: boolean, position: number): Token | undefined {
  const { raw, text, number, variable, field, dot, word, mark } = groups;
  if (raw !== undefined) return { kind: 'literal', value: raw.slice(1, -1) };
  if (text !== undefined) return { kind: 'literal', value: unquoted(text, position) };
  if (number !== undefined) return { kind: 'literal', value: Number(number) };
  if (variable !== undefined) return { kind: 'variable', text: variable.slice(1), isJoined };
  if (field !== undefined) return { kind: 'field', text: field.slice(1), isJoined };
  if (dot !== undefined) return { kind: 'field', text: '', isJoined };
  if (word !== undefined) return { kind: 'word', text: word, isJoined };
  return mark === undefined ? undefined : { kind: 'mark', text: mark, isJoined };
}

function unquoted(text: string, position: number): string {
  try {
    return JSON.parse(text) as string;
  } catch {
    throw formatError(`${text.slice(0, 40)} at character ${position} has an escape that is not understood`);
  }
}

class Parser {
  readonly #parts: readonly Part[];
  #at = 0;
  #depth = 0;

  constructor(parts: readonly Part[]) {
    this.#parts = parts;
  }

  all(): readonly Node[] {
    const { nodes, ended } = this.#until();
    if (ended !== undefined) throw formatError(`{{${ended.word}}} belongs to no {{if}}, {{with}} or {{range}}`);
    return nodes;
  }

  /** Nodes up to `end` or `else`, or to the end of the template. */
  #until(): { nodes: Node[]; ended?: { word: 'end' | 'else'; action: Action } } {
    const nodes: Node[] = [];
    for (let part = this.#parts[this.#at++]; part !== undefined; part = this.#parts[this.#at++]) {
      if ('text' in part) {
        nodes.push({ kind: 'text', text: part.text });
        continue;
      }
      if (/^\s*\/\*[\s\S]*\*\/\s*$/.test(part.action)) continue;
      const action = new Action(part.action, part.position);
      const word = action.takeWord(['end', 'else', 'if', 'with', 'range']);
      if (word === 'end' || word === 'else') return { nodes, ended: { word, action } };
      nodes.push(word === undefined ? action.statement() : this.#block(word, action));
    }
    return { nodes };
  }

  #block(kind: Block['kind'], action: Action): Block {
    if (++this.#depth > maxDepth) throw formatError(`blocks are nested deeper than ${maxDepth}`);
    const variables = kind === 'range' ? action.rangeVariables() : [];
    const pipeline = action.wholePipeline();
    const body = this.#until();
    const otherwise = body.ended?.word === 'else' ? this.#otherwise(body.ended.action) : [];
    if (body.ended === undefined) throw formatError(`the {{${kind}}} at character ${action.position} has no {{end}}`);
    this.#depth--;
    return { kind, pipeline, variables, body: body.nodes, otherwise };
  }

  /** `else if` is a block of its own, which the same `end` closes. */
  #otherwise(action: Action): readonly Node[] {
    const word = action.takeWord(['if', 'with']);
    if (word === 'if' || word === 'with') return [this.#block(word, action)];
    action.finish();
    const { nodes, ended } = this.#until();
    if (ended?.word !== 'end') throw formatError(`the {{else}} at character ${action.position} has no {{end}}`);
    ended.action.finish();
    return nodes;
  }
}

/** What is between `{{` and `}}`. */
class Action {
  readonly position: number;
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(text: string, position: number) {
    this.position = position;
    this.#tokens = tokensOf(text, position);
    if (this.#tokens.length === 0) throw formatError(`the {{ }} at character ${position} is empty`);
  }

  takeWord<const W extends string>(words: readonly W[]): W | undefined {
    const token = this.#tokens[this.#at];
    const word = token?.kind === 'word' ? words.find((candidate) => candidate === token.text) : undefined;
    if (word !== undefined) this.#at++;
    return word;
  }

  /** `$x := …`, `$x = …`, or what is to be printed. */
  statement(): Node {
    const [variable, mark] = [this.#tokens[0], this.#tokens[1]];
    if (variable?.kind === 'variable' && mark?.kind === 'mark' && (mark.text === ':=' || mark.text === '=')) {
      this.#at = 2;
      if (variable.text === '') throw this.#error('$ alone is the whole result and cannot be set');
      return { kind: 'assign', name: variable.text, declares: mark.text === ':=', pipeline: this.wholePipeline() };
    }
    return { kind: 'print', pipeline: this.wholePipeline() };
  }

  rangeVariables(): readonly string[] {
    const end = this.#tokens.findIndex((token) => token.kind === 'mark' && token.text === ':=');
    if (end === -1) return [];
    const names = this.#tokens.slice(this.#at, end).filter((token) => !(token.kind === 'mark' && token.text === ','));
    const variables = names.flatMap((token) => (token.kind === 'variable' && token.text !== '' ? [token.text] : []));
    if (variables.length !== names.length || variables.length < 1 || variables.length > 2) {
      throw this.#error('range sets one or two variables: range $key, $value := .annotations');
    }
    this.#at = end + 1;
    return variables;
  }

  wholePipeline(): Pipeline {
    const pipeline = this.#pipeline();
    this.finish();
    return pipeline;
  }

  finish(): void {
    if (this.#at < this.#tokens.length) throw this.#error('there is more than is understood');
  }

  #pipeline(): Pipeline {
    if (++this.#depth > maxDepth) throw this.#error(`parentheses are nested deeper than ${maxDepth}`);
    const commands = [this.#command()];
    while (this.#takeMark('|')) commands.push(this.#command());
    this.#depth--;
    return commands;
  }

  #command(): CommandNode {
    const first = this.#operand();
    if (first === undefined) throw this.#error('a value is missing');
    const rest: Operand[] = [];
    for (let next = this.#operand(); next !== undefined; next = this.#operand()) rest.push(next);
    return [first, ...rest];
  }

  #operand(): Operand | undefined {
    const token = this.#tokens[this.#at];
    switch (token?.kind) {
      case 'literal':
        this.#at++;
        return { kind: 'literal', value: token.value };
      case 'field':
        this.#at++;
        return {
          kind: 'field',
          path: [...(token.text === '' ? [] : [token.text]), ...(token.text === '' ? [] : this.#path())],
        };
      case 'variable':
        this.#at++;
        return { kind: 'variable', name: token.text, path: this.#path() };
      case 'word':
        this.#at++;
        return wordOperand(token.text);
      default:
        return this.#parenthesis();
    }
  }

  #parenthesis(): Operand | undefined {
    if (!this.#takeMark('(')) return undefined;
    const pipeline = this.#pipeline();
    if (!this.#takeMark(')')) throw this.#error('a ( has no )');
    return { kind: 'pipeline', pipeline, path: this.#path() };
  }

  /** Fields that follow without a space. */
  #path(): string[] {
    const path: string[] = [];
    for (;;) {
      const token = this.#tokens[this.#at];
      if (token?.kind !== 'field' || !token.isJoined || token.text === '') return path;
      path.push(token.text);
      this.#at++;
    }
  }

  #takeMark(text: string): boolean {
    const token = this.#tokens[this.#at];
    if (token?.kind !== 'mark' || token.text !== text) return false;
    this.#at++;
    return true;
  }

  #error(why: string): Error {
    return formatError(`{{…}} at character ${this.position}: ${why}`);
  }
}

function wordOperand(word: string): Operand {
  switch (word) {
    case 'true':
    case 'false':
      return { kind: 'literal', value: word === 'true' };
    case 'nil':
      return { kind: 'literal', value: null };
    default:
      if (!isFunction(word)) throw unknownFunction(word);
      return { kind: 'function', name: word };
  }
}

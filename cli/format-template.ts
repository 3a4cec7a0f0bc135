import { ToolError } from '../core/index.ts';
import { callFunction, workOf } from './format-functions.ts';
import {
  type Block,
  type CommandNode,
  type Node,
  type Operand,
  type Pipeline,
  parseTemplate,
} from './format-syntax.ts';
import { displayed, entriesOf, formatError, isTrue, lookup, type Value } from './format-values.ts';

/** A template that is ready to be filled. */
export interface FormatTemplate {
  /**
   * @param result JSON: what has no form in it is not there
   * @throws ToolError USAGE_FORMAT
   */
  render(result: unknown): string;
}

const maxSteps = 1_000_000;
/** Characters and entries that functions go through. */
const maxWork = 64 * 1024 * 1024;
const maxOutputLength = 16 * 1024 * 1024;

/**
 * The part of Go's text/template that people type after `--format`: fields, `range`, `if`, `with`, variables, pipelines
 * and a few functions. Neither a template nor what it is filled with can make it run for long or fill the memory.
 * @throws ToolError USAGE_FORMAT
 */
export function parseFormat(text: string): FormatTemplate {
  const nodes = guarded(() => parseTemplate(text));
  return {
    render: (result) =>
      guarded(() => {
        const root = JSON.parse(JSON.stringify(result) ?? 'null') as Value;
        return new Rendering(root).run(nodes);
      }),
  };
}

/** Data that is nested too deep for the machine's stack is a mistake of whoever sent it, not of Kiln. */
function guarded<T>(task: () => T): T {
  try {
    return task();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new ToolError(
      'USAGE_FORMAT',
      '--format: the template or what it is filled with is too large or nested too deep',
    );
  }
}

type Scope = Map<string, Value>;

class Rendering {
  readonly #root: Value;
  readonly #parts: string[] = [];
  #length = 0;
  #steps = 0;
  #work = 0;

  constructor(root: Value) {
    this.#root = root;
  }

  run(nodes: readonly Node[]): string {
    this.#nodes(nodes, this.#root, [new Map([['', this.#root]])]);
    return this.#parts.join('');
  }

  #nodes(nodes: readonly Node[], dot: Value, scopes: readonly Scope[]): void {
    const inner = [...scopes, new Map<string, Value>()];
    for (const node of nodes) this.#node(node, dot, inner);
  }

  #node(node: Node, dot: Value, scopes: readonly Scope[]): void {
    this.#step();
    switch (node.kind) {
      case 'text':
        this.#write(node.text);
        break;
      case 'print':
        this.#write(displayed(this.#pipeline(node.pipeline, dot, scopes)));
        break;
      case 'assign':
        this.#assign(node.name, node.declares, this.#pipeline(node.pipeline, dot, scopes), scopes);
        break;
      case 'range':
        this.#range(node, dot, scopes);
        break;
      case 'if':
      case 'with': {
        const value = this.#pipeline(node.pipeline, dot, scopes);
        const isMet = isTrue(value);
        this.#nodes(isMet ? node.body : node.otherwise, isMet && node.kind === 'with' ? value : dot, scopes);
        break;
      }
    }
  }

  #range(node: Block, dot: Value, scopes: readonly Scope[]): void {
    const entries = entriesOf(this.#pipeline(node.pipeline, dot, scopes));
    if (entries.length === 0) this.#nodes(node.otherwise, dot, scopes);
    const [first, second] = node.variables;
    for (const [key, value] of entries) {
      this.#step();
      const own: Scope = new Map();
      if (second !== undefined) own.set(first ?? '', key).set(second, value);
      else if (first !== undefined) own.set(first, value);
      this.#nodes(node.body, value, [...scopes, own]);
    }
  }

  #assign(name: string, declares: boolean, value: Value, scopes: readonly Scope[]): void {
    const scope = declares ? scopes.at(-1) : scopes.findLast((candidate) => candidate.has(name));
    if (scope === undefined) throw formatError(`there is no variable $${name}`);
    scope.set(name, value);
  }

  #pipeline(pipeline: Pipeline, dot: Value, scopes: readonly Scope[]): Value {
    let piped: Value | undefined;
    for (const command of pipeline) piped = this.#command(command, piped, dot, scopes);
    return piped ?? null;
  }

  #command(command: CommandNode, piped: Value | undefined, dot: Value, scopes: readonly Scope[]): Value {
    this.#step();
    const [head, ...rest] = command;
    if (head.kind !== 'function') {
      if (rest.length === 0 && piped === undefined) return this.#operand(head, dot, scopes);
      throw formatError('only a function takes arguments, and one stands at the beginning of each part of a pipeline');
    }
    const given = rest.map((operand) => this.#operand(operand, dot, scopes));
    return this.#call(head.name, piped === undefined ? given : [...given, piped]);
  }

  #operand(operand: Operand, dot: Value, scopes: readonly Scope[]): Value {
    switch (operand.kind) {
      case 'literal':
        return operand.value;
      case 'field':
        return lookup(dot, operand.path);
      case 'variable': {
        const scope = scopes.findLast((candidate) => candidate.has(operand.name));
        if (scope === undefined) throw formatError(`there is no variable $${operand.name}`);
        return lookup(scope.get(operand.name) ?? null, operand.path);
      }
      case 'pipeline':
        return lookup(this.#pipeline(operand.pipeline, dot, scopes), operand.path);
      case 'function':
        return this.#call(operand.name, []);
    }
  }

  #call(name: string, values: readonly Value[]): Value {
    const result = callFunction(name, values);
    this.#work += workOf(values, result);
    if (this.#work > maxWork) throw formatError('it goes through too much text');
    return result;
  }

  #write(text: string): void {
    this.#length += text.length;
    if (this.#length > maxOutputLength) throw formatError(`it makes more than ${maxOutputLength} characters`);
    this.#parts.push(text);
  }

  #step(): void {
    if (++this.#steps > maxSteps) throw formatError(`it takes more than ${maxSteps} steps`);
  }
}

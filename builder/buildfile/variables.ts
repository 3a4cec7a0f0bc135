import { listed, quoted, suggest } from './problems.ts';

/** The names a text may use. */
export interface VariableScope {
  /** Every declared and predefined name. */
  readonly names: ReadonlySet<string>;
  /** Their values; a declared name may have none. Undefined while only names are checked. */
  readonly values: ReadonlyMap<string, string> | undefined;
  /** Names whose declaration is wrong, which was reported; a text that uses one is given up without a word. */
  readonly broken?: ReadonlySet<string>;
}

/** Something wrong with a variable in a text. */
export interface VariableProblem {
  readonly code: 'UNKNOWN_ARG' | 'MISSING_ARG' | 'BAD_VALUE';
  readonly message: string;
  /** The part of the text it is about. */
  readonly part: string;
  readonly suggestion?: string;
}

export interface ReplacedText {
  /** Undefined when there are problems, the scope has no values, or a broken name is used. */
  readonly text: string | undefined;
  readonly problems: readonly VariableProblem[];
}

/** A text may not grow longer than this by replacing: arguments that double each other would fill the memory. */
const maxReplacedLength = 64 * 1024;
/** `${A:-${B:-…}}` */
const maxNesting = 16;

/** Replaces `${NAME}` and `${NAME:-default}`, and `$$` by `$`. Any other dollar is a problem. */
export function replaceVariables(text: string, scope: VariableScope): ReplacedText {
  if (!text.includes('$')) return { text, problems: [] };
  const problems: VariableProblem[] = [];
  const reader = new VariableReader(text, scope, problems);
  const replaced = reader.read(0);
  if (problems.length === 0 && replaced.length > maxReplacedLength) {
    const message = `this text grows longer than ${maxReplacedLength / 1024} KiB when its variables are replaced`;
    problems.push({ code: 'BAD_VALUE', message, part: text });
  }
  const isUsable = problems.length === 0 && scope.values !== undefined && !reader.usesBroken;
  return { text: isUsable ? replaced : undefined, problems };
}

/** The names whose values a text may use, without whether they are known. */
export function variablesIn(text: string): ReadonlySet<string> {
  const names = [...text.matchAll(/\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)/g)].flatMap(([, name]) => name ?? []);
  return new Set(names);
}

class VariableReader {
  usesBroken = false;
  readonly #text: string;
  readonly #scope: VariableScope;
  readonly #problems: VariableProblem[];
  #offset = 0;

  constructor(text: string, scope: VariableScope, problems: VariableProblem[]) {
    this.#text = text;
    this.#scope = scope;
    this.#problems = problems;
  }

  /** Up to the text's end or, within a default, its closing brace. */
  read(nesting: number): string {
    let result = '';
    while (this.#offset < this.#text.length && !(nesting > 0 && this.#text[this.#offset] === '}')) {
      const plain = this.#match(nesting > 0 ? /[^$}]+/y : /[^$]+/y);
      result += plain?.[0] ?? this.#dollar(nesting);
      if (result.length > maxReplacedLength) this.#offset = this.#text.length;
    }
    return result;
  }

  #dollar(nesting: number): string {
    const start = this.#offset;
    if (this.#match(/\$\$/y) !== undefined) return '$';
    const opening = this.#match(/\$\{([A-Za-z_][A-Za-z0-9_]*)(:-|\})/y);
    if (opening === undefined) return this.#reject(start);
    const name = opening[1] ?? '';
    if (opening[2] === '}') return this.#lookUp(name, opening[0]);
    if (nesting >= maxNesting) return this.#reject(start);
    const fallback = this.read(nesting + 1);
    if (this.#match(/\}/y) === undefined) return this.#reject(start);
    return this.#scope.values?.get(name) || fallback;
  }

  #lookUp(name: string, part: string): string {
    const value = this.#scope.values?.get(name);
    if (value !== undefined) return value;
    if (this.#scope.broken?.has(name)) this.usesBroken = true;
    else if (!this.#scope.names.has(name)) this.#problems.push(unknownName(name, part, this.#scope.names));
    else if (this.#scope.values !== undefined) {
      const message = `${quoted(name)} has no value; give one with --build-arg ${name}=…, or write \${${name}:-default}`;
      this.#problems.push({ code: 'MISSING_ARG', message, part });
    }
    return '';
  }

  #reject(start: number): string {
    const part = /^\$\{?[A-Za-z0-9_]*/.exec(this.#text.slice(start))?.[0] ?? '$';
    const message = part.startsWith('${')
      ? `this variable is not well formed; write \${NAME} or \${NAME:-default}`
      : `a single $ means nothing here; write \${NAME} for a variable, $$ for a dollar`;
    this.#problems.push({ code: 'BAD_VALUE', message, part });
    this.#offset = this.#text.length;
    return '';
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#offset;
    const found = pattern.exec(this.#text) ?? undefined;
    this.#offset += found?.[0].length ?? 0;
    return found;
  }
}

function unknownName(name: string, part: string, known: ReadonlySet<string>): VariableProblem {
  const message = `unknown variable ${quoted(name)}; known here: ${listed(known)}`;
  return { code: 'UNKNOWN_ARG', message, part, ...suggest(name, known) };
}

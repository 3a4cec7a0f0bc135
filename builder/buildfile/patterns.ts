import { ToolError } from '../../core/index.ts';

/** A wildcard pattern over relative, `/`-separated paths without a leading `./` or `/`. */
export interface PathPattern {
  readonly matches: (path: string) => boolean;
  /** The path or one of its parent directories matches. */
  readonly matchesPathOrParent: (path: string) => boolean;
  /** Something below the directory might match; `''` is the root. */
  readonly mayMatchBelow: (directory: string) => boolean;
}

/**
 * One state of a machine that reads a path character by character. Being in a state means: what comes next has to
 * match this and all the states after it.
 */
type State =
  | { readonly kind: 'character'; readonly character: string }
  /** `?`: one character, not `/` */
  | { readonly kind: 'any' }
  | { readonly kind: 'class'; readonly negated: boolean; readonly ranges: readonly (readonly [string, string])[] }
  /** `*`: any characters but `/` */
  | { readonly kind: 'star' }
  /** `**` at the end: any characters */
  | { readonly kind: 'everything' }
  /** `**` elsewhere: nothing, or go on to the next state … */
  | { readonly kind: 'maybeFolders' }
  /** … where any characters are read, up to and with a `/`. */
  | { readonly kind: 'folders' };

const maxPatternLength = 4096;

/** As `compilePattern`, for those who only match. */
export function compile(pattern: string): (path: string) => boolean {
  return compilePattern(pattern).matches;
}

/**
 * Compiles the wildcards of Go's `filepath.Match` (`*`, `?`, `[a-z]`, `[^a-z]`, backslash) and `**`, which stands for
 * any number of directories. Matching takes time proportional to the path's length, whatever the pattern.
 * @throws ToolError PATTERN_INVALID
 */
export function compilePattern(pattern: string): PathPattern {
  if (pattern.length > maxPatternLength) throw invalid(pattern.slice(0, 40), 'it is too long');
  const states = parsePattern(pattern);
  if (states.every((state) => state.kind === 'character'))
    return literalPattern(states.map((state) => state.character).join(''));
  const machine = new Machine(states);
  return {
    matches: (path) => machine.run(path, false).isMatch,
    matchesPathOrParent: (path) => machine.run(path, true).isMatch,
    mayMatchBelow: (directory) => directory === '' || machine.run(`${directory}/`, false).states.size > 0,
  };
}

function literalPattern(literal: string): PathPattern {
  return {
    matches: (path) => path === literal,
    matchesPathOrParent: (path) => path === literal || path.startsWith(`${literal}/`),
    mayMatchBelow: (directory) => directory === '' || literal.startsWith(`${directory}/`),
  };
}

/** All states a machine is in at once, and where it was seen to go from there. */
interface Situation {
  readonly states: ReadonlySet<number>;
  readonly isMatch: boolean;
  readonly next: Map<string, Situation>;
}

/** Steps that are remembered; then it starts over, so that a strange tree cannot fill the memory. */
const maxSteps = 20_000;

/** Remembers steps it has taken: a context has many paths, and they are all alike. */
class Machine {
  readonly #states: readonly State[];
  #start: Situation;
  /** By the states, in order. */
  readonly #situations = new Map<string, Situation>();
  #steps = 0;

  constructor(states: readonly State[]) {
    this.#states = states;
    this.#start = this.#first();
  }

  /** Where reading the text leads; with `orParent` it stops where a `/` follows a match. */
  run(text: string, orParent: boolean): Situation {
    if (this.#steps > maxSteps) this.#forget();
    let current = this.#start;
    for (const character of text) {
      if (orParent && character === '/' && current.isMatch) return current;
      current = current.next.get(character) ?? this.#step(current, character);
      if (current.states.size === 0) break;
    }
    return current;
  }

  #step(from: Situation, character: string): Situation {
    const reached = new Set<number>();
    for (const index of from.states) step(this.#states, index, character, reached);
    const next = this.#situation(reached);
    from.next.set(character, next);
    this.#steps++;
    return next;
  }

  #first(): Situation {
    const states = new Set<number>();
    enter(this.#states, 0, states);
    return this.#situation(states);
  }

  #situation(states: ReadonlySet<number>): Situation {
    const key = [...states].sort((a, b) => a - b).join();
    const known = this.#situations.get(key);
    if (known !== undefined) return known;
    const situation = { states, isMatch: states.has(this.#states.length), next: new Map() };
    this.#situations.set(key, situation);
    return situation;
  }

  #forget(): void {
    this.#situations.clear();
    this.#steps = 0;
    this.#start = this.#first();
  }
}

/** Adds a state, and those that are reached from it without reading. */
function enter(states: readonly State[], from: number, into: Set<number>): void {
  for (let index = from; !into.has(index); index++) {
    into.add(index);
    const kind = states[index]?.kind;
    if (kind === 'maybeFolders') enter(states, index + 2, into);
    else if (kind !== 'star' && kind !== 'everything') return;
  }
}

function step(states: readonly State[], index: number, character: string, next: Set<number>): void {
  const state = states[index];
  switch (state?.kind) {
    case 'character':
      if (state.character === character) enter(states, index + 1, next);
      return;
    case 'any':
      if (character !== '/') enter(states, index + 1, next);
      return;
    case 'class':
      if (isInClass(state, character)) enter(states, index + 1, next);
      return;
    case 'star':
      if (character !== '/') enter(states, index, next);
      return;
    case 'everything':
      next.add(index);
      next.add(index + 1);
      return;
    case 'folders':
      next.add(index);
      if (character === '/') enter(states, index + 1, next);
      return;
    default:
      return;
  }
}

function isInClass(state: State & { readonly kind: 'class' }, character: string): boolean {
  return state.ranges.some(([low, high]) => low <= character && character <= high) !== state.negated;
}

function parsePattern(pattern: string): State[] {
  const characters = Array.from(pattern);
  const states: State[] = [];
  for (let index = 0; index < characters.length; ) index = parseState(characters, index, states, pattern);
  return states;
}

/** Adds the state that starts at the index, and returns where the next one starts. */
function parseState(characters: readonly string[], index: number, states: State[], pattern: string): number {
  const character = characters[index] ?? '';
  switch (character) {
    case '*':
      return characters[index + 1] === '*' ? parseGlobstar(characters, index + 2, states) : push({ kind: 'star' }, 1);
    case '?':
      return push({ kind: 'any' }, 1);
    case '[':
      return parseClass(characters, index + 1, states, pattern);
    case '\\': {
      const escaped = characters[index + 1];
      if (escaped === undefined) throw invalid(pattern, 'it ends with a backslash');
      return push({ kind: 'character', character: escaped }, 2);
    }
    default:
      return push({ kind: 'character', character }, 1);
  }

  function push(state: State, length: number): number {
    // A second star right after one adds nothing but work.
    if (state.kind !== 'star' || states.at(-1)?.kind !== 'star') states.push(state);
    return index + length;
  }
}

function parseGlobstar(characters: readonly string[], after: number, states: State[]): number {
  const next = characters[after] === '/' ? after + 1 : after;
  if (next >= characters.length) states.push({ kind: 'everything' });
  else if (states.at(-1)?.kind !== 'folders') states.push({ kind: 'maybeFolders' }, { kind: 'folders' });
  return next;
}

function parseClass(characters: readonly string[], start: number, states: State[], pattern: string): number {
  const negated = characters[start] === '^';
  const ranges: [string, string][] = [];
  let index = negated ? start + 1 : start;
  for (; characters[index] !== ']' || ranges.length === 0; index++) {
    const low = member();
    if (characters[index + 1] !== '-') {
      ranges.push([low, low]);
      continue;
    }
    index += 2;
    ranges.push([low, member()]);
  }
  states.push({ kind: 'class', negated, ranges });
  return index + 1;

  function member(): string {
    const escapes = characters[index] === '\\';
    if (escapes) index++;
    const character = characters[index];
    if (character === undefined) throw invalid(pattern, 'a [ is not closed');
    if (!escapes && (character === ']' || character === '-'))
      throw invalid(pattern, `${character} is misplaced in [ ]`);
    return character;
  }
}

function invalid(pattern: string, why: string): ToolError {
  return new ToolError('PATTERN_INVALID', `${JSON.stringify(pattern)} is not a pattern: ${why}`, {
    hint: 'a backslash before a character takes away its meaning',
  });
}

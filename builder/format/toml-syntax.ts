import { type ScannedKey, TomlScanner } from '../buildfile/toml-scanner.ts';

/** A TOML text as it was written, comments and blank lines included. Offsets are in UTF-16 units. */
export type Statement =
  | { readonly kind: 'blank' }
  | { readonly kind: 'comment'; readonly comment: Comment }
  | {
      readonly kind: 'header';
      readonly isList: boolean;
      readonly keys: readonly WrittenKey[];
      readonly comment: Comment | undefined;
    }
  | { readonly kind: 'assignment'; readonly assignment: Assignment; readonly comment: Comment | undefined };

export interface Comment {
  /** From the `#` to the end of the line, without blanks at its end. */
  readonly text: string;
  readonly start: number;
  /** Whether nothing but blanks stands before it on its line. */
  readonly isAlone: boolean;
}

/** A key as it was written, quotes included. */
export type WrittenKey = string;

export interface Assignment {
  readonly keys: readonly WrittenKey[];
  readonly value: Value;
}

export type Value =
  /** A string, number, boolean or date. */
  | { readonly kind: 'scalar'; readonly text: string }
  | {
      readonly kind: 'array';
      readonly items: readonly ArrayItem[];
      /** Whether its first element stands on another line than its bracket. */
      readonly isBroken: boolean;
      /** On the line of the bracket. */
      readonly comment: Comment | undefined;
    }
  | { readonly kind: 'table'; readonly entries: readonly Assignment[] };

export type ArrayItem =
  | { readonly kind: 'blank' }
  | { readonly kind: 'comment'; readonly comment: Comment }
  | { readonly kind: 'element'; readonly value: Value; readonly comment: Comment | undefined };

export interface TomlSyntax {
  readonly statements: readonly Statement[];
  /** All of them, in order. */
  readonly comments: readonly Comment[];
}

/** Reads a text that `parseToml` has accepted, with LF as its only line end. Throws TomlSyntaxError for others. */
export function readTomlSyntax(text: string): TomlSyntax {
  return new SyntaxReader(text).read();
}

class SyntaxReader {
  readonly #scanner: TomlScanner;
  readonly #comments: Comment[] = [];

  constructor(text: string) {
    this.#scanner = new TomlScanner(text);
  }

  read(): TomlSyntax {
    const statements: Statement[] = [];
    const scanner = this.#scanner;
    while (!scanner.atEnd) {
      scanner.skipBlanks();
      if (scanner.atEnd) break;
      if (scanner.peek() === '\n') statements.push({ kind: 'blank' });
      else if (scanner.peek() === '#') statements.push({ kind: 'comment', comment: this.#comment(true) });
      else statements.push(this.#statement());
      scanner.expectLineEnd();
    }
    return { statements, comments: this.#comments };
  }

  #statement(): Statement {
    const scanner = this.#scanner;
    if (scanner.peek() !== '[') {
      const assignment = this.#assignment();
      return { kind: 'assignment', assignment, comment: this.#commentHere() };
    }
    const isList = scanner.peek(2) === '[[';
    scanner.offset += isList ? 2 : 1;
    scanner.skipBlanks();
    const keys = this.#keys();
    scanner.expect(isList ? ']]' : ']', 'expected ]');
    return { kind: 'header', isList, keys, comment: this.#commentHere() };
  }

  #assignment(): Assignment {
    const keys = this.#keys();
    this.#scanner.expect('=', 'expected =');
    this.#scanner.skipBlanks();
    return { keys, value: this.#value() };
  }

  #keys(): WrittenKey[] {
    const written = ({ start, end }: ScannedKey) => this.#scanner.text.slice(start, end);
    return this.#scanner.dottedKey().map(written);
  }

  #value(): Value {
    const scanner = this.#scanner;
    if (scanner.peek() === '[') return this.#array();
    if (scanner.peek() === '{') return this.#table();
    const start = scanner.offset;
    scanner.skipScalar();
    return { kind: 'scalar', text: scanner.text.slice(start, scanner.offset) };
  }

  #table(): Value {
    const scanner = this.#scanner;
    const entries: Assignment[] = [];
    scanner.expect('{', 'expected {');
    for (;;) {
      scanner.skipBlanks();
      if (scanner.peek() === '}') break;
      entries.push(this.#assignment());
      scanner.skipBlanks();
      if (scanner.peek() !== '}') scanner.expect(',', 'expected , or }');
    }
    scanner.offset++;
    return { kind: 'table', entries };
  }

  #array(): Value {
    const scanner = this.#scanner;
    scanner.expect('[', 'expected [');
    const comment = this.#commentHere();
    const items = new ArrayItems();
    const isBroken = this.#trivia(items) > 0 || comment !== undefined;
    while (scanner.peek() !== ']') {
      items.addElement(this.#value());
      this.#trivia(items);
      if (scanner.peek() === ',') scanner.offset++;
      else if (scanner.peek() !== ']') throw scanner.fail('expected , or ]');
      this.#trivia(items);
    }
    scanner.offset++;
    return { kind: 'array', items: items.list, isBroken, comment };
  }

  /** Comments and blank lines within an array. Returns how many lines have ended. */
  #trivia(items: ArrayItems): number {
    const scanner = this.#scanner;
    let ended = 0;
    let inARow = 0;
    for (;;) {
      scanner.skipBlanks();
      if (scanner.peek() === '#') {
        items.addComment(this.#comment(ended > 0));
        inARow = 0;
      } else if (scanner.peek() === '\n') {
        scanner.offset++;
        ended++;
        if (++inARow > 1) items.addBlank();
      } else return ended;
    }
  }

  #commentHere(): Comment | undefined {
    this.#scanner.skipBlanks();
    return this.#scanner.peek() === '#' ? this.#comment(false) : undefined;
  }

  #comment(isAlone: boolean): Comment {
    const scanner = this.#scanner;
    const start = scanner.offset;
    const lineEnd = scanner.text.indexOf('\n', start);
    scanner.offset = lineEnd === -1 ? scanner.text.length : lineEnd;
    const comment = { text: scanner.text.slice(start, scanner.offset).trimEnd(), start, isAlone };
    this.#comments.push(comment);
    return comment;
  }
}

/** What an array holds, while it is read. A comment belongs to the element before it on its line. */
class ArrayItems {
  readonly list: ArrayItem[] = [];

  addElement(value: Value): void {
    this.list.push({ kind: 'element', value, comment: undefined });
  }

  addBlank(): void {
    if (this.list.length > 0 && this.list.at(-1)?.kind !== 'blank') this.list.push({ kind: 'blank' });
  }

  addComment(comment: Comment): void {
    const last = this.list.at(-1);
    if (!comment.isAlone && last?.kind === 'element' && last.comment === undefined)
      this.list[this.list.length - 1] = { ...last, comment };
    else this.list.push({ kind: 'comment', comment });
  }
}

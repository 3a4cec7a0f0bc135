/** Text that is not TOML, with the offset of what is wrong. */
export class TomlSyntaxError extends Error {
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

/** A key as it was written: its name, and where. Offsets are in UTF-16 units. */
export interface ScannedKey {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

const escapes: Readonly<Record<string, string>> = {
  b: '\b',
  t: '\t',
  n: '\n',
  f: '\f',
  r: '\r',
  '"': '"',
  '\\': '\\',
};

/** Reads the smallest parts of TOML: blanks, keys, strings, bare values. Throws TomlSyntaxError. */
export class TomlScanner {
  readonly text: string;
  offset = 0;

  constructor(text: string) {
    this.text = text;
  }

  peek(length = 1): string {
    return this.text.slice(this.offset, this.offset + length);
  }

  get atEnd(): boolean {
    return this.offset >= this.text.length;
  }

  fail(message: string, offset = this.offset): TomlSyntaxError {
    return new TomlSyntaxError(message, offset);
  }

  expect(token: string, why: string): void {
    if (this.peek(token.length) !== token) throw this.fail(why);
    this.offset += token.length;
  }

  skipBlanks(): void {
    while (this.peek() === ' ' || this.peek() === '\t') this.offset++;
  }

  /** Blanks, comments and line ends. */
  skipTrivia(): void {
    for (;;) {
      this.skipBlanks();
      if (this.peek() === '#') this.#skipComment();
      if (!this.#skipLineEnd()) return;
    }
  }

  /** What may follow a statement: blanks and a comment, then the line's end. */
  expectLineEnd(): void {
    this.skipBlanks();
    if (this.peek() === '#') this.#skipComment();
    if (!this.atEnd && !this.#skipLineEnd()) throw this.fail('expected the end of the line');
  }

  /** A key of one or more parts: `a."b c".d` */
  dottedKey(): [ScannedKey, ...ScannedKey[]] {
    const keys: [ScannedKey, ...ScannedKey[]] = [this.#key()];
    for (;;) {
      this.skipBlanks();
      if (this.peek() !== '.') return keys;
      this.offset++;
      this.skipBlanks();
      keys.push(this.#key());
    }
  }

  /** A string of any of the four kinds, or a number, boolean or date, which are only skipped. */
  skipScalar(): void {
    const quote = this.peek();
    if (quote !== '"' && quote !== "'") this.#skipBareValue();
    else if (this.peek(3) === quote.repeat(3)) this.#skipMultiLine(quote);
    else this.#simpleString(quote);
  }

  #key(): ScannedKey {
    const start = this.offset;
    const quote = this.peek();
    if (quote === '"' || quote === "'") return { name: this.#simpleString(quote), start, end: this.offset };
    const bare = /[A-Za-z0-9_-]+/y;
    bare.lastIndex = start;
    const name = bare.exec(this.text)?.[0];
    if (name === undefined) throw this.fail('expected a key; keys with other characters are written in quotes');
    this.offset += name.length;
    return { name, start, end: this.offset };
  }

  #simpleString(quote: string): string {
    const start = this.offset++;
    let value = '';
    for (;;) {
      const character = this.peek();
      if (character === '' || character === '\n' || character === '\r')
        throw this.fail('this string is not closed', start);
      this.offset++;
      if (character === quote) return value;
      value += character === '\\' && quote === '"' ? this.#escape() : character;
    }
  }

  /** After the backslash. */
  #escape(): string {
    const character = this.peek();
    const simple = Object.hasOwn(escapes, character) ? escapes[character] : undefined;
    if (simple !== undefined) {
      this.offset++;
      return simple;
    }
    const code = /^(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8}))/.exec(this.peek(9));
    const point = Number.parseInt(code?.[1] ?? code?.[2] ?? '', 16);
    if (code === null || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) {
      throw this.fail('unknown escape; a backslash is written \\\\, or the text in single quotes', this.offset - 1);
    }
    this.offset += code[0].length;
    return String.fromCodePoint(point);
  }

  #skipMultiLine(quote: string): void {
    const start = this.offset;
    const closing = quote.repeat(3);
    this.offset += 3;
    while (this.peek(3) !== closing) {
      if (this.atEnd) throw this.fail('this multi-line string is not closed', start);
      if (this.peek() === '\r') this.#expectCrLf();
      this.offset += quote === '"' && this.peek() === '\\' && this.peek(2) !== '\\\r' ? 2 : 1;
    }
    this.offset += 3;
    for (let extra = 0; extra < 2 && this.peek() === quote; extra++) this.offset++;
  }

  #skipBareValue(): void {
    // A date and a time may have one space between them.
    const bare = /\d{4}-\d\d-\d\d \d\d:[^\s,\]}#]*|[^\s,\]}#=[{"']+/y;
    bare.lastIndex = this.offset;
    const value = bare.exec(this.text)?.[0];
    if (value === undefined) throw this.fail('expected a value: a string, number, boolean, array or inline table');
    this.offset += value.length;
  }

  #skipComment(): void {
    while (!this.atEnd && this.peek() !== '\n') {
      if (this.peek() === '\r') this.#expectCrLf();
      this.offset++;
    }
  }

  #skipLineEnd(): boolean {
    if (this.peek() === '\r') {
      this.#expectCrLf();
      this.offset++;
    }
    if (this.peek() !== '\n') return false;
    this.offset++;
    return true;
  }

  #expectCrLf(): void {
    if (this.peek(2) !== '\r\n') throw this.fail('a carriage return stands without its line feed');
  }
}

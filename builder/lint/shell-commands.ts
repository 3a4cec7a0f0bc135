/** A word of a script, its quotes taken away. Offsets are in UTF-16 units of the script. */
export interface ShellWord {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** A simple command of a script. */
export interface ShellCommand {
  /** Without assignments, redirections and what a shell reads as a part of its syntax (`if`, `then`, `!`). */
  readonly words: readonly ShellWord[];
  /** Its output goes into a pipe. */
  readonly isPiped: boolean;
  /** Its input comes out of a pipe. */
  readonly readsPipe: boolean;
}

const keywords = new Set(['if', 'then', 'else', 'elif', 'while', 'until', 'do', '!', '{', 'time', 'fi', 'done', '}']);
const operator = /\|\||&&|\|&|;;|[;|&()\n]/y;
const redirection = /\d*(?:<<<|<<-?|<>|<&|>>|>&|>\||&>>?|<|>)/y;
const plain = /[^\s'"\\$`#;&|()<>]+/y;

/**
 * The commands of a shell script, as far as they can be told without running it: what a substitution (`$(…)`) does is
 * part of its word. Never fails, and takes time in proportion to the script.
 */
export function shellCommands(script: string): ShellCommand[] {
  return new ShellReader(script).read();
}

/** The words of a command without what only starts another one: `sudo -E env A=1 apt-get` is `apt-get`. */
export function effectiveWords(words: readonly ShellWord[]): readonly ShellWord[] {
  let from = 0;
  while (from < words.length && starters.has(nameOf(words[from]))) {
    from++;
    while (from < words.length && /^-|^[A-Za-z_]\w*=/.test(words[from]?.text ?? '')) from++;
  }
  return words.slice(from);
}

/** What a command is called, without its folder. */
export function nameOf(word: ShellWord | undefined): string {
  const text = word?.text ?? '';
  return text.slice(text.lastIndexOf('/') + 1);
}

const starters = new Set(['sudo', 'exec', 'command', 'env', 'nohup', 'nice', 'eatmydata']);

class ShellReader {
  readonly #script: string;
  readonly #commands: ShellCommand[] = [];
  readonly #hereDocuments: string[] = [];
  #offset = 0;
  #words: ShellWord[] = [];
  #readsPipe = false;

  constructor(script: string) {
    this.#script = script;
  }

  read(): ShellCommand[] {
    while (this.#offset < this.#script.length) this.#readNext();
    this.#endCommand('');
    return this.#commands;
  }

  #readNext(): void {
    if (this.#match(/(?:[ \t\r]|\\\r?\n)+/y) !== undefined) return;
    if (this.#match(/#[^\n]*/y) !== undefined) return;
    const redirected = this.#match(redirection);
    if (redirected !== undefined) {
      this.#skipRedirection(redirected);
      return;
    }
    const found = this.#match(operator);
    if (found === undefined) this.#takeWord();
    else {
      this.#endCommand(found);
      if (found === '\n') this.#skipHereDocuments();
    }
  }

  #takeWord(): void {
    const word = this.#word();
    const isFirst = this.#words.length === 0;
    if (
      isFirst &&
      (keywords.has(word.text) || /^[A-Za-z_]\w*\+?=/.test(this.#script.slice(word.start, word.start + 200)))
    )
      return;
    this.#words.push(word);
  }

  #endCommand(found: string): void {
    const isPiped = found === '|' || found === '|&';
    if (this.#words.length > 0) this.#commands.push({ words: this.#words, isPiped, readsPipe: this.#readsPipe });
    // What is piped into a line that goes on below, a group or a loop comes out of the pipe all the same.
    if (this.#words.length > 0 || isPiped) this.#readsPipe = isPiped;
    this.#words = [];
  }

  #skipRedirection(found: string): void {
    this.#match(/[ \t]+/y);
    const { text } = this.#word();
    if (/(?:^|[^<])<<-?$/.test(found) && text !== '') this.#hereDocuments.push(text);
  }

  #skipHereDocuments(): void {
    for (const end of this.#hereDocuments.splice(0)) {
      while (this.#offset < this.#script.length) {
        const line = this.#match(/[^\n]*\n?/y) ?? '';
        if (line.trim() === end) break;
      }
    }
  }

  #word(): ShellWord {
    const start = this.#offset;
    const parts: string[] = [];
    for (let part = this.#wordPart(start); part !== undefined; part = this.#wordPart(start)) parts.push(part);
    // What can begin no word (a stray character) is one, so that reading goes on.
    if (this.#offset === start && start < this.#script.length && /[^\s;&|()<>]/.test(this.#script[start] ?? '')) {
      parts.push(this.#script[this.#offset++] ?? '');
    }
    return { text: parts.join(''), start, end: this.#offset };
  }

  #wordPart(start: number): string | undefined {
    const character = this.#script[this.#offset];
    switch (character) {
      case undefined:
        return undefined;
      case "'": {
        const quoted = this.#match(/'[^']*'?/y) ?? '';
        return quoted.replace(/^'|'$/g, '');
      }
      case '"':
        return this.#nested('"').replace(/^"|"$/g, '');
      case '`':
        return this.#match(/`(?:[^`\\]|\\[\s\S])*`?/y);
      case '\\':
        return (this.#match(/\\\r?\n/y) && '') ?? this.#match(/\\[\s\S]?/y)?.slice(1);
      case '$':
        if (this.#script[this.#offset + 1] === '(') return this.#nested('(');
        if (this.#script[this.#offset + 1] === '{') return this.#match(/\$\{[^}\n]*\}?/y);
        return this.#match(/\$/y);
      case '#':
        return this.#offset > start ? this.#match(/#/y) : undefined;
      default:
        return this.#match(plain);
    }
  }

  /** A double quoted text or a substitution, with all that is nested in it, as it is written. */
  #nested(opened: '"' | '('): string {
    const start = this.#offset;
    const open: string[] = [opened];
    this.#offset += opened === '"' ? 1 : 2;
    while (open.length > 0 && this.#offset < this.#script.length) {
      const inText = open.at(-1) === '"';
      const character = this.#script[this.#offset++];
      if (character === '\\') this.#offset++;
      else if (character === '"') {
        if (inText) open.pop();
        else open.push('"');
      } else if (character === '(' && (!inText || this.#script[this.#offset - 2] === '$')) open.push('(');
      else if (character === ')' && !inText) open.pop();
      else if (character === "'" && !inText) this.#match(/[^']*'?/y);
    }
    this.#offset = Math.min(this.#offset, this.#script.length);
    return this.#script.slice(start, this.#offset);
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#offset;
    const found = pattern.exec(this.#script)?.[0];
    if (found === undefined || found === '') return undefined;
    this.#offset += found.length;
    return found;
  }
}

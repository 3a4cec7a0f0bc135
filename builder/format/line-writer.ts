interface Line {
  /** Empty for a blank line. A text of several lines ends with a multi-line string. */
  readonly text: string;
  readonly comment: string | undefined;
}

/** Longer lines have their comment right behind them, so that one of them moves no other's. */
const maxAlignedWidth = 80;

/** Collects lines, and puts the comments at the ends of neighbouring ones below each other. */
export class LineWriter {
  readonly #lines: Line[] = [];
  #current = '';

  put(text: string): void {
    this.#current += text;
  }

  /** Ends the line that was begun. */
  endLine(comment?: string): void {
    this.#lines.push({ text: this.#current, comment });
    this.#current = '';
  }

  /** Characters on the line that was begun. */
  get column(): number {
    return widthOf(this.#current.slice(this.#current.lastIndexOf('\n') + 1));
  }

  get isEmpty(): boolean {
    return this.#lines.length === 0;
  }

  toString(): string {
    const parts: string[] = [];
    for (let from = 0; from < this.#lines.length; ) {
      const until = this.#endOfRun(from);
      const run = this.#lines.slice(from, until);
      const width = Math.max(...run.map(({ text }) => widthOf(text)));
      for (const { text, comment } of run) {
        const padding = run.length === 1 ? '' : ' '.repeat(width - widthOf(text));
        parts.push(comment === undefined ? text : `${text}${text === '' ? '' : `${padding} `}${comment}`, '\n');
      }
      from = until;
    }
    return parts.join('');
  }

  /** Where the neighbours whose comments are aligned end. */
  #endOfRun(from: number): number {
    let until = from;
    // A run of no limit would be spread over a call's arguments.
    while (until - from < 1000 && isAligned(this.#lines[until])) until++;
    return Math.max(until, from + 1);
  }
}

/** Characters, as far as lines are measured. */
export function widthOf(text: string): number {
  return Array.from(text).length;
}

function isAligned(line: Line | undefined): boolean {
  if (line === undefined || line.comment === undefined || line.text === '') return false;
  return line.text.length <= maxAlignedWidth && !line.text.includes('\n');
}

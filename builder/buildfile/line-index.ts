/** Turns offsets (UTF-16 units) into lines and columns. Both count from 1; columns count characters (code points). */
export class LineIndex {
  readonly #starts: number[] = [0];
  /** Offsets of second halves of surrogate pairs: units that are no character of their own. */
  readonly #halves: number[] = [];

  constructor(text: string) {
    for (const match of text.matchAll(/\n|[\ud800-\udbff](?=[\udc00-\udfff])/g)) {
      (match[0] === '\n' ? this.#starts : this.#halves).push(match.index + 1);
    }
  }

  at(offset: number): { readonly line: number; readonly column: number } {
    const line = countUpTo(this.#starts, offset);
    const start = this.#starts[line - 1] ?? 0;
    const halves = countUpTo(this.#halves, offset - 1) - countUpTo(this.#halves, start - 1);
    return { line, column: offset - start - halves + 1 };
  }

  /** The offset of a line's first character; lines count from 0 here, as @iarna/toml has them. */
  startOf(lineFromZero: number): number {
    return this.#starts[Math.min(lineFromZero, this.#starts.length - 1)] ?? 0;
  }
}

/** How many of the sorted numbers are not greater than the limit. */
function countUpTo(sorted: readonly number[], limit: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? 0) <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

import type { Clock } from '../../core/index.ts';
import type { Sink, Terminal } from '../terminal.ts';
import { columnsOf, fitTo } from '../terminal-text.ts';

/** How often the region is drawn again at most. */
const redrawMs = 100;

/**
 * The last lines of a terminal, drawn over and over while lines above them stay for good. Lines must be harmless
 * text. Survives a resize: how many rows the old drawing takes is computed with the columns of now.
 */
export class LiveRegion implements Disposable {
  readonly #sink: Sink;
  readonly #clock: Clock;
  readonly #view: (now: number, columns: number, rows: number) => readonly string[];
  #drawn: readonly string[] = [];
  #kept: string[] = [];
  #lastDrawn = Number.NEGATIVE_INFINITY;
  readonly #timer: NodeJS.Timeout;
  readonly #diverted: Disposable;

  constructor(
    terminal: Pick<Terminal, 'err' | 'divert'>,
    clock: Clock,
    view: (now: number, columns: number, rows: number) => readonly string[],
  ) {
    this.#sink = terminal.err;
    this.#clock = clock;
    this.#view = view;
    this.#timer = setInterval(() => this.draw(), redrawMs);
    this.#timer.unref();
    this.#diverted = terminal.divert((line) => this.keep(line));
  }

  /** Lines that stay on the screen, above the region, from the next drawing on. */
  keep(...lines: readonly string[]): void {
    this.#kept.push(...lines);
  }

  /** Draws, unless it was done less than 100 ms ago; then the timer will. */
  draw(): void {
    const now = this.#clock.now();
    if (now - this.#lastDrawn < redrawMs) return;
    this.#lastDrawn = now;
    this.#paint(this.#view(now, this.#columns, Math.max(1, (this.#sink.rows ?? 24) - 1)));
  }

  /** Draws a last time what is kept, and leaves the region empty. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#diverted[Symbol.dispose]();
    this.#paint([]);
  }

  get #columns(): number {
    return Math.max(10, this.#sink.columns ?? 80);
  }

  #paint(lines: readonly string[]): void {
    const columns = this.#columns;
    // Lines that stay may wrap; those that are drawn over must not, so that they can be counted.
    const drawn = lines.map((line) => fitTo(line, columns - 1));
    const written = [...this.#kept, ...drawn];
    const up = this.#drawn.reduce((rows, line) => rows + Math.max(1, Math.ceil(columnsOf(line) / columns)), 0);
    if (up === 0 && written.length === 0) return;
    this.#sink.write(`${up === 0 ? '' : `\x1b[${up}A\r\x1b[J`}${written.map((line) => `${line}\n`).join('')}`);
    this.#drawn = drawn;
    this.#kept = [];
  }
}

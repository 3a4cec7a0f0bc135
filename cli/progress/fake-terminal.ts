import { Readable } from 'node:stream';
import type { Clock } from '../../core/index.ts';
import { divertibleLines, type Sink, type Terminal } from '../terminal.ts';

/** For tests: a clock that goes when it is told. */
export class HandClock implements Clock {
  #now = 1_000_000;

  now(): number {
    return this.#now;
  }

  advance(ms: number): void {
    this.#now += ms;
  }
}

/** For tests: a sink that keeps what was written. */
export class RecordingSink implements Sink {
  readonly isTerminal: boolean;
  columns: number | undefined;
  rows: number | undefined;
  readonly #chunks: Buffer[] = [];

  constructor(size?: { readonly columns: number; readonly rows: number }) {
    this.isTerminal = size !== undefined;
    this.columns = size?.columns;
    this.rows = size?.rows;
  }

  write(text: string | Uint8Array): void {
    this.#chunks.push(Buffer.from(text));
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get text(): string {
    return this.bytes.toString('utf8');
  }

  /** What a terminal shows now: applies the three sequences that the product uses, and fails on any other. */
  get screen(): string[] {
    const lines: string[] = [''];
    let row = 0;
    for (const [token, up] of this.text.matchAll(/\x1b\[(\d+)A|\x1b\[J|\r|\n|\x1b|[^\x1b\r\n]+/g)) {
      if (up !== undefined) row -= Number(up);
      else if (token === '\x1b[J') lines.length = row + 1;
      else if (token === '\n') lines[++row] ??= '';
      else if (token === '\x1b') throw new Error('an escape sequence that is not expected');
      else if (token !== '\r') lines[row] = token;
      if (row < 0) throw new Error('the cursor went above the screen');
    }
    return lines.slice(0, -1);
  }
}

export interface RecordingTerminal extends Terminal {
  readonly out: RecordingSink;
  readonly err: RecordingSink;
}

/** For tests: one that can be drawn over when it has a size, else a pipe. */
export function recordingTerminal(size?: { readonly columns: number; readonly rows: number }): RecordingTerminal {
  const err = new RecordingSink(size);
  return {
    input: Readable.from([]),
    out: new RecordingSink(),
    err,
    animates: size !== undefined,
    ...divertibleLines(err),
  };
}

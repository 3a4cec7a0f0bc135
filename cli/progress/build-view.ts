import type { BuildEvent, Vertex } from '../../builder/index.ts';
import { unreachable } from '../../core/index.ts';
import { columnsOf, fitTo, harmlessLine } from '../terminal-text.ts';
import { seconds } from './duration.ts';

interface Running {
  readonly vertex: Vertex;
  readonly startedAt: number;
  status: string | undefined;
  /** The newest complete lines of output. */
  lines: string[];
  /** Bytes of a line that is not complete. */
  rest: Buffer;
}

/** Log lines under a running step. */
const logLines = 6;
/** A line without end is shown by its end only. */
const longestLine = 4096;

/** What a terminal shows of a build: ended vertices as lines that stay, running ones with their last log lines. */
export class BuildView {
  readonly #running = new Map<number, Running>();
  readonly #startedAt: number;
  #ended = 0;

  constructor(now: number) {
    this.#startedAt = now;
  }

  /** Takes an event in; what it gives are lines that stay for good, fitted to `columns`. */
  take(event: BuildEvent, now: number, columns: number): readonly string[] {
    switch (event.type) {
      case 'start':
        this.#running.set(event.vertex.id, {
          vertex: event.vertex,
          startedAt: now,
          status: undefined,
          lines: [],
          rest: Buffer.alloc(0),
        });
        return [];
      case 'output':
        this.#output(event.vertex, event.bytes);
        return [];
      case 'status': {
        const running = this.#running.get(event.vertex.id);
        if (running !== undefined) running.status = harmlessLine(event.text);
        return [];
      }
      case 'done':
        this.#end(event.vertex);
        return [row(`${event.cached ? 'CACHED ' : ''}${title(event.vertex)}`, event.durationMs, columns)];
      case 'error':
        this.#end(event.vertex);
        return [row(`${event.isCalledOff ? 'CANCELED' : 'ERROR'} ${title(event.vertex)}`, event.durationMs, columns)];
      case 'warning':
        return [
          `WARNING: ${event.position === undefined ? '' : `${event.position.file}:${event.position.line}: `}${harmlessLine(event.text)}`,
        ];
      case 'result':
        return event.names.map((name) => ` => named ${name}`);
      default:
        throw unreachable(event);
    }
  }

  /** The lines of the live region: at most `rows`. */
  lines(now: number, columns: number, rows: number): readonly string[] {
    const header = `[+] Building ${seconds(now - this.#startedAt)} (${this.#ended}/${this.#ended + this.#running.size})`;
    const running = [...this.#running.values()];
    const room = Math.max(0, rows - 1 - running.length);
    const logs = Math.min(logLines, Math.floor(room / Math.max(1, running.length)));
    const lines = running.flatMap((step) => [
      row(title(step.vertex), now - step.startedAt, columns),
      ...this.#logOf(step, logs),
    ]);
    return [header, ...lines].slice(0, rows);
  }

  #logOf({ lines, status, rest }: Running, count: number): string[] {
    if (count === 0) return [];
    const partial = rest.length === 0 ? [] : [harmlessLine(rest.toString('utf8'))];
    const shown = [...lines, ...partial];
    const all = shown.length === 0 && status !== undefined ? [status] : shown;
    return all.slice(-count).map((line) => ` => => # ${line}`);
  }

  #output(vertex: Vertex, bytes: Buffer): void {
    const running = this.#running.get(vertex.id);
    if (running === undefined) return;
    const pieces = Buffer.concat([running.rest, bytes]);
    const lastBreak = pieces.lastIndexOf(0x0a);
    running.rest = pieces.subarray(Math.max(lastBreak + 1, pieces.length - longestLine));
    if (lastBreak === -1) return;
    const complete = pieces.subarray(0, lastBreak).toString('utf8').split('\n').slice(-logLines);
    running.lines = [...running.lines, ...complete.map((line) => harmlessLine(line.slice(-longestLine)))].slice(
      -logLines,
    );
  }

  #end(vertex: Vertex): void {
    this.#running.delete(vertex.id);
    this.#ended++;
  }
}

function title(vertex: Vertex): string {
  return harmlessLine(vertex.title);
}

/** ` => text       1.2s`: the duration at the right edge. */
function row(text: string, durationMs: number, columns: number): string {
  const duration = seconds(durationMs);
  const room = columns - 1 - duration.length - 1;
  const left = fitTo(` => ${text}`, room);
  return `${left}${' '.repeat(Math.max(0, room - columnsOf(left)))} ${duration}`;
}

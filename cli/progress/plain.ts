import type { BuildEvent, Vertex } from '../../builder/index.ts';
import { type Clock, unreachable } from '../../core/index.ts';
import type { Sink } from '../terminal.ts';
import { harmlessLine } from '../terminal-text.ts';
import { seconds } from './duration.ts';
import type { Progress } from './progress.ts';

interface Running {
  readonly number: number;
  readonly vertex: Vertex;
  readonly startedAt: number;
  /** Output whose line is not complete yet. */
  readonly rest: Record<'stdout' | 'stderr', Buffer>;
}

/** A line without end is broken here, so that it is neither kept nor scanned for ever. */
const longestLine = 64 * 1024;

/**
 * One line per happening, in the form that people grep BuildKit's logs for. Output keeps its bytes, except on a
 * terminal; only lines are prefixed.
 */
export class PlainProgress implements Progress {
  readonly #sink: Sink;
  readonly #clock: Clock;
  readonly #running = new Map<number, Running>();
  #count = 0;
  /** The vertex whose lines came last: a change of it repeats the title. */
  #shown: number | undefined;

  constructor(sink: Sink, clock: Clock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  readonly onEvent = (event: BuildEvent): void => {
    switch (event.type) {
      case 'start':
        this.#start(event.vertex);
        break;
      case 'output':
        this.#output(this.#of(event.vertex), event.stream, event.bytes);
        break;
      case 'status':
        this.#line(this.#of(event.vertex), harmlessLine(event.text));
        break;
      case 'done':
        this.#end(event.vertex, event.cached ? 'CACHED' : `DONE ${seconds(event.durationMs)}`);
        break;
      case 'error':
        this.#end(event.vertex, event.isCalledOff ? 'CANCELED' : `ERROR: ${harmlessLine(messageOf(event.error))}`);
        break;
      case 'warning':
        this.#interject(
          `WARNING: ${event.position === undefined ? '' : `${event.position.file}:${event.position.line}: `}${harmlessLine(event.text)}`,
        );
        break;
      case 'result':
        for (const name of event.names) this.#interject(`named ${name}`);
        break;
      default:
        throw unreachable(event);
    }
  };

  close(): void {
    for (const running of this.#running.values()) this.#flush(running);
  }

  #start(vertex: Vertex): Running {
    const running = {
      number: ++this.#count,
      vertex,
      startedAt: this.#clock.now(),
      rest: { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) },
    };
    this.#running.set(vertex.id, running);
    this.#show(running);
    return running;
  }

  #of(vertex: Vertex): Running {
    return this.#running.get(vertex.id) ?? this.#start(vertex);
  }

  #output(running: Running, stream: 'stdout' | 'stderr', bytes: Buffer): void {
    let rest = Buffer.concat([running.rest[stream], bytes]);
    for (let end = rest.indexOf(0x0a); end !== -1; end = rest.indexOf(0x0a)) {
      this.#outputLine(running, rest.subarray(0, end + 1));
      rest = rest.subarray(end + 1);
    }
    running.rest[stream] = rest;
    if (rest.length >= longestLine) this.#flush(running);
  }

  #flush(running: Running): void {
    for (const stream of ['stdout', 'stderr'] as const) {
      const rest = running.rest[stream];
      if (rest.length > 0) this.#outputLine(running, Buffer.concat([rest, Buffer.from('\n')]));
      running.rest[stream] = Buffer.alloc(0);
    }
  }

  #outputLine(running: Running, bytes: Buffer): void {
    this.#show(running);
    const elapsed = ((this.#clock.now() - running.startedAt) / 1000).toFixed(3);
    // A log keeps its bytes; what a stranger prints must not steer a terminal.
    const line = this.#sink.isTerminal
      ? Buffer.from(`${harmlessLine(bytes.toString('utf8', 0, bytes.length - 1))}\n`)
      : bytes;
    this.#sink.write(Buffer.concat([Buffer.from(`#${running.number} ${elapsed} `), line]));
  }

  #end(vertex: Vertex, text: string): void {
    const running = this.#of(vertex);
    this.#flush(running);
    this.#line(running, text);
    this.#sink.write('\n');
    this.#running.delete(vertex.id);
    this.#shown = undefined;
  }

  #line(running: Running, text: string): void {
    this.#show(running);
    this.#sink.write(`#${running.number} ${text}\n`);
  }

  #show({ number, vertex }: Running): void {
    if (this.#shown === number) return;
    if (this.#shown !== undefined) this.#sink.write(`#${this.#shown} ...\n\n`);
    this.#shown = number;
    this.#sink.write(`#${number} ${harmlessLine(vertex.title)}\n`);
  }

  #interject(text: string): void {
    if (this.#shown !== undefined) this.#sink.write(`#${this.#shown} ...\n\n`);
    this.#shown = undefined;
    this.#sink.write(`${text}\n`);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

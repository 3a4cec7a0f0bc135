import type { Readable } from 'node:stream';

/** Where text goes: a stream of the process, or a test's list. */
export interface Sink {
  write(text: string | Uint8Array): void;
  readonly isTerminal: boolean;
  /** Of the terminal now, 1 or more; undefined when it is none or does not know. */
  readonly columns: number | undefined;
  readonly rows: number | undefined;
}

/** What a command talks to: results go to `out`, everything else to `err`. */
export interface Terminal {
  readonly input: Readable & { readonly isTTY?: boolean };
  readonly out: Sink;
  readonly err: Sink;
  /** Escape sequences may go to `err`: it is a capable terminal and NO_COLOR is not set. */
  readonly animates: boolean;
  /** A line on `err`, put above what is being drawn there at the moment. */
  say(line: string): void;
  /** Until disposed, `say` leads here: `err` is being drawn over. */
  divert(say: (line: string) => void): Disposable;
}

/** The part of a process's output stream that is used. */
export interface OutputStream {
  write(text: string | Uint8Array): boolean;
  on(event: 'error', listener: (error: NodeJS.ErrnoException) => void): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

export interface ProcessStreams {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
}

/** A terminal over a process's streams. */
export interface ProcessTerminal extends Terminal {
  /** Why output could not be written, once it could not. */
  outputFailure(): NodeJS.ErrnoException | undefined;
}

export function openTerminal(
  streams: ProcessStreams,
  env: Readonly<Record<string, string | undefined>>,
): ProcessTerminal {
  const failures: NodeJS.ErrnoException[] = [];
  const failed = (error: NodeJS.ErrnoException): void => void failures.push(error);
  const err = streamSink(streams.stderr, failed);
  return {
    // Opening it takes time that most commands have no use for.
    get input() {
      return streams.stdin;
    },
    out: streamSink(streams.stdout, failed),
    err,
    outputFailure: () => failures[0],
    animates: err.isTerminal && !env.NO_COLOR && env.TERM !== 'dumb',
    ...divertibleLines(err),
  };
}

export function divertibleLines(err: Sink): Pick<Terminal, 'say' | 'divert'> {
  const toSink = (line: string): void => err.write(`${line}\n`);
  let current = toSink;
  return {
    say: (line) => current(line),
    divert(say) {
      current = say;
      return {
        [Symbol.dispose]() {
          current = toSink;
        },
      };
    },
  };
}

/** `| head` closes the pipe early: what it did not want is dropped. Any other failure is one of the command. */
function streamSink(stream: OutputStream, failed: (error: NodeJS.ErrnoException) => void): Sink {
  let closed = false;
  const onError = (error: NodeJS.ErrnoException): void => {
    closed = true;
    if (error.code !== 'EPIPE') failed(error);
  };
  stream.on('error', onError);
  return {
    write(text) {
      try {
        if (!closed) stream.write(text);
      } catch (error) {
        onError(error as NodeJS.ErrnoException);
      }
    },
    isTerminal: stream.isTTY === true,
    get columns() {
      return known(stream.columns);
    },
    get rows() {
      return known(stream.rows);
    },
  };
}

/** Terminals that nobody sized (`script`, those of CI) say 0. */
function known(size: number | undefined): number | undefined {
  return size === undefined || size < 1 ? undefined : size;
}

import type { Clock } from '../core/index.ts';
import type { Terminal } from './terminal.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Everything a command knows of the process it runs in. */
export interface Context {
  readonly terminal: Terminal;
  readonly env: Environment;
  /** Absolute path of the working directory. */
  readonly folder: string;
  readonly clock: Clock;
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  /** Until disposed, signals do not abort: a container in the foreground gets them. */
  passSignalsOn(): Disposable;
  /** The verb and its words, to start the same command again inside a user namespace. */
  readonly words: readonly string[];
}

import { exitCodes } from './exit-codes.ts';

export type EndingSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

/** The part of a process that signals come from. */
export interface SignalSource {
  on(event: EndingSignal, listener: () => void): unknown;
  off(event: EndingSignal, listener: () => void): unknown;
}

/**
 * Turns the first SIGINT, SIGTERM or SIGHUP into an abort, so that everything under way cleans up; the second SIGINT
 * ends the process at once.
 */
export class Interruption implements Disposable {
  readonly #controller = new AbortController();
  readonly #source: SignalSource;
  readonly #listeners: readonly (readonly [EndingSignal, () => void])[];
  #received: EndingSignal | undefined;
  #passedOn = 0;

  constructor(source: SignalSource, endAtOnce: (exitCode: number) => void) {
    this.#source = source;
    this.#listeners = (['SIGINT', 'SIGTERM', 'SIGHUP'] as const).map((name) => [
      name,
      () => this.#receive(name, endAtOnce),
    ]);
    for (const [name, listener] of this.#listeners) source.on(name, listener);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** What an interrupted command exits with; undefined when none came. */
  get exitCode(): number | undefined {
    return this.#received === undefined ? undefined : exitCodeOfSignal(this.#received);
  }

  /** Until disposed, signals are another's: what runs in the foreground gets them, and its end is ours. */
  passOn(): Disposable {
    this.#passedOn++;
    return { [Symbol.dispose]: () => void this.#passedOn-- };
  }

  [Symbol.dispose](): void {
    for (const [name, listener] of this.#listeners) this.#source.off(name, listener);
  }

  #receive(name: EndingSignal, endAtOnce: (exitCode: number) => void): void {
    if (this.#passedOn > 0) return;
    if (this.#received === undefined) {
      this.#received = name;
      this.#controller.abort(new DOMException(`interrupted by ${name}`, 'AbortError'));
    } else if (name === 'SIGINT') {
      endAtOnce(exitCodeOfSignal(this.#received));
    }
  }
}

function exitCodeOfSignal(name: EndingSignal): number {
  switch (name) {
    case 'SIGINT':
      return exitCodes.interrupted;
    case 'SIGTERM':
      return exitCodes.terminated;
    case 'SIGHUP':
      return 129;
  }
}

import type { HttpTiming } from './http-timing.ts';

type Waiting = 'connection' | 'bytes' | 'answer';

/** Ends an exchange when the other side lets it rest, however long it may take in all. */
export class StallWatch {
  readonly #timing: Pick<HttpTiming, 'connectMs' | 'stallMs' | 'answerMs'>;
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #waiting: Waiting | undefined;
  /** What happened, once it did. */
  failure: { readonly waiting: Waiting; readonly sentence: string } | undefined;

  constructor(timing: Pick<HttpTiming, 'connectMs' | 'stallMs' | 'answerMs'>) {
    this.#timing = timing;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** A connection is asked for. */
  connecting(): void {
    const { connectMs } = this.#timing;
    this.#wait('connection', connectMs, `no connection came about within ${seconds(connectMs)}`);
  }

  /** It stands: from here on it is the other side that is waited for. */
  connected(): void {
    if (this.#waiting === 'connection') this.start();
  }

  /** Waiting for the other side begins. */
  start(): void {
    const { stallMs } = this.#timing;
    this.#wait('bytes', stallMs, `nothing was received or accepted for ${seconds(stallMs)}`);
  }

  /** It answered, or it is not its turn. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#waiting = undefined;
  }

  /** Passes on what is to be sent: time counts only while the other side does not take it. */
  async *sending(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    this.stop();
    for await (const chunk of source) {
      this.start();
      yield chunk;
      this.stop();
    }
    const { answerMs } = this.#timing;
    this.#wait('answer', answerMs, `all was sent, and no answer came for ${seconds(answerMs)}`);
  }

  #wait(waiting: Waiting, ms: number, sentence: string): void {
    clearTimeout(this.#timer);
    this.#waiting = waiting;
    this.#timer = setTimeout(() => {
      this.failure = { waiting, sentence };
      this.#controller.abort();
    }, ms);
  }
}

function seconds(ms: number): string {
  return `${ms / 1000} seconds`;
}

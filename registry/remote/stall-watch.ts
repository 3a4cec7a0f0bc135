const stallMs = 60_000;

/** Ends an exchange when the other side lets it rest, however long it may take in all. */
export class StallWatch {
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  /** What happened, once it did. */
  failure: string | undefined;

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Waiting for the other side begins. */
  start(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.failure = `nothing was received or accepted for ${stallMs / 1000} seconds`;
      this.#controller.abort();
    }, stallMs);
  }

  /** It answered, or it is not its turn. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  /** Passes on what is to be sent: time counts only while the other side does not take it. */
  async *sending(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    this.stop();
    for await (const chunk of source) {
      this.start();
      yield chunk;
      this.stop();
    }
    this.start();
  }
}

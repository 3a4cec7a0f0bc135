import { type CallOptions, sleep } from '../../core/index.ts';

/** How an exchange uses its place: a download keeps it until its body was read, a call until it is answered. */
export type GateUse = 'download' | 'call';

/**
 * What one host is not to be troubled with: more than so many exchanges at once, and any before the time it asked for.
 * Downloads and calls have places of their own, since a copy writes what it is still reading.
 */
export class HostGate {
  readonly #places: Readonly<Record<GateUse, Places>>;
  /** As `performance.now` counts. */
  #closedUntil = 0;

  constructor(concurrency: number) {
    this.#places = { download: new Places(concurrency), call: new Places(concurrency) };
  }

  /** Nobody enters for so long. */
  close(ms: number): void {
    this.#closedUntil = Math.max(this.#closedUntil, performance.now() + ms);
  }

  /**
   * Waits for a place.
   * @returns gives it back; once is enough, more does no harm
   */
  async enter(use: GateUse, options: CallOptions = {}): Promise<() => void> {
    const leave = await this.#places[use].take(options);
    try {
      await this.rest(options);
    } catch (error) {
      leave();
      throw error;
    }
    return leave;
  }

  /** Waits until the host may be asked again. */
  async rest(options: CallOptions = {}): Promise<void> {
    for (;;) {
      const leftMs = this.#closedUntil - performance.now();
      if (leftMs <= 0) return;
      await sleep(leftMs, options);
    }
  }
}

class Places {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(count: number) {
    this.#free = count;
  }

  async take(options: CallOptions): Promise<() => void> {
    options.signal?.throwIfAborted();
    if (this.#free > 0) this.#free -= 1;
    else await this.#turn(options);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#give();
    };
  }

  async #turn({ signal }: CallOptions): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const give = () => resolve();
    const abort = () => {
      // A place that was given in the same moment stays taken: whoever got it will give it back.
      if (this.#waiting.delete(give)) reject(signal?.reason);
    };
    this.#waiting.add(give);
    signal?.addEventListener('abort', abort, { once: true });
    try {
      await promise;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  #give(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}

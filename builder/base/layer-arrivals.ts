import { once } from 'node:events';
import type { CallOptions, Descriptor } from '../../core/index.ts';
import type { CopyEvent } from '../../registry/index.ts';

/** Which blobs of a copy that is under way are here. */
export class LayerArrivals {
  readonly #here = new Map<string, PromiseWithResolvers<void>>();

  /** To be told of everything that happens in the copy. */
  note({ type, descriptor }: CopyEvent): void {
    if (type === 'done' || type === 'skip' || type === 'mount') this.#of(descriptor).resolve();
  }

  /** Returns when the blob is here. @throws the signal's reason when aborted first */
  async of(descriptor: Descriptor, { signal }: CallOptions): Promise<void> {
    signal?.throwIfAborted();
    const stop = new AbortController();
    const aborted = signal === undefined ? undefined : once(signal, 'abort', { signal: stop.signal });
    const waiting = [this.#of(descriptor).promise, ...(aborted === undefined ? [] : [aborted])];
    try {
      await Promise.race(waiting);
    } finally {
      stop.abort();
      await aborted?.catch(() => undefined);
    }
    signal?.throwIfAborted();
  }

  #of({ digest }: Descriptor): PromiseWithResolvers<void> {
    const known = this.#here.get(digest) ?? Promise.withResolvers<void>();
    this.#here.set(digest, known);
    return known;
  }
}

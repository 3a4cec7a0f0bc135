import { type CallOptions, InFlight } from '../../core/index.ts';
import type { Token } from './token.ts';

interface KeptToken {
  readonly value: string;
  /** As `performance.now` counts. */
  readonly until: number;
}

/** So much of its life is left to a token when the next one is fetched: what it is sent with may be on its way long. */
const reserve = 0.1;
const maxReserveMs = 10_000;
const maxRemembered = 200;

/** Tokens by what they allow: fetched once, kept while they live, never shown. */
export class BearerTokens {
  readonly #kept = new Map<string, KeptToken>();
  readonly #fetching = new InFlight<KeptToken>();
  /** Every token there was, also those that expired. */
  readonly secrets = new Set<string>();

  async find(
    scopes: readonly string[],
    fetch: (options: CallOptions) => Promise<Token>,
    { signal }: CallOptions,
  ): Promise<string> {
    const key = scopes.join(' ');
    const kept = this.#kept.get(key);
    if (kept !== undefined && performance.now() < kept.until) return kept.value;
    return (await joined(this.#fetching, key, () => this.#fetch(key, fetch, { signal }), { signal })).value;
  }

  /** The registry does not take it. */
  forget(value: string | undefined): void {
    for (const [key, kept] of this.#kept) if (kept.value === value) this.#kept.delete(key);
  }

  async #fetch(key: string, fetch: (options: CallOptions) => Promise<Token>, options: CallOptions): Promise<KeptToken> {
    // Counted from before the request: the server's clock started somewhere in between.
    const asked = performance.now();
    const { value, lifetimeMs } = await fetch(options);
    const token = { value, until: asked + lifetimeMs - Math.min(lifetimeMs * reserve, maxReserveMs) };
    this.#kept.set(key, token);
    this.secrets.add(value);
    for (const oldest of this.secrets) {
      if (this.secrets.size <= maxRemembered) break;
      this.secrets.delete(oldest);
    }
    return token;
  }
}

/** Work that another caller began and then gave up is begun anew. */
export async function joined<R>(
  work: InFlight<R>,
  key: string,
  task: () => Promise<R>,
  { signal }: CallOptions,
): Promise<R> {
  for (;;) {
    signal?.throwIfAborted();
    try {
      return await work.run(key, () => unlessGivenUp(task, signal));
    } catch (error) {
      if (!(error instanceof GivenUp)) throw error;
    }
  }
}

class GivenUp extends Error {}

async function unlessGivenUp<R>(task: () => Promise<R>, signal: AbortSignal | undefined): Promise<R> {
  try {
    return await task();
  } catch (error) {
    throw signal?.aborted ? new GivenUp('by the caller that began it', { cause: error }) : error;
  }
}

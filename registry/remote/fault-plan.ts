/** What a request is about, as far as it decides what can go wrong with it. */
export type Occasion = 'ping' | 'token' | 'blob' | 'manifest' | 'start' | 'upload' | 'publish' | 'ask';

const anywhere = ['reset', 'silence', 'status-500', 'status-503', 'busy', 'busy-until', 'busy-for-long'] as const;
const redirects = ['elsewhere', 'circle', 'echoing-redirect'] as const;
const bodies = ['drop', 'wrong-bytes', 'short', 'long', 'endless', 'trickle', 'gzip-bomb'] as const;
const ranges = ['lying-range', 'unasked-range', 'ignores-range'] as const;
const manifests = ['huge', 'wrong-digest-header', 'page-for-people'] as const;
const tokens = ['no-token', 'unusable-token', 'useless-token', 'short-lived-token', 'token-page'] as const;
const locations = ['upload-elsewhere', 'no-location', 'bad-location'] as const;
const uploads = ['drop-upload', 'lost-upload', 'late-error', 'wrong-stored-digest'] as const;

const possible = {
  ping: anywhere,
  ask: [...anywhere, 'circle', 'echoing-redirect'],
  token: [...anywhere, ...tokens, 'circle'],
  blob: [...anywhere, ...redirects, ...bodies, ...ranges],
  manifest: [...anywhere, ...redirects, ...manifests, 'drop', 'wrong-bytes', 'trickle'],
  start: [...anywhere, ...locations],
  upload: [...anywhere, ...uploads],
  publish: [...anywhere, 'late-error', 'wrong-stored-digest'],
} as const satisfies Record<Occasion, readonly string[]>;

export type Fault = (typeof possible)[Occasion][number];

/** All there are. */
export const faults: readonly Fault[] = [...new Set(Object.values(possible).flat())];

/** What a seed is there for: it happens whenever the occasion comes. Two seeds each. */
export function mainFault(seed: number): Fault {
  return faults[Math.floor(seed / 2) % faults.length] as Fault;
}

export function concernsTokens(fault: Fault): boolean {
  return tokens.some((one) => one === fault);
}

/** Which requests a registry answers wrongly, and how: the same for the same seed and the same requests. */
export class FaultPlan {
  readonly happened: Fault[] = [];
  readonly #random: () => number;
  readonly #rate: number;
  /** What this registry is prone to; often it does it again. */
  readonly #habits: ReadonlySet<Fault>;
  readonly #main: Fault;
  /** Its habits do not wait for the main fault, which may then never come about. */
  readonly #isMixed: boolean;
  #left: number;

  constructor(seed: number) {
    this.#main = mainFault(seed);
    this.#isMixed = seed >= 2 * faults.length;
    this.#random = randomOf(seed);
    this.#rate = 0.2 + 0.8 * this.#random();
    this.#left = this.#pick([0, 0, 0, 1, 2, 3, 5, 8, 1000]);
    this.#habits = new Set(faults.filter(() => this.#random() < 0.35));
  }

  /** Undefined when all goes well. */
  next(occasion: Occasion, { isRanged = false } = {}): Fault | undefined {
    const fault = this.#planned(occasion, isRanged) ?? this.#habitual(occasion, isRanged);
    if (fault !== undefined) this.happened.push(fault);
    return fault;
  }

  #planned(occasion: Occasion, isRanged: boolean): Fault | undefined {
    const main = this.#main;
    if (this.happened.includes(main) || !isPossible(main, occasion, true)) return undefined;
    // Ranges are asked for when something broke off.
    return isPossible(main, occasion, isRanged) ? main : 'drop';
  }

  #habitual(occasion: Occasion, isRanged: boolean): Fault | undefined {
    const isItsTurn = this.#isMixed || this.happened.includes(this.#main);
    const fit = [...this.#habits].filter((fault) => isItsTurn && isPossible(fault, occasion, isRanged));
    if (this.#left === 0 || fit.length === 0 || this.#random() > this.#rate) return undefined;
    this.#left -= 1;
    return this.#pick(fit);
  }

  /** From 0 to `below`, the latter excluded. */
  number(below: number): number {
    return Math.floor(this.#random() * below);
  }

  #pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)] as T;
  }
}

function isPossible(fault: Fault, occasion: Occasion, isRanged: boolean): boolean {
  const answersRange = fault === 'lying-range' || fault === 'ignores-range';
  return possible[occasion].some((one) => one === fault) && (isRanged || !answersRange);
}

/** mulberry32: small, and the same everywhere. */
function randomOf(seed: number): () => number {
  let state = (seed * 0x9e3779b1) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

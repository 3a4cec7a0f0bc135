import { canonicalJson } from '../../core/index.ts';
import type { PinKind, PinnedPackage, PinValues } from './pins.ts';

/** Everything a lock file says. Immutable by convention: `changed` gives a new one. */
export type LockContent = { readonly [K in PinKind]: ReadonlyMap<string, PinValues[K]> };

/** In the order of the file. */
export const pinKinds = ['images', 'urls', 'git', 'packages', 'bootstraps'] as const satisfies readonly PinKind[];

export const emptyLock: LockContent = {
  images: new Map(),
  urls: new Map(),
  git: new Map(),
  packages: new Map(),
  bootstraps: new Map(),
};

/** One entry; without a value it is taken out. */
export type LockChange = {
  readonly [K in PinKind]: { readonly kind: K; readonly key: string; readonly value: PinValues[K] | undefined };
}[PinKind];

/** The content with these changes made, the later ones last. */
export function changed(content: LockContent, changes: Iterable<LockChange>): LockContent {
  const next = Object.fromEntries(pinKinds.map((kind) => [kind, new Map<string, unknown>(content[kind])]));
  for (const { kind, key, value } of changes) {
    if (value === undefined) next[kind]?.delete(key);
    else next[kind]?.set(key, value);
  }
  // Values went in under the kind that their change names.
  return next as unknown as LockContent;
}

/** Every entry, by kind in the order of the file and by key. */
export function* entriesOf(content: LockContent): Generator<LockChange> {
  for (const kind of pinKinds) {
    for (const key of [...content[kind].keys()].sort()) {
      yield { kind, key, value: content[kind].get(key) } as LockChange;
    }
  }
}

/** Whether two answers are the same; packages are compared without regard to their order. */
export function samePin(a: PinValues[PinKind] | undefined, b: PinValues[PinKind] | undefined): boolean {
  return a === b || canonicalJson(normalised(a)) === canonicalJson(normalised(b));
}

export function sameContent(a: LockContent, b: LockContent): boolean {
  return pinKinds.every(
    (kind) => a[kind].size === b[kind].size && [...a[kind]].every(([key, value]) => samePin(value, b[kind].get(key))),
  );
}

/** What makes one content out of another. */
export function changesBetween(before: LockContent, after: LockContent): LockChange[] {
  const come = [...entriesOf(after)].filter(({ kind, key, value }) => !samePin(before[kind].get(key), value));
  const gone = [...entriesOf(before)].filter(({ kind, key }) => !after[kind].has(key));
  return [...come, ...gone.map(({ kind, key }) => ({ kind, key, value: undefined }) as LockChange)];
}

/**
 * By name, then architecture, version and hash, each once: the one order of a set, in the lock file, in records and in the
 * keys of steps. Fields are compared one by one, since `=` and `-` in joined texts give other orders.
 */
export function sortPinned(packages: Iterable<PinnedPackage>): PinnedPackage[] {
  const fields = ({ name, architecture, version, hash }: PinnedPackage) => [name, architecture, version, hash];
  const byFields = new Map(Array.from(packages, (one) => [JSON.stringify(fields(one)), one]));
  return [...byFields.values()].sort((a, b) => {
    const [left, right] = [fields(a), fields(b)];
    const at = left.findIndex((field, index) => field !== right[index]);
    return at === -1 ? 0 : (left[at] ?? '') < (right[at] ?? '') ? -1 : 1;
  });
}

function normalised(value: PinValues[PinKind] | undefined): unknown {
  if (value === undefined) return null;
  if (typeof value === 'string') return value;
  return sortPinned(value).map(({ name, version, architecture, hash }) => [name, version, architecture, hash]);
}

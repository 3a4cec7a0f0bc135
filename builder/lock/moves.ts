import { digestAlgorithm, isDigest, shortDigest } from '../../core/index.ts';
import { withoutRoot } from '../packages/question.ts';
import { changed, entriesOf, type LockChange, type LockContent, pinKinds, samePin } from './lock-content.ts';
import type { PinKind, PinnedPackage, PinValues } from './pins.ts';

/** One package of a set that became another one. */
export interface PackageMove {
  /** With its architecture where the set has the name for several. */
  readonly name: string;
  /** Version; undefined when the package is new. */
  readonly from?: string;
  /** Version; undefined when the package is not needed any more. */
  readonly to?: string;
}

/** One entry of a lock file that would become another one. */
export interface Move {
  readonly kind: PinKind;
  readonly key: string;
  /** Digest or commit; undefined for sets, and for an entry that is new. */
  readonly from?: string;
  /** Digest or commit; undefined for sets, and for an entry that goes. */
  readonly to?: string;
  /** Of a set, sorted by name. */
  readonly packages?: readonly PackageMove[];
  /** The entry is not in the file yet. */
  readonly isNew?: true;
  /** The key that a new entry takes the place of: the Buildfile asks in other words now. */
  readonly instead?: string;
  /** No stage needs the entry any more. */
  readonly isUnused?: true;
}

/** How a change looks beside what is there. A new entry may take the place of one that `going` has. */
export function moveOf({ kind, key, value }: LockChange, content: LockContent, going = content): Move {
  const before = content[kind].get(key);
  const instead = before === undefined && value !== undefined ? predecessorOf(kind, key, going) : undefined;
  const from = before ?? (instead === undefined ? undefined : content[kind].get(instead));
  return {
    kind,
    key,
    ...(typeof from === 'string' ? { from } : {}),
    ...(typeof value === 'string' ? { to: value } : {}),
    ...(isSet(from) || isSet(value) ? { packages: packageMoves(setOf(from), setOf(value)) } : {}),
    ...(before === undefined ? { isNew: true } : {}),
    ...(instead === undefined ? {} : { instead }),
    ...(value === undefined ? { isUnused: true } : {}),
  };
}

/** Everything that differs between two contents, in the order of the file. */
export function movesBetween(before: LockContent, after: LockContent): Move[] {
  const going = changed(
    before,
    [...entriesOf(after)].map(({ kind, key }) => ({ kind, key, value: undefined }) as LockChange),
  );
  const moves = [...entriesOf(after)]
    .filter(({ kind, key, value }) => !samePin(before[kind].get(key), value))
    .map((change) => moveOf(change, before, going));
  const replaced = new Set(moves.flatMap(({ kind, instead }) => (instead === undefined ? [] : [`${kind} ${instead}`])));
  const gone = [...entriesOf(going)]
    .filter(({ kind, key }) => !replaced.has(`${kind} ${key}`))
    .map(({ kind, key }) => moveOf({ kind, key, value: undefined } as LockChange, before));
  return pinKinds.flatMap((kind) =>
    [...moves, ...gone].filter((move) => move.kind === kind).sort((a, b) => (a.key < b.key ? -1 : 1)),
  );
}

/** `debian:bookworm sha256:… → sha256:…`: one line. */
export function moveText(move: Move): string {
  const { key, from, to, packages, isNew, isUnused } = move;
  if (isUnused) return `${key} is not used`;
  if (isNew) return `${key} is new`;
  return packages === undefined
    ? `${key} ${shownPin(from)} → ${shownPin(to)}`
    : `${key} changes in ${countText(packages.length)}`;
}

/** A digest or commit as people are shown it. */
export function shownPin(value: string | undefined): string {
  if (value === undefined) return '';
  return isDigest(value) ? `${digestAlgorithm(value)}:${shortDigest(value)}` : value.slice(0, 12);
}

export function countText(packages: number): string {
  return `${packages} ${packages === 1 ? 'package' : 'packages'}`;
}

/** What differs between two sets, by name; the same version with another hash shows both. */
export function packageMoves(before: readonly PinnedPackage[], after: readonly PinnedPackage[]): PackageMove[] {
  const several = new Set([...namesOfSeveral(before), ...namesOfSeveral(after)]);
  const named = (set: readonly PinnedPackage[]) =>
    new Map(set.map((one) => [several.has(one.name) ? `${one.name}:${one.architecture}` : one.name, one]));
  const [old, fresh] = [named(before), named(after)];
  return [...new Set([...old.keys(), ...fresh.keys()])].sort().flatMap((name): PackageMove[] => {
    const [from, to] = [old.get(name), fresh.get(name)];
    if (from !== undefined && to !== undefined && from.version === to.version) {
      if (from.hash === to.hash) return [];
      return [{ name, from: `${from.version} (${from.hash})`, to: `${to.version} (${to.hash})` }];
    }
    return [
      { name, ...(from === undefined ? {} : { from: from.version }), ...(to === undefined ? {} : { to: to.version }) },
    ];
  });
}

/** Packages that a set has for more than one architecture. */
function namesOfSeveral(set: readonly PinnedPackage[]): string[] {
  const seen = new Set<string>();
  return set.flatMap(({ name }) => {
    if (seen.has(name)) return [name];
    seen.add(name);
    return [];
  });
}

/**
 * The entry that a question took the place of, now that the Buildfile puts it in other words or its base moved: a set
 * asked for in the same words on another root; else the only one about the same suite, or manager, and platform, which
 * are a key's first two words.
 */
function predecessorOf(kind: PinKind, key: string, content: LockContent): string | undefined {
  if (kind !== 'bootstraps' && kind !== 'packages') return undefined;
  const others = [...content[kind].keys()];
  for (const subjectOf of [withoutRoot, (text: string) => text.split(' ', 2).join(' ')]) {
    const candidates = others.filter((other) => subjectOf(other) === subjectOf(key));
    if (candidates.length > 0) return candidates.length === 1 ? candidates[0] : undefined;
  }
  return undefined;
}

function isSet(value: PinValues[PinKind] | undefined): value is readonly PinnedPackage[] {
  return typeof value === 'object';
}

function setOf(value: PinValues[PinKind] | undefined): readonly PinnedPackage[] {
  return isSet(value) ? value : [];
}

import type { BaseRecord } from '../builder/index.ts';
import { type Digest, digestAlgorithm, shortDigest } from '../core/index.ts';
import { type CurrentSource, type Move, movesOf, type Source } from './sources.ts';

/** Why something could not be found out or done. */
export interface Trouble {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

/** An image as its registry has it. */
export interface BuiltImage {
  readonly digest: Digest;
  /** Undefined when it does not say. */
  readonly sources: readonly BaseRecord[] | undefined;
}

/** Everything a decision about one image depends on. */
export interface Observation {
  /** Undefined when its tag is not at the registry. */
  readonly built: BuiltImage | undefined | Unknown;
  /** By name of the source, as far as it had to be asked for. */
  readonly current: ReadonlyMap<string, CurrentSource | Unknown>;
  /** What its last rebuild was made of, and what came out. */
  readonly last?: { readonly digest: Digest; readonly sources: readonly BaseRecord[] } | undefined;
}

export interface Unknown {
  readonly kind: 'unknown';
  readonly trouble: Trouble;
}

interface DecisionCommon {
  /** Key of kiln.toml. */
  readonly image: string;
  /** Full reference. */
  readonly tag: string;
  /** The digest at the registry. */
  readonly digest?: Digest;
  /** Sentences about what was not checked. */
  readonly notes: readonly string[];
}

export type Decision = DecisionCommon &
  (
    | { readonly action: 'current' }
    | { readonly action: 'rebuild'; readonly reason: string; readonly moved: readonly Move[] }
    /** Decided once the images it is built on are rebuilt. */
    | { readonly action: 'follow'; readonly reason: string; readonly upstream: readonly string[] }
    | { readonly action: 'unknown'; readonly trouble: Trouble }
  );

export interface DecisionSubject {
  readonly name: string;
  readonly tag: string;
  readonly sources: readonly Source[];
}

/**
 * Decides what has to be done about one image. `pending` are the tags of listed images that are about to be rebuilt:
 * their present state means nothing.
 */
export function decide(
  subject: DecisionSubject,
  observation: Observation,
  pending: ReadonlySet<string> = new Set(),
): Decision {
  const { built, current } = observation;
  const common: DecisionCommon = {
    image: subject.name,
    tag: subject.tag,
    notes: notesOf(subject.sources, current),
    ...(built !== undefined && !isUnknown(built) ? { digest: built.digest } : {}),
  };
  if (isUnknown(built)) return { ...common, action: 'unknown', trouble: built.trouble };
  if (built === undefined) return { ...common, action: 'rebuild', reason: 'never built', moved: [] };

  const settled = subject.sources.filter(({ name }) => !pending.has(name));
  for (const { name } of settled) {
    const state = current.get(name);
    if (isUnknown(state)) return { ...common, action: 'unknown', trouble: state.trouble };
  }
  const upstream = subject.sources.map(({ name }) => name).filter((name) => pending.has(name));
  const moved = isAsLastBuilt(observation, upstream) ? [] : allMoves(subject, built, current, pending);
  if (moved.length > 0) return { ...common, action: 'rebuild', reason: reasonOf(built, moved), moved };
  if (upstream.length === 0) return { ...common, action: 'current' };
  return { ...common, action: 'follow', reason: `built on ${upstream.join(', ')}, to be rebuilt first`, upstream };
}

/** Decides about images in graph order, each knowing what was decided about those before it. */
export function decideAll(
  subjects: readonly DecisionSubject[],
  observationOf: (subject: DecisionSubject) => Observation,
): Decision[] {
  const pending = new Set<string>();
  return subjects.map((subject) => {
    const decision = decide(subject, observationOf(subject), pending);
    if (decision.action === 'rebuild' || decision.action === 'follow') pending.add(subject.tag);
    return decision;
  });
}

/** The sources' present digests, as they are kept with a rebuild. */
export function digestsNow(current: Observation['current']): BaseRecord[] {
  return [...current]
    .flatMap(([name, state]) => (state.kind === 'digests' ? state.digests.map((digest) => ({ name, digest })) : []))
    .sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
}

/** A digest as people are shown it. */
export function shownDigest(digest: Digest): string {
  return `${digestAlgorithm(digest)}:${shortDigest(digest)}…`;
}

/**
 * True when the image is what the last rebuild made of the very same sources. A Buildfile may write annotations that
 * say otherwise: without this, such an image would be rebuilt at every round.
 */
function isAsLastBuilt({ built, current, last }: Observation, upstream: readonly string[]): boolean {
  if (last === undefined || built === undefined || isUnknown(built) || upstream.length > 0) return false;
  const then = new Set(last.sources.map(keyOf));
  const now = digestsNow(current).map(keyOf);
  return last.digest === built.digest && now.length === then.size && now.every((key) => then.has(key));
}

function allMoves(
  subject: DecisionSubject,
  { sources: recorded = [] }: BuiltImage,
  current: Observation['current'],
  pending: ReadonlySet<string>,
): Move[] {
  const digestsOf = (name: string) => recorded.filter((record) => record.name === name).map(({ digest }) => digest);
  const moves = subject.sources.flatMap(({ name, kind }) => {
    const state = current.get(name);
    if (kind === 'layout' || pending.has(name) || state === undefined || isUnknown(state)) return [];
    return movesOf(name, digestsOf(name), state);
  });
  const wanted = new Set(subject.sources.map(({ name }) => name));
  const dropped = recorded
    .filter(({ name }) => !wanted.has(name))
    .map(({ name, digest }) => ({ source: name, from: digest }));
  return [...moves, ...dropped];
}

function reasonOf(built: BuiltImage, moved: readonly Move[]): string {
  if (built.sources === undefined) return 'it does not say what it was built from';
  return moved.map(moveSentence).join('; ');
}

function moveSentence({ source, from, to }: Move): string {
  if (from !== undefined && to !== undefined) return `base ${source} moved ${shownDigest(from)} → ${shownDigest(to)}`;
  return from === undefined ? `its Buildfile now builds on ${source}` : `its Buildfile builds on ${source} no longer`;
}

function notesOf(sources: readonly Source[], current: Observation['current']): string[] {
  return sources.flatMap(({ name, kind }) => {
    if (kind === 'layout') return [`${name} is a layout on disk and is not checked`];
    const state = current.get(name);
    return state?.kind === 'unchecked' ? [`${name} is not checked: ${state.why}`] : [];
  });
}

function isUnknown(state: unknown): state is Unknown {
  return typeof state === 'object' && state !== null && 'kind' in state && state.kind === 'unknown';
}

function keyOf({ name, digest }: BaseRecord): string {
  return `${name}@${digest}`;
}

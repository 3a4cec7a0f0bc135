import {
  comparePackages,
  factsNeedLower,
  type ImagePlace,
  LayerLists,
  type PackageChange,
  packagesOf,
  readTrees,
  sharedBottom,
} from '../builder/index.ts';
import {
  type CallOptions,
  type Descriptor,
  type Digest,
  formatReference,
  type Image,
  mapConcurrent,
  openImage,
  type Platform,
  type ReadableContent,
  ToolError,
  withDefaultTag,
} from '../core/index.ts';
import { type Bases, basePlace, baseReference, type FoundBase } from './bases.ts';
import type { Trouble } from './decision.ts';
import { readRecordedBase } from './recorded-base.ts';
import { troubleOf } from './trouble.ts';

/** An image whose base is asked for. */
export interface StaleSubject {
  readonly name: string;
  readonly content: ReadableContent;
  readonly root: Descriptor;
}

interface Judged {
  /** As it was asked for. */
  readonly image: string;
  /** In full. */
  readonly name?: string;
  /** Of what the name means. */
  readonly digest?: Digest;
  /** Name of the base, in full. */
  readonly base?: string;
}

/** Whether an image's base is what its name means now. */
export type Staleness = Judged &
  (
    | {
        readonly state: 'current';
        readonly baseDigest: Digest;
        /** By what that was seen: the digest that is recorded; that of the platform; the layers. */
        readonly by: 'digest' | 'platform' | 'layers';
      }
    | {
        readonly state: 'stale';
        /** Undefined when the image does not say. */
        readonly from?: Digest;
        readonly to: Digest;
        /** When that was asked for, and both can be read. */
        readonly packages?: readonly PackageChange[];
        readonly notes?: readonly string[];
      }
    /** Nobody can be asked for its base. */
    | { readonly state: 'unchecked'; readonly why: string }
    | { readonly state: 'unknown'; readonly trouble: Trouble }
  );

export interface StaleOptions extends CallOptions {
  /** Of an image for several platforms. */
  readonly platform: Platform;
  /** What the base is, whatever the image says. */
  readonly base?: FoundBase;
  /** Compares packages of old and new base; gives an empty folder for files in passing. */
  readonly packages?: () => Promise<string>;
}

/** Images asked for at once. */
const concurrency = 8;

/** In the order of the names. What goes wrong with one image is part of its answer, and does not keep the others back. */
export async function checkStale(
  names: readonly string[],
  open: (name: string) => Promise<StaleSubject>,
  bases: Bases,
  options: StaleOptions,
): Promise<Staleness[]> {
  return mapConcurrent(names, { concurrency, signal: options.signal }, async (name, { signal }) =>
    checkImage(name, open, bases, { ...options, signal }),
  );
}

async function checkImage(
  image: string,
  open: (name: string) => Promise<StaleSubject>,
  bases: Bases,
  options: StaleOptions,
): Promise<Staleness> {
  const common: { -readonly [K in keyof Judged]: Judged[K] } = { image };
  try {
    const subject = await open(image);
    common.name = subject.name;
    common.digest = subject.root.digest;
    const opened = await openImage(subject.content, subject.root, options);
    const recorded = await readRecordedBase(subject, opened, options);
    const said = recorded === undefined ? undefined : { ...recorded, ...named(recorded.name) };
    const wanted = options.base?.name ?? said?.full;
    if (wanted === undefined) throw baseUnknown(subject.name);
    common.base = wanted;
    const now = options.base ?? (await bases.current(baseReference(said?.name ?? ''), options));
    // The recorded digest is that of another base than the one that was said to be its base.
    const from = said?.full === wanted ? said.digest : undefined;
    return { ...common, ...(await judge(opened, from, now, bases, options)) };
  } catch (error) {
    const trouble = troubleOf(error, options);
    return trouble.code === 'STALE_UNCHECKED'
      ? { ...common, state: 'unchecked', why: trouble.message }
      : { ...common, state: 'unknown', trouble };
  }
}

type Judgement = Staleness extends infer S ? (S extends Judged ? Omit<S, keyof Judged> : never) : never;

/**
 * An index's digest and that of the platform's image in it both count as the base's; so does an index that moved for
 * other platforms only.
 */
async function judge(
  image: Image,
  from: Digest | undefined,
  now: FoundBase,
  bases: Bases,
  options: StaleOptions,
): Promise<Judgement> {
  const baseDigest = now.root.digest;
  if (from === baseDigest) return { state: 'current', baseDigest, by: 'digest' };
  const current = await basePlace(now, image.config, options);
  if (from === current.image.descriptor.digest) return { state: 'current', baseDigest, by: 'platform' };
  if (from === undefined) {
    const count = current.image.layers.length;
    const isOnIt = count > 0 && sharedBottom(current.image, image) === count;
    if (isOnIt) return { state: 'current', baseDigest, by: 'layers' };
    return { state: 'stale', to: baseDigest };
  }
  const old = await openOld(now, from, image.config, bases, options);
  if (old?.image.descriptor.digest === current.image.descriptor.digest) {
    return { state: 'current', baseDigest, by: 'platform' };
  }
  const moved = { state: 'stale', from, to: baseDigest } as const;
  if (options.packages === undefined) return moved;
  if (old === undefined) {
    return { ...moved, notes: ['the old base is not at its registry any more: its packages cannot be compared'] };
  }
  const { packages, notes } = await baseMoves(old, current, await options.packages(), options);
  return { ...moved, packages, ...(notes.length === 0 ? {} : { notes }) };
}

async function openOld(
  { name }: FoundBase,
  digest: Digest,
  platform: Platform,
  bases: Bases,
  options: CallOptions,
): Promise<ImagePlace | undefined> {
  const found = await bases.recorded(baseReference(name), digest, options);
  return found === undefined ? undefined : basePlace(found, platform, options);
}

/** What differs in the packages of two bases. @param scratch an empty folder */
export async function baseMoves(before: ImagePlace, after: ImagePlace, scratch: string, options: CallOptions) {
  const trees = await readTrees(before, after, new LayerLists(scratch), {
    ...options,
    whole: (top) => factsNeedLower(top.before, top.after),
  });
  return comparePackages(
    await packagesOf(trees.before, scratch, options),
    await packagesOf(trees.after, scratch, options),
  );
}

function named(name: string): { readonly full: string } {
  if (/^(?:bootstrap|oci):/.test(name)) return { full: name };
  return { full: formatReference(withDefaultTag(baseReference(name))) };
}

function baseUnknown(name: string): ToolError {
  return new ToolError('STALE_BASE_UNKNOWN', `${name} does not say what it was built on`, {
    hint: 'say it: --base NAME',
  });
}

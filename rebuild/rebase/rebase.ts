import type { ImagePlace, PackageChange } from '../../builder/index.ts';
import {
  type CallOptions,
  type Descriptor,
  type Digest,
  describe,
  formatPlatform,
  formatReference,
  type Index,
  isIndexType,
  isManifestType,
  maxConfigBytes,
  maxManifestBytes,
  NotFoundError,
  openImage,
  type Platform,
  parseIndex,
  type ReadableContent,
  readVerified,
  samePlatform,
  serializeManifest,
  streamOf,
  type Target,
  ToolError,
  withDefaultTag,
} from '../../core/index.ts';
import { type CopyEvent, copyImage } from '../../registry/index.ts';
import { type Bases, basePlace, baseReference, type FoundBase } from '../bases.ts';
import { readRecordedBase } from '../recorded-base.ts';
import { baseDigestAnnotation, baseNameAnnotation } from '../sources.ts';
import { checkRebase } from './check-rebase.ts';
import type { Reason } from './reason.ts';
import { type RebasedImage, type RecordedBase, rebasedImage } from './rebased-image.ts';

export interface RebaseOptions extends CallOptions {
  /** What the image lies on, and what it is to lie on; what it says itself, and what that name means now, unless given. */
  readonly old?: FoundBase;
  readonly fresh?: FoundBase;
  /** Only the image for this platform, out of an index. */
  readonly platform?: Platform;
  readonly bases: Bases;
  /** A new, empty folder for files in passing. */
  readonly scratch: () => Promise<string>;
}

/** What is to become of one platform's image. */
export interface PlatformRebase {
  readonly platform: string;
  readonly digest: Digest;
  readonly oldBase: RecordedBase;
  readonly newBase: RecordedBase;
  /** `current`: it lies on the new base already. */
  readonly state: 'safe' | 'unsafe' | 'current';
  /** Why it is unsafe: all of it. */
  readonly reasons: readonly Reason[];
  /** What differs between the bases. */
  readonly packages: readonly PackageChange[];
  readonly notes: readonly string[];
}

/** A checked rebase; nothing was written. */
export interface RebasePlan {
  readonly before: Descriptor;
  readonly images: readonly PlatformRebase[];
  /** Sentences about the whole. */
  readonly notes: readonly string[];
  /** Undefined when an image is unsafe, or all lie on the new base already. */
  readonly result?: RebaseResult;
}

/** What a rebase makes: documents at hand, and where the layers are. */
export interface RebaseResult {
  readonly root: Descriptor;
  readonly content: ReadableContent;
}

/**
 * Puts an image on another state of its base: the layers below are exchanged, its own stay as they are, byte for byte. An
 * index gets all its images rebased, or none.
 * @throws ToolError REBASE_BASE_UNKNOWN, STALE_UNCHECKED; NotFoundError REBASE_BASE_GONE, REFERENCE_NOT_FOUND
 */
export async function planRebase(image: Omit<FoundBase, 'name'>, options: RebaseOptions): Promise<RebasePlan> {
  const { root } = image;
  if (!isIndexType(root.mediaType) || options.platform !== undefined) {
    const place = await placeOf(image, options);
    const planned = await planImage(image, place, options);
    return {
      before: place.image.descriptor,
      images: [planned.outcome],
      notes: [],
      ...(planned.rebased === undefined
        ? {}
        : { result: { root: planned.rebased.descriptor, content: contentOf([planned]) } }),
    };
  }
  return planIndex(image, options);
}

/** Brings a planned image to a place: what is there already, or can be taken from another repository there, is not sent. */
export async function writeRebased(
  { root, content }: RebaseResult,
  target: Target,
  options: CallOptions & { readonly mountFrom?: readonly string[]; readonly onEvent?: (event: CopyEvent) => void },
): Promise<Descriptor> {
  return copyImage(content, target, root, options);
}

interface PlannedImage {
  readonly outcome: PlatformRebase;
  readonly rebased: RebasedImage | undefined;
  readonly own: ImagePlace;
  readonly fresh: ImagePlace;
}

async function planIndex(image: Omit<FoundBase, 'name'>, options: RebaseOptions): Promise<RebasePlan> {
  const { content, root, isNear } = image;
  const index = parseIndex(await readVerified(content, root, { signal: options.signal, maxBytes: maxManifestBytes }));
  const children = index.manifests.filter(isImage);
  const planned: PlannedImage[] = [];
  for (const child of children) {
    const opened = await openImage(content, child, { signal: options.signal, platform: child.platform ?? anyPlatform });
    planned.push(await planImage(image, { content, image: opened, isNear }, options));
  }
  const left = index.manifests.length - children.length;
  const notes =
    left === 0 ? [] : [`${left} of the index are no images (attestations of the old ones): they are left out`];
  const images = planned.map(({ outcome }) => outcome);
  const isRefused = images.some(({ state }) => state === 'unsafe');
  const isMoved = images.some(({ state }) => state === 'safe');
  if (isRefused || !isMoved) return { before: root, images, notes };
  const bytes = serializeManifest(rebasedIndex(index, children, planned));
  const made = describe(root.mediaType, bytes);
  return {
    before: root,
    images,
    notes,
    result: { root: made, content: contentOf(planned, { descriptor: made, bytes }) },
  };
}

/** Never asked for: a manifest needs no platform to be opened. */
const anyPlatform: Platform = { os: 'linux', architecture: 'unknown' };

function isImage({ mediaType, platform, annotations }: Descriptor): boolean {
  return (
    isManifestType(mediaType) &&
    platform?.architecture !== 'unknown' &&
    annotations?.['vnd.docker.reference.type'] === undefined
  );
}

function rebasedIndex(index: Index, children: readonly Descriptor[], planned: readonly PlannedImage[]): Index {
  const [first] = planned;
  const { annotations = {} } = index;
  const record = first?.outcome.newBase;
  return {
    schemaVersion: 2,
    mediaType: index.mediaType,
    ...(index.artifactType === undefined ? {} : { artifactType: index.artifactType }),
    manifests: children.map((child, position) => {
      const { mediaType, digest, size } = planned[position]?.rebased?.descriptor ?? child;
      return { ...child, mediaType, digest, size };
    }),
    ...(index.annotations === undefined
      ? {}
      : {
          annotations: {
            ...annotations,
            ...(record?.name !== undefined && baseNameAnnotation in annotations
              ? { [baseNameAnnotation]: record.name }
              : {}),
            ...(record !== undefined && baseDigestAnnotation in annotations
              ? { [baseDigestAnnotation]: record.digest }
              : {}),
          },
        }),
  };
}

async function planImage(
  source: Omit<FoundBase, 'name'>,
  own: ImagePlace,
  options: RebaseOptions,
): Promise<PlannedImage> {
  const bases = await basesOf(source, own, options);
  const { config } = own.image;
  const old = await basePlace(bases.old, config, options);
  const fresh = await basePlace(bases.fresh, config, options);
  const common = {
    platform: formatPlatform(config),
    digest: own.image.descriptor.digest,
    oldBase: bases.oldRecord,
    newBase: bases.freshRecord,
  };
  if (old.image.descriptor.digest === fresh.image.descriptor.digest && samePlatform(old.image.config, config)) {
    return {
      outcome: { ...common, state: 'current', reasons: [], packages: [], notes: [] },
      rebased: undefined,
      own,
      fresh,
    };
  }
  const check = await checkRebase({ image: own, old, fresh }, await options.scratch(), { signal: options.signal });
  const { reasons, packages, notes } = check;
  const isSafe = reasons.length === 0;
  const rawConfig = await readVerified(own.content, own.image.manifest.config, {
    signal: options.signal,
    maxBytes: maxConfigBytes,
  });
  const rebased = isSafe
    ? rebasedImage({
        image: own.image,
        rawConfig,
        old: { image: old.image, record: bases.oldRecord },
        fresh: { image: fresh.image, record: bases.freshRecord },
        config: check.merged.config,
      })
    : undefined;
  return { outcome: { ...common, state: isSafe ? 'safe' : 'unsafe', reasons, packages, notes }, rebased, own, fresh };
}

async function basesOf(source: Omit<FoundBase, 'name'>, { image }: ImagePlace, options: RebaseOptions) {
  const { bases, signal } = options;
  const recorded = await readRecordedBase(source, image, { signal });
  const isKnown = (given: FoundBase | undefined) => given !== undefined || recorded?.digest !== undefined;
  if (!isKnown(options.old) || (options.fresh === undefined && recorded === undefined)) {
    throw new ToolError('REBASE_BASE_UNKNOWN', 'the image does not say which base it was built on', {
      hint: 'say both: --old-base NAME --new-base NAME',
    });
  }
  const name = recorded?.name ?? '';
  const old = options.old ?? (await oldBase(name, recorded?.digest, options));
  const fresh = options.fresh ?? (await bases.current(baseReference(name), { signal }));
  const oldName = fullName(recorded?.name) ?? options.old?.name;
  return {
    old,
    fresh,
    oldRecord: { ...(oldName === undefined ? {} : { name: oldName }), digest: recorded?.digest ?? old.root.digest },
    freshRecord: { ...newName(fresh, oldName), digest: fresh.root.digest },
  };
}

async function oldBase(name: string, digest: Digest | undefined, { bases, signal }: RebaseOptions): Promise<FoundBase> {
  const found = digest === undefined ? undefined : await bases.recorded(baseReference(name), digest, { signal });
  if (found !== undefined) return found;
  throw new NotFoundError(
    'REBASE_BASE_GONE',
    `the base that the image was built on, ${name}@${digest}, is not at its registry any more`,
    {
      hint: 'name an image with the same layers: --old-base NAME; or build the image again',
    },
  );
}

/** A folder or an archive is no name for others: the image keeps the one it has. */
function newName({ name }: FoundBase, before: string | undefined): { readonly name?: string } {
  const isPlain = !/^(?:oci|oci-archive|docker-archive):/.test(name) && !name.startsWith('sha256:');
  if (isPlain) return { name };
  return before === undefined ? {} : { name: before };
}

function fullName(name: string | undefined): string | undefined {
  if (name === undefined || /^(?:bootstrap|oci):/.test(name)) return name;
  return formatReference(withDefaultTag(baseReference(name)));
}

async function placeOf(
  { content, root, isNear }: Omit<FoundBase, 'name'>,
  { platform, signal }: RebaseOptions,
): Promise<ImagePlace> {
  return { content, image: await openImage(content, root, { signal, platform: platform ?? anyPlatform }), isNear };
}

/** New documents from memory, layers from where they are. */
function contentOf(
  planned: readonly PlannedImage[],
  index?: { readonly descriptor: Descriptor; readonly bytes: Uint8Array },
): ReadableContent {
  const documents = new Map<Digest, Uint8Array>();
  const places = new Map<Digest, ReadableContent>();
  if (index !== undefined) documents.set(index.descriptor.digest, index.bytes);
  for (const { rebased, own, fresh } of planned) {
    // An image that lies on the new base already comes with the others as it is.
    for (const { digest } of [own.image.descriptor, own.image.manifest.config]) places.set(digest, own.content);
    for (const { descriptor } of own.image.layers) places.set(descriptor.digest, own.content);
    if (rebased === undefined) continue;
    for (const { descriptor } of fresh.image.layers) {
      if (!places.has(descriptor.digest)) places.set(descriptor.digest, fresh.content);
    }
    documents.set(rebased.config.descriptor.digest, rebased.config.bytes);
    documents.set(rebased.descriptor.digest, rebased.manifest);
  }
  return {
    has: async ({ digest }) => documents.has(digest) || places.has(digest),
    async read(descriptor, options) {
      const { digest } = descriptor;
      const bytes = documents.get(digest);
      if (bytes !== undefined) return streamOf(bytes.subarray(options?.from ?? 0));
      const place = places.get(digest);
      if (place === undefined) throw new NotFoundError('BLOB_NOT_FOUND', `${digest} is no part of the rebased image`);
      return place.read(descriptor, options);
    },
  };
}

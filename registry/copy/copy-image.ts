import {
  type CallOptions,
  childrenOf,
  type Descriptor,
  type Digest,
  isIndexType,
  limiter,
  mapConcurrent,
  maxManifestBytes,
  type Platform,
  parseIndex,
  type ReadableContent,
  type ReferrerKeeper,
  type ReferrerLister,
  readVerified,
  selectPlatform,
  streamOf,
  type Target,
  ToolError,
} from '../../core/index.ts';
import { checkNotSchema1, isForeignLayer, isManifestLike } from '../manifest-type.ts';
import { type BlobEvent, copyBlob } from './copy-blob.ts';
import { locatedError } from './copy-error.ts';
import { type ForeignLayers, foreignContent } from './foreign-layers.ts';
import { childrenForPlatforms } from './platform-children.ts';

export type CopyEvent = BlobEvent;

export interface CopyOptions extends CallOptions {
  /** Blobs on their way at once; 4 unless said. */
  readonly concurrency?: number;
  readonly onEvent?: (event: CopyEvent) => void;
  /** Repositories of the destination's registry that may have the blobs already, the likeliest first. */
  readonly mountFrom?: string | readonly string[];
  /** Of an index, only the image for this platform; the destination gets that image instead of the index. */
  readonly platform?: Platform;
  /**
   * Of an index, only the images for these platforms and what attests to them. The index keeps its bytes and so its
   * digest; at the destination it is sparse, which not every registry takes.
   */
  readonly platforms?: readonly Platform[];
  /** Also what refers to the image, or to one of the images of an index: signatures, SBOMs. */
  readonly referrers?: boolean;
  /** Layers that are not to be redistributed: left where they are unless said. */
  readonly foreignLayers?: ForeignLayers;
}

const defaultConcurrency = 4;
const maxDepth = 4;
/** Of one image, those of its referrers included. */
const maxReferrers = 10_000;

/**
 * Copies an image, an artifact, or an index with all its images, between any two places: children before parents, what
 * is there skipped, identical content once, blobs side by side. Nothing becomes visible before its digest and size were
 * verified, and manifests keep their bytes. A `subject` is not followed: the weak link may point at nothing.
 * @returns the root as it is at the destination
 * @throws IntegrityError; NotFoundError; ToolError of either place, with the blob and the places in its sentence
 */
export async function copyImage(
  source: ReadableContent,
  destination: Target,
  root: Descriptor,
  options: CopyOptions = {},
): Promise<Descriptor> {
  const chosen = await choose(source, root, options, 0);
  const copy = new Copy(source, destination, options);
  await copy.run(chosen, 0, options);
  if (options.referrers === true) await copy.referrers(options);
  return chosen;
}

async function choose(
  source: ReadableContent,
  root: Descriptor,
  options: CopyOptions,
  depth: number,
): Promise<Descriptor> {
  checkNotSchema1(root);
  if (options.platform === undefined || !isIndexType(root.mediaType)) return root;
  if (depth > maxDepth) throw tooDeep(root);
  const bytes = await readVerified(source, root, { signal: options.signal, maxBytes: maxManifestBytes });
  return choose(source, selectPlatform(parseIndex(bytes), options.platform), options, depth + 1);
}

class Copy {
  readonly #source: ReadableContent;
  readonly #destination: Target;
  readonly #options: CopyOptions;
  readonly #mountFrom: readonly string[];
  readonly #limit: <R>(task: () => Promise<R>) => Promise<R>;
  /** What was begun, by digest and type: in one copy nothing goes twice. */
  readonly #begun = new Map<string, Promise<void>>();
  /** Every manifest and index that was met, in the order they were. */
  readonly #manifests = new Set<Digest>();

  constructor(source: ReadableContent, destination: Target, options: CopyOptions) {
    this.#source = source;
    this.#destination = destination;
    this.#options = options;
    this.#mountFrom = typeof options.mountFrom === 'string' ? [options.mountFrom] : (options.mountFrom ?? []);
    this.#limit = limiter(options.concurrency ?? defaultConcurrency);
  }

  run(descriptor: Descriptor, depth: number, call: CallOptions): Promise<void> {
    const key = `${descriptor.digest} ${descriptor.size} ${descriptor.mediaType}`;
    let begun = this.#begun.get(key);
    if (begun === undefined) {
      begun = this.#located(descriptor, () =>
        isManifestLike(descriptor) ? this.#manifest(descriptor, depth, call) : this.#blob(descriptor, call),
      );
      this.#begun.set(key, begun);
    }
    return begun;
  }

  /** What refers to the manifests that were copied, and what refers to that. */
  async referrers(call: CallOptions): Promise<void> {
    const source = this.#source;
    if (!isReferrerLister(source)) return;
    // A set that grows while it is walked is walked to its new end.
    for (const subject of this.#manifests) {
      for (const { mediaType, digest, size } of await source.referrers(subject, { signal: call.signal })) {
        const referrer = { mediaType, digest, size };
        if (!isManifestLike(referrer) || this.#manifests.has(digest)) continue;
        if (this.#manifests.size > maxReferrers) throw tooManyReferrers();
        await this.run(referrer, 0, call);
        if (isReferrerKeeper(this.#destination)) await this.#destination.keepReferrer(referrer, call);
      }
    }
  }

  async #manifest(descriptor: Descriptor, depth: number, call: CallOptions): Promise<void> {
    if (depth > maxDepth) throw tooDeep(descriptor);
    this.#manifests.add(descriptor.digest);
    const isIndex = isIndexType(descriptor.mediaType);
    const isThere = await this.#destination.has(descriptor, call);
    // An index may be there without all of its images: those are looked at one by one.
    if (isThere && !isIndex) return this.#tell('skip', descriptor);
    const bytes = await readVerified(this.#source, descriptor, { signal: call.signal, maxBytes: maxManifestBytes });
    const children = this.#wanted(descriptor, bytes);
    await mapConcurrent(children, { concurrency: 64, signal: call.signal }, (child, options) =>
      this.run(child, depth + 1, options),
    );
    if (isThere) return this.#tell('skip', descriptor);
    this.#tell('start', descriptor);
    await this.#destination.write(descriptor, streamOf(bytes), call);
    this.#tell('done', descriptor);
  }

  #wanted(descriptor: Descriptor, bytes: Uint8Array): readonly Descriptor[] {
    const { platforms, foreignLayers = 'leave' } = this.#options;
    const children = childrenOf(descriptor.mediaType, bytes);
    for (const child of children) checkNotSchema1(child);
    if (isIndexType(descriptor.mediaType)) {
      return platforms === undefined ? children : childrenForPlatforms(children, platforms);
    }
    return foreignLayers === 'leave' ? children.filter((child) => !isForeignLayer(child)) : children;
  }

  #blob(descriptor: Descriptor, call: CallOptions): Promise<void> {
    const { onEvent, foreignLayers = 'leave' } = this.#options;
    const source = isForeignLayer(descriptor) ? foreignContent(this.#source, foreignLayers) : this.#source;
    return this.#limit(() =>
      copyBlob(source, this.#destination, descriptor, {
        signal: call.signal,
        mountFrom: this.#mountFrom,
        ...(onEvent === undefined ? {} : { onEvent }),
      }),
    );
  }

  async #located(descriptor: Descriptor, task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      throw locatedError(error, descriptor, { from: this.#source, to: this.#destination });
    }
  }

  #tell(type: 'skip' | 'start' | 'done', descriptor: Descriptor): void {
    this.#options.onEvent?.({ type, descriptor });
  }
}

function isReferrerLister(content: ReadableContent): content is ReadableContent & ReferrerLister {
  return 'referrers' in content && typeof content.referrers === 'function';
}

function isReferrerKeeper(target: Target): target is Target & ReferrerKeeper {
  return 'keepReferrer' in target && typeof target.keepReferrer === 'function';
}

function tooDeep({ digest }: Descriptor): ToolError {
  return new ToolError('MANIFEST_INVALID', `${digest} lies deeper than ${maxDepth} indexes in one another`);
}

function tooManyReferrers(): ToolError {
  return new ToolError('MANIFEST_INVALID', `more than ${maxReferrers} manifests refer to the image`, {
    hint: 'copy it without what refers to it',
  });
}

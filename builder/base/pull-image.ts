import {
  type CallOptions,
  type Descriptor,
  type Digest,
  formatPlatform,
  formatReference,
  type Image,
  isIndexType,
  maxManifestBytes,
  openImage,
  type Platform,
  parseIndex,
  type Reference,
  readVerified,
  samePlatform,
  selectPlatform,
  withDefaultTag,
} from '../../core/index.ts';
import { type CopyEvent, type CopyOptions, copyImage, type ForeignLayers } from '../../registry/index.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { rememberBlobPlaces } from './blob-places.ts';
import { LayerArrivals } from './layer-arrivals.ts';
import { registryDigestOf, rememberOrigin } from './origins.ts';

export interface PullOptions extends CallOptions {
  readonly platform: Platform;
  /** What the tag is to mean, whatever it means at the registry now: a lock file's answer. */
  readonly at?: Digest;
  readonly onEvent?: (event: CopyEvent) => void;
  /** Blobs on their way at once. */
  readonly concurrency?: number;
  /** Refused unless said: an image without them is of no use here. */
  readonly foreignLayers?: ForeignLayers;
  /** Makes the root file system too, each layer as soon as it is here. */
  readonly unpack?: boolean;
}

export interface PulledImage {
  readonly name: string;
  /** What the name means at the registry: an index, or the image itself. */
  readonly registryDigest: Descriptor['digest'];
  /** Bytes of that manifest or index. */
  readonly registrySize: number;
  readonly image: Image;
  /** False when everything was here already. */
  readonly moved: boolean;
}

/** As `PulledImage`, of an index with all its images. */
export type PulledIndex = Omit<PulledImage, 'image'>;

/**
 * Brings one platform's image into the store under its full name. What is here already is not fetched again, and what
 * came of a layer before an earlier pull broke off neither.
 * @throws NotFoundError REFERENCE_NOT_FOUND, PLATFORM_NOT_FOUND; ToolError REGISTRY_*, LAYER_FOREIGN
 */
export async function pullImage(workshop: Workshop, reference: Reference, options: PullOptions): Promise<PulledImage> {
  const wanted = withDefaultTag(reference);
  const name = formatReference(wanted);
  const { content, records } = workshop;
  const remote = workshop.repository(wanted);
  const top = await remote.resolve(options.at ?? wanted.digest ?? wanted.tag ?? 'latest', options);

  const local = await findLocalImage(workshop, name, options);
  if (local !== undefined && (await registryDigestOf(records, name, local.descriptor.digest)) === top.digest) {
    if (options.unpack) await workshop.snapshotOf(local.layers, options);
    return { name, registryDigest: top.digest, registrySize: top.size, image: local, moved: false };
  }
  const child = isIndexType(top.mediaType)
    ? selectPlatform(
        parseIndex(await readVerified(remote, top, { signal: options.signal, maxBytes: maxManifestBytes })),
        options.platform,
      )
    : top;
  const image = options.unpack
    ? await copyAndUnpack(workshop, remote, child, options)
    : await openImage(content, await copyImage(remote, content, child, copyOptions(options)), options);
  const root = image.descriptor;
  // A push to another repository of the registry can take them from here.
  await rememberBlobPlaces(
    records,
    wanted,
    image.layers.map((layer) => layer.descriptor.digest),
  );
  await rememberOrigin(records, { name, localDigest: root.digest, registryDigest: top.digest });
  await content.tag(root, name, options);
  if (!samePlatform(image.config, options.platform)) {
    const wantedPlatform = formatPlatform(options.platform);
    workshop.options.onWarning(`${name} is for ${formatPlatform(image.config)}, not for ${wantedPlatform}`);
  }
  return { name, registryDigest: top.digest, registrySize: top.size, image, moved: true };
}

/**
 * Brings what a name means at the registry into the store as it is: an index with its images, or the image there is.
 * @param options.platforms of an index only the images for these; it keeps its digest. All unless said
 * @throws as pullImage
 */
export async function pullIndex(
  workshop: Workshop,
  reference: Reference,
  options: Omit<PullOptions, 'platform' | 'unpack' | 'at'> & { readonly platforms?: readonly Platform[] },
): Promise<PulledIndex> {
  const wanted = withDefaultTag(reference);
  const name = formatReference(wanted);
  const { content, records } = workshop;
  const remote = workshop.repository(wanted);
  const descriptor = await remote.resolve(wanted.digest ?? wanted.tag ?? 'latest', options);
  const before = await findLocal(workshop, name, options);
  let moved = before?.digest !== descriptor.digest;
  const onEvent = (event: CopyEvent): void => {
    if (event.type === 'done') moved = true;
    options.onEvent?.(event);
  };
  const { platforms } = options;
  await copyImage(remote, content, descriptor, {
    ...copyOptions({ ...options, onEvent }),
    ...(platforms === undefined ? {} : { platforms }),
  });
  await rememberOrigin(records, { name, localDigest: descriptor.digest, registryDigest: descriptor.digest });
  await content.tag(descriptor, name, options);
  return { name, registryDigest: descriptor.digest, registrySize: descriptor.size, moved };
}

/** Unpacking begins with the lowest layer as soon as it is here, and waits for the next one where that is not. */
async function copyAndUnpack(
  workshop: Workshop,
  remote: ReturnType<Workshop['repository']>,
  root: Descriptor,
  options: PullOptions,
): Promise<Image> {
  const image = await openImage(remote, root, options);
  const stop = new AbortController();
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
  const arrivals = new LayerArrivals();
  const onEvent = (event: CopyEvent): void => {
    arrivals.note(event);
    options.onEvent?.(event);
  };
  const copying = copyImage(remote, workshop.content, root, { ...copyOptions(options), onEvent, signal });
  const unpacking = workshop.snapshotOf(image.layers, {
    signal,
    ready: (descriptor) => arrivals.of(descriptor, { signal }),
  });
  // Neither may be left running: the first that fails ends the other.
  const settled = await Promise.allSettled(
    [copying, unpacking].map((work) =>
      work.catch((error: unknown) => {
        stop.abort(error);
        throw error;
      }),
    ),
  );
  options.signal?.throwIfAborted();
  if (stop.signal.aborted) throw stop.signal.reason;
  for (const outcome of settled) if (outcome.status === 'rejected') throw outcome.reason;
  return image;
}

function copyOptions({ signal, onEvent, concurrency, foreignLayers = 'refuse' }: Partial<PullOptions>): CopyOptions {
  return {
    signal,
    foreignLayers,
    ...(onEvent === undefined ? {} : { onEvent }),
    ...(concurrency === undefined ? {} : { concurrency }),
  };
}

/** The image under a full name, or undefined: also when it is one for another platform, pulled on purpose. */
export async function findLocalImage(
  workshop: Workshop,
  name: string,
  options: CallOptions & { readonly platform: Platform },
): Promise<Image | undefined> {
  const local = await findLocal(workshop, name, options);
  if (local === undefined) return undefined;
  const image = await openImage(workshop.content, local, options);
  const { os, architecture, variant } = image.config;
  const { platform } = options;
  // Many configs leave the variant out.
  const isSameVariant = variant === undefined || platform.variant === undefined || variant === platform.variant;
  return os === platform.os && architecture === platform.architecture && isSameVariant ? image : undefined;
}

/** The descriptor under a full name, or undefined. */
export async function findLocal(
  workshop: Workshop,
  name: string,
  options: CallOptions = {},
): Promise<Descriptor | undefined> {
  options.signal?.throwIfAborted();
  return (await workshop.content.list()).find((entry) => entry.name === name)?.descriptor;
}

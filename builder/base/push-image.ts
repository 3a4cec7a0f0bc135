import {
  type CallOptions,
  childrenOf,
  type Descriptor,
  type Digest,
  formatReference,
  isIndexType,
  layerCompression,
  maxManifestBytes,
  NotFoundError,
  type ReadableContent,
  type Reference,
  readVerified,
  withDefaultTag,
} from '../../core/index.ts';
import { type Compression, type CopyEvent, compressedImage, copyImage } from '../../registry/index.ts';
import { decompressed } from '../../runtime/index.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { rememberBlobPlaces } from './blob-places.ts';
import { compressedLayers } from './compressed-layers.ts';
import { rememberOrigin } from './origins.ts';
import { findLocal } from './pull-image.ts';
import { PushDestination } from './push-destination.ts';

export interface PushOptions extends CallOptions {
  /** An image of the store; the one that has the name unless said. */
  readonly image?: Descriptor;
  /** gzip unless said. */
  readonly compression?: Compression;
  /** Layers on their way at once. */
  readonly concurrency?: number;
  /** Of layers by what they are in the store. */
  readonly onEvent?: (event: CopyEvent) => void;
}

export interface PushedImage {
  readonly name: string;
  /** The manifest as the registry has it now. */
  readonly descriptor: Descriptor;
}

/**
 * Sends a local image to the registry in the name. Layers that were built here are compressed on the way, those that
 * were pulled keep their bytes; what the registry has is skipped, or taken over from another repository of it.
 * @throws NotFoundError IMAGE_NOT_FOUND; ToolError REGISTRY_*
 */
export async function pushImage(workshop: Workshop, reference: Reference, options: PushOptions): Promise<PushedImage> {
  const wanted = withDefaultTag(reference);
  const name = formatReference(wanted);
  const local = options.image ?? (await findLocal(workshop, name, options));
  if (local === undefined) throw imageNotFound(name);
  const destination = new PushDestination(workshop, wanted);
  const { content, root } = await sendLayers(workshop, local, destination, options);
  const { signal, onEvent, concurrency } = options;
  const told = destination.seen();
  const digests = await layersOf(content, root, options);
  const places = await Promise.all(digests.map((digest) => destination.mountSources(digest)));
  await copyImage(content, destination, root, {
    signal,
    mountFrom: [...new Set(places.flat())],
    ...(concurrency === undefined ? {} : { concurrency }),
    onEvent: (event) => {
      if (event.type !== 'skip' || !told.has(event.descriptor.digest)) onEvent?.(event);
    },
  });
  await destination.tag(root, wanted.tag ?? root.digest, options);
  await rememberBlobPlaces(workshop.records, wanted, digests);
  if (options.image === undefined) {
    await rememberOrigin(workshop.records, { name, localDigest: local.digest, registryDigest: root.digest });
  }
  return { name, descriptor: root };
}

/** The image as it is to be at the registry; the layers that had to be packed for that are there already. */
async function sendLayers(
  workshop: Workshop,
  local: Descriptor,
  destination: PushDestination,
  { signal, compression, concurrency, onEvent }: PushOptions,
): Promise<{ readonly content: ReadableContent; readonly root: Descriptor }> {
  return compressedImage(workshop.content, local, {
    signal,
    destination,
    decompress: decompressed,
    platform: workshop.options.platform,
    remembered: compressedLayers(workshop),
    mountSources: (form) => destination.mountSources(form.digest),
    alone: (key, call) => destination.alone(key, call),
    scratch: async () => (await (await workshop.scratch()).make('push')).path,
    ...(compression === undefined ? {} : { compression }),
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(onEvent === undefined ? {} : { onEvent }),
  });
}

/** Digests of an image's layers, or of those of all images of an index, each once. */
async function layersOf(content: ReadableContent, root: Descriptor, { signal }: CallOptions): Promise<Digest[]> {
  const bytes = await readVerified(content, root, { signal, maxBytes: maxManifestBytes });
  const children = childrenOf(root.mediaType, bytes);
  if (!isIndexType(root.mediaType)) {
    return [...new Set(children.filter(({ mediaType }) => layerCompression(mediaType)).map(({ digest }) => digest))];
  }
  const lists: Digest[][] = [];
  for (const child of children) {
    if (await content.has(child, { signal })) lists.push(await layersOf(content, child, { signal }));
  }
  return [...new Set(lists.flat())];
}

export function imageNotFound(name: string): NotFoundError {
  return new NotFoundError('IMAGE_NOT_FOUND', `there is no image ${name} in the store`, {
    hint: 'see `kiln images` for what there is; build or pull it first',
  });
}

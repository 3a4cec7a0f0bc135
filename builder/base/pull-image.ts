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
import { type CopyEvent, copyImage } from '../../registry/index.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { registryDigestOf, rememberOrigin } from './origins.ts';

export interface PullOptions extends CallOptions {
  readonly platform: Platform;
  /** What the tag is to mean, whatever it means at the registry now: a lock file's answer. */
  readonly at?: Digest;
  readonly onEvent?: (event: CopyEvent) => void;
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

/**
 * Brings one platform's image into the store under its full name. What is here already is not fetched again.
 * @throws NotFoundError REFERENCE_NOT_FOUND, PLATFORM_NOT_FOUND; ToolError REGISTRY_*
 */
export async function pullImage(workshop: Workshop, reference: Reference, options: PullOptions): Promise<PulledImage> {
  const wanted = withDefaultTag(reference);
  const name = formatReference(wanted);
  const { content, records } = workshop;
  const remote = workshop.repository(wanted);
  const top = await remote.resolve(options.at ?? wanted.digest ?? wanted.tag ?? 'latest', options);

  const local = await findLocalImage(workshop, name, options);
  if (local !== undefined && (await registryDigestOf(records, name, local.descriptor.digest)) === top.digest) {
    return { name, registryDigest: top.digest, registrySize: top.size, image: local, moved: false };
  }
  const child = isIndexType(top.mediaType)
    ? selectPlatform(
        parseIndex(await readVerified(remote, top, { signal: options.signal, maxBytes: maxManifestBytes })),
        options.platform,
      )
    : top;
  const { onEvent, signal } = options;
  const root = await copyImage(remote, content, child, { signal, ...(onEvent === undefined ? {} : { onEvent }) });
  const image = await openImage(content, root, options);
  await rememberOrigin(records, { name, localDigest: root.digest, registryDigest: top.digest });
  await content.tag(root, name, options);
  if (!samePlatform(image.config, options.platform)) {
    const wantedPlatform = formatPlatform(options.platform);
    workshop.options.onWarning(`${name} is for ${formatPlatform(image.config)}, not for ${wantedPlatform}`);
  }
  return { name, registryDigest: top.digest, registrySize: top.size, image, moved: true };
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

import {
  type CallOptions,
  type Descriptor,
  describe,
  formatPlatform,
  isIndexType,
  isManifestType,
  maxManifestBytes,
  NotFoundError,
  openImage,
  type Platform,
  parseIndex,
  type ReadableContent,
  type ReferrerLister,
  readVerified,
  samePlatform,
  selectPlatform,
  serializeManifest,
  streamOf,
} from '../../core/index.ts';

/** BuildKit: which image of the index an attestation is about. */
const attestedAnnotation = 'vnd.docker.reference.digest';

/** A view of an image: the content, and where in it to begin. */
export interface ImageView {
  readonly content: ReadableContent;
  readonly root: Descriptor;
}

/**
 * Of an index the images for some platforms, with what attests to them: of one platform that image, of several a new
 * index, shorter and with another digest. An image that is no index must be for the one platform.
 * @throws NotFoundError PLATFORM_NOT_FOUND; ToolError MANIFEST_INVALID
 */
export async function chosenPlatforms(
  content: ReadableContent,
  root: Descriptor,
  platforms: readonly Platform[],
  options: CallOptions = {},
): Promise<ImageView> {
  const [first] = platforms;
  if (first === undefined) return { content, root };
  if (!isIndexType(root.mediaType)) {
    for (const platform of platforms) await requirePlatform(content, root, platform, options);
    return { content, root };
  }
  const index = parseIndex(await readVerified(content, root, { ...options, maxBytes: maxManifestBytes }));
  const chosen = new Set(platforms.map((platform) => selectPlatform(index, platform).digest));
  const [only] = chosen;
  if (chosen.size === 1) {
    const child = index.manifests.find(({ digest }) => digest === only);
    if (child === undefined) throw new TypeError('what was selected is gone');
    // An index in an index: what is wanted lies deeper.
    return isIndexType(child.mediaType)
      ? chosenPlatforms(content, child, platforms, options)
      : { content, root: { mediaType: child.mediaType, digest: child.digest, size: child.size } };
  }
  const isKept = ({ digest, annotations }: Descriptor): boolean =>
    chosen.has(digest) || [...chosen].some((attested) => annotations?.[attestedAnnotation] === attested);
  const manifests = index.manifests.filter(isKept);
  if (manifests.length === index.manifests.length) return { content, root };
  const bytes = serializeManifest({ ...index, manifests });
  const shorter = describe(index.mediaType, bytes);
  return { content: withBlob(content, shorter, bytes), root: shorter };
}

async function requirePlatform(
  content: ReadableContent,
  root: Descriptor,
  platform: Platform,
  options: CallOptions,
): Promise<void> {
  if (!isManifestType(root.mediaType)) return;
  const { config } = await openImage(content, root, { ...options, platform });
  if (samePlatform(config, platform)) return;
  // Many configs leave the variant out.
  const { os, architecture, variant } = config;
  if (variant === undefined && os === platform.os && architecture === platform.architecture) return;
  throw new NotFoundError(
    'PLATFORM_NOT_FOUND',
    `the image is one for ${formatPlatform(config)}, not for ${formatPlatform(platform)}`,
  );
}

/** The content with one blob more, which is in memory. */
function withBlob(content: ReadableContent, blob: Descriptor, bytes: Uint8Array): ReadableContent {
  const { referrers } = content as ReadableContent & Partial<ReferrerLister>;
  return {
    ...(referrers === undefined ? {} : { referrers: referrers.bind(content) }),
    has: async (descriptor, options) => descriptor.digest === blob.digest || content.has(descriptor, options),
    read: async (descriptor, options) =>
      descriptor.digest === blob.digest
        ? streamOf(bytes.subarray(options?.from ?? 0))
        : content.read(descriptor, options),
  };
}

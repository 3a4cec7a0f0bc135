import { type Descriptor, isIndexType, isManifestType, mediaTypes, ToolError } from '../core/index.ts';

/** Whether a descriptor names JSON that points at other content, rather than a plain blob. */
export function isManifestLike(descriptor: Pick<Descriptor, 'mediaType'>): boolean {
  return isManifestType(descriptor.mediaType) || isIndexType(descriptor.mediaType);
}

/**
 * Layers that licences forbid to redistribute stay where their `urls` say; they are neither copied nor missed.
 * image-spec, layer.md#non-distributable-layers
 */
export function isForeignLayer(descriptor: Pick<Descriptor, 'mediaType'>): boolean {
  return (
    descriptor.mediaType.startsWith('application/vnd.oci.image.layer.nondistributable.') ||
    descriptor.mediaType === 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'
  );
}

/** @throws ToolError MANIFEST_SCHEMA1 for what Docker retired in 2016, whose layers have no types and sizes */
export function checkNotSchema1({ digest, mediaType }: Pick<Descriptor, 'digest' | 'mediaType'>): void {
  if (!mediaType.startsWith('application/vnd.docker.distribution.manifest.v1+')) return;
  throw new ToolError('MANIFEST_SCHEMA1', `the image ${digest} is in the retired Docker schema 1 format`, {
    hint: 'push it again with a current tool, for example: skopeo copy --format v2s2',
  });
}

/** The media type of bytes that may be a manifest or an index; undefined when they are neither. */
export function manifestTypeOf(bytes: Uint8Array): string | undefined {
  let document: unknown;
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
  if (typeof document !== 'object' || document === null) return undefined;
  if ('mediaType' in document && typeof document.mediaType === 'string') {
    return isManifestLike({ mediaType: document.mediaType }) ? document.mediaType : undefined;
  }
  if (!('schemaVersion' in document)) return undefined;
  if ('manifests' in document && Array.isArray(document.manifests)) return mediaTypes.index;
  return 'layers' in document && Array.isArray(document.layers) ? mediaTypes.manifest : undefined;
}

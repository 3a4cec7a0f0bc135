import { type Digest, parseDigest, sha256 } from './digest.ts';
import { ToolError } from './errors.ts';
import { type Platform, parsePlatformObject } from './platform.ts';

/** Names content by type, digest and size. image-spec, descriptor.md */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly urls?: readonly string[];
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: Platform;
  readonly artifactType?: string;
}

/** image-spec, media-types.md, and Docker's equivalents. */
export const mediaTypes = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
  layerGzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  layerZstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
  empty: 'application/vnd.oci.empty.v1+json',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerManifestList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
  dockerLayerGzip: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  dockerLayer: 'application/vnd.docker.image.rootfs.diff.tar',
  foreignLayer: 'application/vnd.oci.image.layer.nondistributable.v1.tar',
  foreignLayerGzip: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
  foreignLayerZstd: 'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd',
  dockerForeignLayerGzip: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
} as const;

export function isIndexType(mediaType: string): boolean {
  return mediaType === mediaTypes.index || mediaType === mediaTypes.dockerManifestList;
}

export function isManifestType(mediaType: string): boolean {
  return mediaType === mediaTypes.manifest || mediaType === mediaTypes.dockerManifest;
}

/** How the bytes of a layer blob are packed; undefined for a type that is not a layer. */
export function layerCompression(mediaType: string): 'none' | 'gzip' | 'zstd' | undefined {
  switch (mediaType) {
    case mediaTypes.layer:
    case mediaTypes.dockerLayer:
    case mediaTypes.foreignLayer:
      return 'none';
    case mediaTypes.layerGzip:
    case mediaTypes.dockerLayerGzip:
    case mediaTypes.foreignLayerGzip:
    case mediaTypes.dockerForeignLayerGzip:
      return 'gzip';
    case mediaTypes.layerZstd:
    case mediaTypes.foreignLayerZstd:
      return 'zstd';
    default:
      return undefined;
  }
}

/** Describes bytes that are at hand. */
export function describe(mediaType: string, bytes: Uint8Array): Descriptor {
  return { mediaType, digest: sha256(bytes), size: bytes.byteLength };
}

/**
 * Reads a descriptor out of hostile JSON.
 * @throws ToolError DESCRIPTOR_INVALID, DIGEST_INVALID
 */
export function parseDescriptor(value: unknown): Descriptor {
  const { mediaType, digest, size, urls, annotations, platform, artifactType } = asRecord(value, 'descriptor');
  if (
    typeof mediaType !== 'string' ||
    !/^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$/.test(mediaType)
  ) {
    throw new ToolError('DESCRIPTOR_INVALID', `a descriptor has no usable mediaType: ${JSON.stringify(mediaType)}`);
  }
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    throw new ToolError(
      'DESCRIPTOR_INVALID',
      `a descriptor of type ${mediaType} has no usable size: ${JSON.stringify(size)}`,
    );
  }
  return {
    mediaType,
    digest: parseDigest(digest),
    size,
    ...(Array.isArray(urls) ? { urls: urls.filter((url) => typeof url === 'string') } : {}),
    ...(annotations === undefined ? {} : { annotations: parseAnnotations(annotations) }),
    ...(platform === undefined ? {} : { platform: parsePlatformObject(platform) }),
    ...(typeof artifactType === 'string' ? { artifactType } : {}),
  };
}

/** @throws ToolError DESCRIPTOR_INVALID */
export function parseAnnotations(value: unknown): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [key, text] of Object.entries(asRecord(value, 'annotations'))) {
    if (typeof text !== 'string') throw new ToolError('DESCRIPTOR_INVALID', `annotation ${key} is not a string`);
    result[key] = text;
  }
  return result;
}

/** @throws ToolError DESCRIPTOR_INVALID */
export function asRecord(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ToolError('DESCRIPTOR_INVALID', `expected ${what} to be a JSON object`);
  }
  return value as Record<string, unknown>;
}

import {
  type CallOptions,
  type Descriptor,
  describe,
  isIndexType,
  isManifestType,
  type Manifest,
  maxManifestBytes,
  mediaTypes,
  type Platform,
  parseIndex,
  parseManifest,
  type ReadableContent,
  readVerified,
  selectPlatform,
  serializeManifest,
  ToolError,
} from '../../core/index.ts';
import { type ArtifactTitle, parseArtifactTitle } from './artifact-title.ts';

/** What oras says of an artifact whose type nobody named. */
export const unknownArtifactType = 'application/vnd.unknown.artifact.v1';

/** Annotations by which oras tells what a layer is on disk. */
export const artifactAnnotations = {
  title: 'org.opencontainers.image.title',
  /** `true`: the layer is a tar.gz of a folder. */
  unpack: 'io.deis.oras.content.unpack',
  /** Digest of the tar within. */
  tarDigest: 'io.deis.oras.content.digest',
} as const;

/** image-spec, manifest.md#guidance-for-an-empty-descriptor */
export const emptyBlob: { readonly descriptor: Descriptor; readonly bytes: Uint8Array } = {
  bytes: Buffer.from('{}'),
  descriptor: describe(mediaTypes.empty, Buffer.from('{}')),
};

export interface ArtifactParts {
  readonly artifactType?: string;
  /** The empty one unless said. */
  readonly config?: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface PackedArtifact {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  /** Blobs that the manifest names and nobody brought: the empty one, or none. */
  readonly needsEmpty: boolean;
}

/**
 * Makes a manifest of files. Equal parts, equal digest: nothing of the time or the machine gets in.
 * image-spec, manifest.md#guidelines-for-artifact-usage
 * @throws ToolError ARTIFACT_TYPE_INVALID
 */
export function packArtifact(parts: ArtifactParts): PackedArtifact {
  const { subject, annotations = {} } = parts;
  const hasConfig = parts.config !== undefined && parts.config.mediaType !== mediaTypes.empty;
  const artifactType = parts.artifactType ?? (hasConfig ? undefined : unknownArtifactType);
  if (artifactType !== undefined) checkMediaType(artifactType, 'an artifact');
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    ...(artifactType === undefined ? {} : { artifactType }),
    config: parts.config ?? emptyBlob.descriptor,
    // Registries refuse a manifest without layers.
    layers: parts.layers.length === 0 ? [emptyBlob.descriptor] : parts.layers,
    ...(subject === undefined ? {} : { subject: plainDescriptor(subject) }),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
  const bytes = serializeManifest(manifest);
  if (bytes.byteLength > maxManifestBytes) {
    throw new ToolError('ARTIFACT_TOO_LARGE', `the artifact’s manifest has ${bytes.byteLength} bytes, too many`, {
      hint: 'put files into a folder, which becomes one layer',
    });
  }
  const descriptor = describe(manifest.mediaType, bytes);
  return {
    descriptor: artifactType === undefined ? descriptor : { ...descriptor, artifactType },
    bytes,
    needsEmpty: parts.layers.length === 0 || parts.config === undefined,
  };
}

/** @throws ToolError ARTIFACT_TYPE_INVALID */
export function checkMediaType(text: string, what: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$/.test(text)) return text;
  throw new ToolError('ARTIFACT_TYPE_INVALID', `${JSON.stringify(text)} is not a media type for ${what}`, {
    hint: 'write it as application/vnd.example.sbom+json',
  });
}

/** A layer that is a file or folder on disk. */
export interface ArtifactFile {
  readonly descriptor: Descriptor;
  readonly title: ArtifactTitle;
  readonly isFolder: boolean;
}

export interface OpenedArtifact {
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
  readonly files: readonly ArtifactFile[];
  /** Layers without a title: nobody said what they are called. */
  readonly unnamed: readonly Descriptor[];
}

/**
 * Reads an artifact's manifest; out of an index it takes the one for `platform`.
 * @throws NotFoundError PLATFORM_NOT_FOUND; IntegrityError; ToolError MANIFEST_INVALID, ARTIFACT_TITLE_UNSAFE
 */
export async function openArtifact(
  content: ReadableContent,
  root: Descriptor,
  options: CallOptions & { readonly platform?: Platform } = {},
): Promise<OpenedArtifact> {
  const { descriptor, bytes } = await selectManifest(content, root, options);
  if (!isManifestType(descriptor.mediaType)) {
    throw new ToolError(
      'MANIFEST_INVALID',
      `${descriptor.digest} is ${descriptor.mediaType}, not a manifest with files`,
      {
        hint: 'it is an index: choose one of its manifests with --platform, or by its digest',
      },
    );
  }
  const manifest = parseManifest(bytes);
  const files: ArtifactFile[] = [];
  const unnamed: Descriptor[] = [];
  for (const layer of manifest.layers) {
    const title = layer.annotations?.[artifactAnnotations.title];
    if (layer.mediaType === mediaTypes.empty && title === undefined) continue;
    if (title === undefined || title === '') unnamed.push(layer);
    else files.push({ descriptor: layer, title: parseArtifactTitle(title), isFolder: isPackedFolder(layer) });
  }
  return { descriptor, manifest, files: distinct(files), unnamed };
}

/** The manifest itself; of an index with a platform, that platform's. */
export async function selectManifest(
  content: Pick<ReadableContent, 'read'>,
  root: Descriptor,
  options: CallOptions & { readonly platform?: Platform } = {},
): Promise<{ readonly descriptor: Descriptor; readonly bytes: Buffer }> {
  let descriptor = root;
  for (let depth = 0; ; depth++) {
    const bytes = await readVerified(content, descriptor, { signal: options.signal, maxBytes: maxManifestBytes });
    if (options.platform === undefined || !isIndexType(descriptor.mediaType)) return { descriptor, bytes };
    if (depth > 4)
      throw new ToolError('MANIFEST_INVALID', `${root.digest} has indexes more than 4 deep in one another`);
    descriptor = selectPlatform(parseIndex(bytes), options.platform);
  }
}

/** As a manifest names its subject: what lists say about it is no part of that. */
export function plainDescriptor({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}

function isPackedFolder({ annotations }: Descriptor): boolean {
  return annotations?.[artifactAnnotations.unpack] === 'true';
}

/** Two layers for one name: which of them is meant, only whoever made them knows. The same twice is no question. */
function distinct(files: readonly ArtifactFile[]): ArtifactFile[] {
  const byTitle = new Map<string, ArtifactFile>();
  for (const file of files) {
    const other = byTitle.get(file.title);
    if (other !== undefined && other.descriptor.digest !== file.descriptor.digest) {
      throw new ToolError('ARTIFACT_TITLE_UNSAFE', `two layers of the artifact are both called ${file.title}`);
    }
    byTitle.set(file.title, file);
  }
  return [...byTitle.values()];
}

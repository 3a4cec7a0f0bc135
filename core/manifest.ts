import {
  asRecord,
  type Descriptor,
  isIndexType,
  isManifestType,
  mediaTypes,
  parseAnnotations,
  parseDescriptor,
} from './descriptor.ts';
import { ToolError } from './errors.ts';

/** image-spec, manifest.md */
export interface Manifest {
  readonly schemaVersion: 2;
  readonly mediaType: string;
  readonly artifactType?: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** image-spec, image-index.md */
export interface Index {
  readonly schemaVersion: 2;
  readonly mediaType: string;
  readonly artifactType?: string;
  readonly manifests: readonly Descriptor[];
  readonly subject?: Descriptor;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Larger manifests are refused unread: distribution-spec asks registries for 4 MiB. */
export const maxManifestBytes = 4 * 1024 * 1024;

/**
 * Parses an image manifest out of hostile bytes.
 * @throws ToolError MANIFEST_INVALID, MANIFEST_SCHEMA1, DESCRIPTOR_INVALID, DIGEST_INVALID
 */
export function parseManifest(bytes: Uint8Array): Manifest {
  const document = parseDocument(bytes);
  const mediaType = document.mediaType ?? mediaTypes.manifest;
  if (typeof mediaType !== 'string' || !isManifestType(mediaType)) throw unexpectedType('an image manifest', mediaType);
  if (!Array.isArray(document.layers)) throw new ToolError('MANIFEST_INVALID', 'the manifest has no list of layers');
  if ('manifests' in document) throw new ToolError('MANIFEST_INVALID', 'the manifest claims to be an index as well');
  return {
    ...common(document),
    mediaType,
    config: parseDescriptor(document.config),
    layers: document.layers.map(parseDescriptor),
  };
}

/**
 * Parses an image index out of hostile bytes.
 * @throws ToolError as parseManifest
 */
export function parseIndex(bytes: Uint8Array): Index {
  const document = parseDocument(bytes);
  const mediaType = document.mediaType ?? mediaTypes.index;
  if (typeof mediaType !== 'string' || !isIndexType(mediaType)) throw unexpectedType('an image index', mediaType);
  if (!Array.isArray(document.manifests)) throw new ToolError('MANIFEST_INVALID', 'the index has no list of manifests');
  if ('layers' in document) throw new ToolError('MANIFEST_INVALID', 'the index claims to be an image manifest as well');
  return { ...common(document), mediaType, manifests: document.manifests.map(parseDescriptor) };
}

/** The bytes of a manifest or index Kiln writes: fixed key order, sorted annotations; equal content, equal digest. */
export function serializeManifest(manifest: Manifest | Index): Uint8Array {
  const { schemaVersion, mediaType, artifactType, subject, annotations } = manifest;
  const content =
    'layers' in manifest ? { config: manifest.config, layers: manifest.layers } : { manifests: manifest.manifests };
  const document = {
    schemaVersion,
    mediaType,
    artifactType,
    ...content,
    subject,
    annotations: annotations === undefined ? undefined : sortedByKey(annotations),
  };
  return new TextEncoder().encode(JSON.stringify(document));
}

/** What a manifest or index points at, children before the thing itself. */
export function childrenOf(mediaType: string, bytes: Uint8Array): Descriptor[] {
  if (isIndexType(mediaType)) return [...parseIndex(bytes).manifests];
  if (!isManifestType(mediaType)) return [];
  const manifest = parseManifest(bytes);
  return [...manifest.layers, manifest.config];
}

function sortedByKey(annotations: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(annotations).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function parseDocument(bytes: Uint8Array): Record<string, unknown> {
  if (bytes.byteLength > maxManifestBytes) {
    throw new ToolError(
      'MANIFEST_INVALID',
      `a manifest of ${bytes.byteLength} bytes is over the limit of ${maxManifestBytes}`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new ToolError('MANIFEST_INVALID', 'the manifest is not JSON', { cause });
  }
  const document = asRecord(value, 'a manifest');
  if (document.schemaVersion === 1) {
    throw new ToolError('MANIFEST_SCHEMA1', 'the image is in the retired Docker schema 1 format', {
      hint: 'push it again with a current tool, for example: skopeo copy --format v2s2',
    });
  }
  if (document.schemaVersion !== 2) throw new ToolError('MANIFEST_INVALID', 'the manifest has no schemaVersion 2');
  return document;
}

function common(document: Record<string, unknown>): Omit<Manifest, 'mediaType' | 'config' | 'layers'> {
  return {
    schemaVersion: 2,
    ...(typeof document.artifactType === 'string' ? { artifactType: document.artifactType } : {}),
    ...(document.subject === undefined ? {} : { subject: parseDescriptor(document.subject) }),
    ...(document.annotations === undefined || document.annotations === null
      ? {}
      : { annotations: parseAnnotations(document.annotations) }),
  };
}

function unexpectedType(wanted: string, found: unknown): ToolError {
  return new ToolError('MANIFEST_INVALID', `expected ${wanted}, found ${JSON.stringify(found)}`);
}

import {
  type Descriptor,
  type Digest,
  type Index,
  isIndexType,
  isManifestType,
  type Manifest,
  mediaTypes,
  parseIndex,
  parseManifest,
} from '../../core/index.ts';

/** A manifest that refers to another one, as a list of referrers shows it. */
export interface Referrer {
  readonly subject: Digest;
  readonly entry: Descriptor;
}

/** Undefined for a manifest that has no subject, and for what is none. distribution-spec, #listing-referrers */
export function referrerOf(descriptor: Descriptor, bytes: Uint8Array): Referrer | undefined {
  const document = parsed(descriptor.mediaType, bytes);
  if (document?.subject === undefined) return undefined;
  const { mediaType, digest, size } = descriptor;
  const artifactType = artifactTypeOf(document);
  const { annotations } = document;
  return {
    subject: document.subject.digest,
    entry: {
      mediaType,
      digest,
      size,
      ...(annotations === undefined ? {} : { annotations }),
      ...(artifactType === undefined ? {} : { artifactType }),
    },
  };
}

/** An image without a type of its own is what its config is. image-spec, manifest.md#guidelines-for-artifact-usage */
export function artifactTypeOf(document: Manifest | Index): string | undefined {
  if (document.artifactType !== undefined && document.artifactType !== '') return document.artifactType;
  if (!('config' in document) || document.config.mediaType === mediaTypes.empty) return undefined;
  return document.config.mediaType;
}

function parsed(mediaType: string, bytes: Uint8Array): Manifest | Index | undefined {
  try {
    if (isManifestType(mediaType)) return parseManifest(bytes);
    return isIndexType(mediaType) ? parseIndex(bytes) : undefined;
  } catch {
    // What cannot be read was not made by us, and whoever reads it will be told why.
    return undefined;
  }
}

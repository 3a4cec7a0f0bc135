import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import {
  childrenOf,
  type Descriptor,
  type Digest,
  digestAlgorithm,
  errorCode,
  isIndexType,
  parseDigest,
  parseIndex,
  parseManifest,
} from '../../core/index.ts';
import { isForeignLayer, isManifestLike } from '../manifest-type.ts';
import type { ContentView } from './content-view.ts';
import type { ManifestRecord } from './records.ts';
import { digestInvalid, manifestInvalid, type Problem, RequestError } from './request-error.ts';

/**
 * Reads a manifest or index that somebody pushes. Its bytes are hostile, and kept as they are.
 * @param contentType as the request says it, parameters and all
 * @param wanted the digest it is pushed under; sha256 of the bytes where it is pushed under a tag
 * @throws RequestError MANIFEST_INVALID, DIGEST_INVALID
 */
export function readPushedManifest(
  bytes: Buffer,
  contentType: string | undefined,
  wanted: Digest | undefined,
): ManifestRecord {
  const mediaType = mediaTypeOf(bytes, contentType);
  const algorithm = wanted === undefined ? 'sha256' : digestAlgorithm(wanted);
  const digest = parseDigest(`${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`);
  if (wanted !== undefined && wanted !== digest) throw digestInvalid(`the manifest's digest is ${digest}`);
  try {
    const manifest = isIndexType(mediaType) ? parseIndex(bytes) : parseManifest(bytes);
    const descriptor = { mediaType, digest, size: bytes.byteLength };
    const artifactType =
      manifest.artifactType || ('config' in manifest ? manifest.config.mediaType : undefined) || undefined;
    return {
      manifest: descriptor,
      described: {
        ...descriptor,
        ...(artifactType === undefined ? {} : { artifactType }),
        ...(manifest.annotations === undefined ? {} : { annotations: manifest.annotations }),
      },
      subject: manifest.subject?.digest,
      children: childrenOf(mediaType, bytes).map((child) => child.digest),
    };
  } catch (error) {
    throw manifestInvalid(error);
  }
}

/**
 * A manifest's config and layers must be in its repository, and as large as it says; those that licences forbid to
 * redistribute need not be. An index may be sparse: the platforms that nobody pushed are missing whole.
 * @returns those that must be there
 * @throws RequestError MANIFEST_BLOB_UNKNOWN, MANIFEST_INVALID
 */
export async function checkChildren(
  view: ContentView,
  repository: string,
  mediaType: string,
  bytes: Buffer,
): Promise<readonly Digest[]> {
  if (isIndexType(mediaType)) return [];
  const needed = childrenOf(mediaType, bytes).filter((child) => !isForeignLayer(child));
  const absent: Digest[] = [];
  for (const child of needed) {
    const size = await findSize(view, repository, child);
    if (size === undefined) absent.push(child.digest);
    else if (size !== child.size) {
      const message = `the manifest says that ${child.digest} has ${child.size} bytes; it has ${size}`;
      throw new RequestError(400, { code: 'MANIFEST_INVALID', message });
    }
  }
  if (absent.length > 0) throw blobsMissing(absent);
  return needed.map(({ digest }) => digest);
}

/** Names each of the blobs, or a hundred of them. */
export function blobsMissing(digests: readonly Digest[]): RequestError {
  const message = 'the manifest names a blob unknown to the repository';
  const problems = digests.slice(0, 100).map((digest): Problem => {
    return { code: 'MANIFEST_BLOB_UNKNOWN', message, detail: { digest } };
  });
  return new RequestError(404, problems);
}

async function findSize(view: ContentView, repository: string, child: Descriptor): Promise<number | undefined> {
  if (!(await view.hasBlob(repository, child.digest))) return undefined;
  try {
    return (await stat(view.blobFile(child.digest))).size;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** @throws RequestError MANIFEST_INVALID */
function mediaTypeOf(bytes: Buffer, contentType: string | undefined): string {
  const said = contentType?.split(';', 1)[0]?.trim().toLowerCase();
  const inside = mediaTypeInside(bytes);
  const mediaType = said === undefined || said === '' ? inside : said;
  if (mediaType === undefined || !isManifestLike({ mediaType })) {
    const message = `${JSON.stringify(mediaType?.slice(0, 200) ?? '')} is no media type of manifests that is known here`;
    throw new RequestError(400, { code: 'MANIFEST_INVALID', message });
  }
  if (inside !== undefined && inside !== mediaType) {
    const message = 'the Content-Type is not the mediaType that the manifest has';
    throw new RequestError(400, { code: 'MANIFEST_INVALID', message });
  }
  return mediaType;
}

function mediaTypeInside(bytes: Buffer): string | undefined {
  try {
    const document: unknown = JSON.parse(bytes.toString('utf8'));
    if (typeof document !== 'object' || document === null || !('mediaType' in document)) return undefined;
    return typeof document.mediaType === 'string' ? document.mediaType : undefined;
  } catch {
    throw new RequestError(400, { code: 'MANIFEST_INVALID', message: 'the manifest is not JSON' });
  }
}

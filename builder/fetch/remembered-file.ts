import { stat } from 'node:fs/promises';
import { type CallOptions, type Descriptor, type Digest, errorCode, isDigest } from '../../core/index.ts';
import type { Workshop } from '../workshop/workshop.ts';
import type { Validators } from './download.ts';

/** What a URL gave when it was last asked: kept in `fetches-v1`, by URL. */
export interface RememberedFile {
  readonly url: string;
  readonly digest: Digest;
  readonly validators: Validators;
}

export async function findRemembered(workshop: Workshop, url: string): Promise<RememberedFile | undefined> {
  const record = await workshop.records.read('fetches-v1', url);
  if (typeof record !== 'object' || record === null || !('digest' in record)) return undefined;
  const { digest, validators } = record as { digest: unknown; validators?: Validators };
  if (typeof digest !== 'string' || !isDigest(digest)) return undefined;
  return { url, digest, validators: { ...validators } };
}

export async function remember(workshop: Workshop, file: RememberedFile): Promise<void> {
  await workshop.records.write('fetches-v1', file.url, file);
}

/** The file in the content store, where it came verified; undefined when it is not there. */
export async function storedFile(
  workshop: Workshop,
  digest: Digest,
  options: CallOptions = {},
): Promise<Descriptor | undefined> {
  try {
    const { size } = await stat(workshop.content.blobFile(digest));
    const descriptor = { mediaType: 'application/octet-stream', digest, size };
    return (await workshop.content.has(descriptor, options)) ? descriptor : undefined;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

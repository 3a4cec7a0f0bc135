import { type Digest, isDigest } from '../../core/index.ts';
import type { RecordStore } from '../workshop/record-store.ts';

/**
 * What a local name is called at its registry. The two digests differ when layers were compressed on the way out, or
 * when one platform was taken out of an index.
 */
export interface Origin {
  /** Full reference. */
  readonly name: string;
  readonly localDigest: Digest;
  readonly registryDigest: Digest;
}

export async function rememberOrigin(records: RecordStore, origin: Origin): Promise<void> {
  await records.write('origins-v1', origin.name, origin);
}

/** The registry's digest of a local image, when the image under that name is still the one that was moved. */
export async function registryDigestOf(
  records: RecordStore,
  name: string,
  localDigest: Digest,
): Promise<Digest | undefined> {
  const record = (await records.read('origins-v1', name)) as Partial<Origin> | undefined;
  const { registryDigest } = record ?? {};
  if (record?.localDigest !== localDigest || registryDigest === undefined) return undefined;
  return isDigest(registryDigest) ? registryDigest : undefined;
}

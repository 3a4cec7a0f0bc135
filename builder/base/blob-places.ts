import type { Digest, Reference } from '../../core/index.ts';
import type { RecordStore } from '../workshop/record-store.ts';

/** Asking many repositories for a blob costs more than sending it. */
const maxPlaces = 4;

/** Repositories of a registry that had the blob when it was pulled or pushed last, the latest first. */
export async function blobPlaces(records: RecordStore, registry: string, digest: Digest): Promise<readonly string[]> {
  const record = await records.read('blob-places-v1', `${registry} ${digest}`);
  if (!Array.isArray(record)) return [];
  return record.filter((place) => typeof place === 'string').slice(0, maxPlaces);
}

export async function rememberBlobPlaces(
  records: RecordStore,
  { registry, repository }: Pick<Reference, 'registry' | 'repository'>,
  digests: Iterable<Digest>,
): Promise<void> {
  for (const digest of new Set(digests)) {
    const known = await blobPlaces(records, registry, digest);
    if (known[0] === repository) continue;
    const places = [repository, ...known.filter((place) => place !== repository)].slice(0, maxPlaces);
    await records.write('blob-places-v1', `${registry} ${digest}`, places);
  }
}

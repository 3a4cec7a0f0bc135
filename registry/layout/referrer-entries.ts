import { type CallOptions, type Digest, ToolError } from '../../core/index.ts';
import { type Referrer, referrerOf } from '../artifact/referrer.ts';
import { isManifestLike } from '../manifest-type.ts';
import { layoutDescriptors } from './oci-index.ts';
import type { OciLayoutReader } from './oci-layout-reader.ts';

// A layout has no place of its own for referrers. As ORAS does, each has an entry of its own in index.json, without a
// name; it stays there as long as what it refers to.

/** The referrers that a layout lists in `index.json`, in its order; what cannot be read refers to nothing. */
export async function listedReferrers(layout: OciLayoutReader, options: CallOptions = {}): Promise<Referrer[]> {
  const found = new Map<Digest, Referrer>();
  for (const entry of layoutDescriptors(await layout.readIndex())) {
    options.signal?.throwIfAborted();
    if (!isManifestLike(entry) || found.has(entry.digest)) continue;
    const referrer = await findReferrer(layout, entry.digest);
    if (referrer !== undefined) found.set(entry.digest, referrer);
  }
  return [...found.values()];
}

async function findReferrer(layout: OciLayoutReader, digest: Digest): Promise<Referrer | undefined> {
  try {
    const manifest = await layout.findManifest(digest);
    return manifest === undefined ? undefined : referrerOf(manifest.descriptor, manifest.bytes);
  } catch (error) {
    if (error instanceof ToolError) return undefined;
    throw error;
  }
}

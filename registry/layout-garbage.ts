import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import {
  type CallOptions,
  childrenOf,
  type Descriptor,
  type Digest,
  errorCode,
  isDigest,
  parseDigest,
  ToolError,
} from '../core/index.ts';
import { layoutDescriptors } from './oci-index.ts';
import type { OciLayoutReader } from './oci-layout-reader.ts';

export interface GarbageOptions extends CallOptions {
  /** What stays besides the named images; a manifest keeps all it points at. */
  readonly keep?: Iterable<Digest>;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Younger blobs stay: a writer may be about to refer to them. */
  readonly minAgeMs: number;
}

export interface CollectedGarbage {
  readonly removed: Digest[];
  readonly bytes: number;
}

/** Call it with the lock of the index held, so that no name appears between looking and removing. */
export async function collectLayoutGarbage(
  layout: OciLayoutReader,
  incomingFolder: string,
  options: GarbageOptions,
): Promise<CollectedGarbage> {
  const wanted = await reachable(layout, [
    ...layoutDescriptors(await layout.readIndex()).map((descriptor) => descriptor.digest),
    ...(options.keep ?? []),
  ]);
  const removed: Digest[] = [];
  let bytes = 0;
  for (const algorithm of ['sha256', 'sha512']) {
    const folder = path.join(layout.folder, 'blobs', algorithm);
    for (const name of await namesIn(folder)) {
      options.signal?.throwIfAborted();
      const digest = `${algorithm}:${name}`;
      if (!isDigest(digest) || wanted.has(digest)) continue;
      const freed = await removeOld(path.join(folder, name), options);
      if (freed === undefined) continue;
      removed.push(parseDigest(digest));
      bytes += freed;
    }
  }
  for (const name of await namesIn(incomingFolder)) await removeOld(path.join(incomingFolder, name), options);
  return { removed, bytes };
}

async function reachable(layout: OciLayoutReader, roots: Iterable<Digest>): Promise<Set<Digest>> {
  const wanted = new Set<Digest>();
  const queue = [...roots];
  for (let digest = queue.pop(); digest !== undefined; digest = queue.pop()) {
    if (wanted.has(digest)) continue;
    wanted.add(digest);
    for (const child of await childrenHere(layout, digest)) queue.push(child.digest);
  }
  return wanted;
}

async function childrenHere(layout: OciLayoutReader, digest: Digest): Promise<Descriptor[]> {
  try {
    const manifest = await layout.findManifest(digest);
    return manifest === undefined ? [] : childrenOf(manifest.descriptor.mediaType, manifest.bytes);
  } catch (error) {
    // A blob that is missing, or only looks like a manifest, points at nothing that could be kept.
    if (error instanceof ToolError) return [];
    throw error;
  }
}

/** The bytes set free; undefined when the file stays. ctime is what rename, and asking for the blob, set. */
async function removeOld(file: string, options: GarbageOptions): Promise<number | undefined> {
  try {
    const { ctimeMs, mtimeMs, size } = await stat(file);
    if (options.now - Math.max(ctimeMs, mtimeMs) < options.minAgeMs) return undefined;
    await rm(file);
    return size;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

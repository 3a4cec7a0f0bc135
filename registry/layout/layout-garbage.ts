import type { Stats } from 'node:fs';
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
} from '../../core/index.ts';
import { layoutDescriptors, namedDescriptors } from './oci-index.ts';
import type { OciLayoutReader } from './oci-layout-reader.ts';
import { listedReferrers } from './referrer-entries.ts';

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

/** A blob as it lies on disk. */
export interface StoredBlob {
  readonly digest: Digest;
  /** What it takes on disk. */
  readonly bytes: number;
  /** When it was last asked for or written, milliseconds since the epoch. */
  readonly lastUsedMs: number;
}

/** Every blob of a layout. */
export async function listBlobs(layout: OciLayoutReader, options: CallOptions = {}): Promise<StoredBlob[]> {
  const blobs: StoredBlob[] = [];
  for (const algorithm of ['sha256', 'sha512']) {
    const folder = path.join(layout.folder, 'blobs', algorithm);
    for (const name of await namesIn(folder)) {
      options.signal?.throwIfAborted();
      const digest = `${algorithm}:${name}`;
      const found = isDigest(digest) ? await findStats(path.join(folder, name)) : undefined;
      if (found === undefined) continue;
      blobs.push({ digest: parseDigest(digest), bytes: found.blocks * 512, lastUsedMs: lastUse(found) });
    }
  }
  return blobs;
}

/** Digests that the named images and these roots reach, the roots included. */
export async function reachableBlobs(layout: OciLayoutReader, roots: Iterable<Digest>): Promise<Set<Digest>> {
  const referrers = await listedReferrers(layout);
  const weak = new Set(referrers.map(({ entry }) => entry.digest));
  const index = await layout.readIndex();
  const named = new Set(namedDescriptors(index).map(({ descriptor }) => descriptor.digest));
  const listed = layoutDescriptors(index).map((descriptor) => descriptor.digest);
  const wanted = new Set<Digest>();
  await reach(layout, [...listed.filter((digest) => named.has(digest) || !weak.has(digest)), ...roots], wanted);
  // What refers to something stays with it; and so does what refers to that.
  for (let waiting = referrers; ; ) {
    const isKept = new Set(waiting.filter(({ subject }) => wanted.has(subject)));
    if (isKept.size === 0) break;
    waiting = waiting.filter((referrer) => !isKept.has(referrer));
    await reach(
      layout,
      Array.from(isKept, ({ entry }) => entry.digest),
      wanted,
    );
  }
  return wanted;
}

/** What lies in the folder for blobs that are on their way in. */
export interface IncomingContent {
  /** Of its file. */
  readonly name: string;
  /** On disk. */
  readonly bytes: number;
  readonly lastUsedMs: number;
}

export async function listIncoming(folder: string): Promise<IncomingContent[]> {
  const list: IncomingContent[] = [];
  for (const name of await namesIn(folder)) {
    const found = await findStats(path.join(folder, name));
    if (found !== undefined) list.push({ name, bytes: found.blocks * 512, lastUsedMs: lastUse(found) });
  }
  return list;
}

/** The bytes set free; 0 when it is used still. */
export async function removeIncoming(folder: string, name: string, usedBeforeMs: number): Promise<number> {
  return (await removeOld(path.join(folder, path.basename(name)), usedBeforeMs)) ?? 0;
}

/**
 * Removes blobs, except those that were asked for since. Call it with the lock of the index held, so that no name
 * appears between looking and removing.
 */
export async function removeBlobs(
  layout: OciLayoutReader,
  digests: Iterable<Digest>,
  options: CallOptions & { readonly usedBeforeMs: number },
): Promise<CollectedGarbage> {
  const removed: Digest[] = [];
  let bytes = 0;
  for (const digest of digests) {
    options.signal?.throwIfAborted();
    const freed = await removeOld(layout.blobFile(digest), options.usedBeforeMs);
    if (freed === undefined) continue;
    removed.push(digest);
    bytes += freed;
  }
  return { removed, bytes };
}

/** Call it with the lock of the index held, so that no name appears between looking and removing. */
export async function collectLayoutGarbage(
  layout: OciLayoutReader,
  incomingFolder: string,
  options: GarbageOptions,
): Promise<CollectedGarbage> {
  const wanted = await reachableBlobs(layout, options.keep ?? []);
  const usedBeforeMs = options.now - options.minAgeMs;
  const loose = (await listBlobs(layout, options)).flatMap(({ digest }) => (wanted.has(digest) ? [] : [digest]));
  const collected = await removeBlobs(layout, loose, { signal: options.signal, usedBeforeMs });
  for (const name of await namesIn(incomingFolder)) await removeOld(path.join(incomingFolder, name), usedBeforeMs);
  return collected;
}

/** Adds to `wanted` the roots and all that they lead to. */
async function reach(layout: OciLayoutReader, roots: Iterable<Digest>, wanted: Set<Digest>): Promise<void> {
  const queue = [...roots];
  for (let digest = queue.pop(); digest !== undefined; digest = queue.pop()) {
    if (wanted.has(digest)) continue;
    wanted.add(digest);
    for (const child of await childrenHere(layout, digest)) queue.push(child.digest);
  }
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

/** The bytes set free; undefined when the file stays. */
async function removeOld(file: string, usedBeforeMs: number): Promise<number | undefined> {
  const found = await findStats(file);
  if (found === undefined || lastUse(found) > usedBeforeMs) return undefined;
  await rm(file, { force: true });
  return found.blocks * 512;
}

/** ctime is what rename, and asking for the blob, set. */
function lastUse({ ctimeMs, mtimeMs }: Stats): number {
  return Math.max(ctimeMs, mtimeMs);
}

async function findStats(file: string): Promise<Stats | undefined> {
  try {
    return await stat(file);
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

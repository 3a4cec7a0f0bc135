import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type CallOptions, errorCode } from '../../core/index.ts';
import type { RegistryStorage } from './storage.ts';
import type { Uploads } from './uploads.ts';

export interface RegistryGarbageOptions extends CallOptions {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** What somebody uploaded or asked for since stays, and uploads to which something was added. */
  readonly graceMs: number;
  /** Manifests that no tag leads to go as well. */
  readonly untagged?: boolean;
}

export interface RegistryGarbage {
  readonly uploads: number;
  readonly manifests: number;
  readonly blobs: number;
  /** Set free on disk. */
  readonly bytes: number;
}

/**
 * Removes what nothing refers to, while others push and pull. A blob that came or was asked for within the grace time
 * stays, and so do all of a repository to which an upload is under way: a manifest that names them may come.
 */
export async function collectRegistryGarbage(
  storage: RegistryStorage,
  uploads: Uploads,
  options: RegistryGarbageOptions,
): Promise<RegistryGarbage> {
  const usedBeforeMs = options.now - options.graceMs;
  const expired = await uploads.expire(usedBeforeMs, options);
  const manifests = await releaseLoose(storage, usedBeforeMs, options);
  const freed = await removeUnwanted(storage, options);
  await removeStrays(storage, usedBeforeMs, options);
  return { uploads: expired, manifests, ...freed };
}

/** What each repository lets go of. How many manifests. */
async function releaseLoose(
  storage: RegistryStorage,
  usedBeforeMs: number,
  { signal, untagged = false }: RegistryGarbageOptions,
): Promise<number> {
  const { records } = storage;
  let manifests = 0;
  for (const repository of records.allRepositories()) {
    signal?.throwIfAborted();
    // Others are served between two repositories.
    await setImmediate();
    if (records.repositoriesWithUploads().includes(repository)) continue;
    for (let found = untagged; found; ) {
      const loose = records.untaggedManifests(repository, usedBeforeMs);
      for (const digest of loose) records.deleteManifest(repository, digest);
      manifests += loose.length;
      found = loose.length > 0;
    }
    records.unlinkLooseBlobs(repository, usedBeforeMs);
    records.forgetEmpty(repository);
  }
  return manifests;
}

async function removeUnwanted(
  storage: RegistryStorage,
  { signal }: CallOptions,
): Promise<Pick<RegistryGarbage, 'blobs' | 'bytes'>> {
  let blobs = 0;
  let bytes = 0;
  for (const blob of await storage.layout.blobs({ signal })) {
    signal?.throwIfAborted();
    if (!(await storage.discardUnwanted(blob.digest))) continue;
    blobs++;
    bytes += blob.bytes;
  }
  return { blobs, bytes };
}

/** Files of uploads that a crash left without a record. */
async function removeStrays(storage: RegistryStorage, usedBeforeMs: number, { signal }: CallOptions): Promise<void> {
  for (const name of await readdir(storage.uploadFolder)) {
    signal?.throwIfAborted();
    if (storage.records.findUpload(name) !== undefined) continue;
    const file = path.join(storage.uploadFolder, name);
    const changedMs = await lastChange(file);
    if (changedMs !== undefined && changedMs < usedBeforeMs) await rm(file, { force: true });
  }
}

async function lastChange(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).mtimeMs;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

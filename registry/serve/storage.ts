import { randomUUID } from 'node:crypto';
import { mkdirSync, renameSync } from 'node:fs';
import { mkdir, open, rm } from 'node:fs/promises';
import path from 'node:path';
import { type Descriptor, type Digest, digestAlgorithm, errorCode, LockFolder, ToolError } from '../../core/index.ts';
import { OciLayout } from '../layout/oci-layout.ts';
import type { ContentView, Page } from './content-view.ts';
import { blobsMissing } from './pushed-manifest.ts';
import { type ManifestRecord, Records } from './records.ts';

export interface PushedManifest extends ManifestRecord {
  /** Blobs that must be in the repository. */
  readonly needed: readonly Digest[];
  readonly tags: readonly string[];
  readonly nowMs: number;
}

/**
 * A registry's folder: `content/` is an OCI layout with the bytes, `records.sqlite` says which repository holds what,
 * `uploads/` has what is still arriving. One process works with it at a time, in `tmp/`.
 *
 * What is recorded is there: a file gets to its place and into the records within one turn of the event loop, and one
 * that no record wants is moved away in the same manner.
 */
export class RegistryStorage implements ContentView, AsyncDisposable {
  readonly records: Records;
  readonly layout: OciLayout;
  readonly uploadFolder: string;
  readonly temporaryFolder: string;
  readonly #lock: AsyncDisposable;

  private constructor(root: string, layout: OciLayout, lock: AsyncDisposable) {
    this.records = new Records(path.join(root, 'records.sqlite'));
    this.layout = layout;
    this.uploadFolder = path.join(root, 'uploads');
    this.temporaryFolder = path.join(root, 'tmp');
    this.#lock = lock;
  }

  /** @throws ToolError SERVE_ROOT_IN_USE, SERVE_ROOT_INVALID, SERVE_ROOT_VERSION */
  static async open(root: string): Promise<RegistryStorage> {
    await mkdir(root, { recursive: true, mode: 0o700 });
    const locks = new LockFolder(path.join(root, 'locks'));
    const lock = await locks.tryAcquire('serve', 'exclusive');
    if (lock === undefined) {
      throw new ToolError('SERVE_ROOT_IN_USE', `another process serves ${root}`, {
        hint: 'stop it first, or name another folder with --root',
      });
    }
    try {
      const layout = await OciLayout.open(path.join(root, 'content'), { locks });
      const storage = new RegistryStorage(root, layout, lock);
      // What the last process was in the middle of when it ended.
      await rm(storage.temporaryFolder, { recursive: true, force: true });
      for (const folder of [storage.uploadFolder, storage.temporaryFolder]) await mkdir(folder, { recursive: true });
      return storage;
    } catch (error) {
      await lock[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.records[Symbol.dispose]();
    await this.#lock[Symbol.asyncDispose]();
  }

  blobFile(digest: Digest): string {
    return this.layout.blobFile(digest);
  }

  hasRepository(name: string): boolean {
    return this.records.hasRepository(name);
  }

  repositories(page: Page): readonly string[] {
    return this.records.repositories(page);
  }

  tags(repository: string, page: Page): readonly string[] {
    return this.records.tags(repository, page);
  }

  findTag(repository: string, tag: string): Digest | undefined {
    return this.records.findTag(repository, tag);
  }

  findManifest(repository: string, digest: Digest) {
    return this.records.findManifest(repository, digest);
  }

  hasBlob(repository: string, digest: Digest): boolean {
    return this.records.hasBlob(repository, digest);
  }

  referrers(repository: string, subject: Digest): readonly Descriptor[] {
    return this.records.referrers(repository, subject);
  }

  /**
   * Moves a file whose bytes were verified and synced to its place, over one that is there, and has it recorded.
   * Resolves when both outlast a crash of the machine.
   */
  async adopt(file: string, digest: Digest, record: () => void): Promise<void> {
    const place = this.blobFile(digest);
    if (digestAlgorithm(digest) !== 'sha256') mkdirSync(path.dirname(place), { recursive: true });
    renameSync(file, place);
    record();
    await syncFolder(path.dirname(place));
  }

  /**
   * Takes a manifest, and gives it names.
   * @throws RequestError MANIFEST_BLOB_UNKNOWN where what it needs went away meanwhile
   */
  async putManifest(repository: string, bytes: Uint8Array, pushed: PushedManifest): Promise<void> {
    const file = path.join(this.temporaryFolder, randomUUID());
    try {
      const handle = await open(file, 'wx', 0o644);
      try {
        await handle.writeFile(bytes);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await this.adopt(file, pushed.manifest.digest, () => {
        // Garbage may have been collected, or a blob deleted, since it was looked at.
        const absent = pushed.needed.filter((digest) => !this.hasBlob(repository, digest));
        if (absent.length > 0) throw blobsMissing(absent);
        this.records.putManifest(repository, pushed, pushed.tags, pushed.nowMs);
      });
    } finally {
      await rm(file, { force: true });
    }
  }

  /** Removes the bytes unless some repository wants them; true when they went. */
  async discardUnwanted(digest: Digest): Promise<boolean> {
    if (this.records.isWanted(digest)) return false;
    const trashed = path.join(this.temporaryFolder, randomUUID());
    try {
      renameSync(this.blobFile(digest), trashed);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return false;
      throw error;
    }
    await rm(trashed, { force: true });
    return true;
  }
}

async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, 'r');
  await handle.sync();
}

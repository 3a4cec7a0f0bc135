import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir } from 'node:fs/promises';
import path from 'node:path';
import type { CallOptions } from './cancellation.ts';
import { removeTree } from './disk.ts';
import { errorCode } from './errors.ts';
import type { LockFolder } from './locks.ts';

/**
 * This process's private folder under `parent`. It is guarded by a lock that dies with the process, so that whoever
 * comes next can tell what a killed process left behind, and removes it.
 */
export class ScratchSpace implements AsyncDisposable {
  readonly folder: string;
  readonly #lock: AsyncDisposable;
  readonly #locks: LockFolder;

  private constructor(folder: string, lock: AsyncDisposable, locks: LockFolder) {
    this.folder = folder;
    this.#lock = lock;
    this.#locks = locks;
  }

  static async open(parent: string, locks: LockFolder, options: CallOptions = {}): Promise<ScratchSpace> {
    const name = `p-${randomBytes(6).toString('hex')}`;
    const lock = await locks.acquire(name, 'exclusive', options);
    const folder = path.join(parent, name);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return new ScratchSpace(folder, lock, locks);
  }

  /** A new, empty folder inside; removed with the space, or earlier when disposed. */
  async make(prefix: string): Promise<AsyncDisposable & { readonly path: string }> {
    const made = await mkdtemp(path.join(this.folder, `${prefix}-`));
    return { path: made, [Symbol.asyncDispose]: () => removeTree(made) };
  }

  /**
   * Removes what killed processes left in `parent`. What belongs to ids this process may not touch stays for one that
   * may: an unprivileged push leaves alone what a build made inside a user namespace.
   */
  async sweep(): Promise<void> {
    const parent = path.dirname(this.folder);
    for (const name of await readdir(parent)) {
      if (name === path.basename(this.folder)) continue;
      await using lock = await this.#locks.tryAcquire(name, 'exclusive');
      if (lock === undefined) continue;
      try {
        await removeTree(path.join(parent, name));
        this.#locks.forget(name);
      } catch (error) {
        if (errorCode(error) !== 'EACCES' && errorCode(error) !== 'EPERM') throw error;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await removeTree(this.folder);
      this.#locks.forget(path.basename(this.folder));
    } finally {
      await this.#lock[Symbol.asyncDispose]();
    }
  }
}

import { createHash } from 'node:crypto';
import { chmod, chown, lstat, mkdir, readdir, readFile, rename, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type CallOptions, canonicalJson, errorCode, ToolError } from '../../core/index.ts';
import type { Workshop } from '../workshop/workshop.ts';

/** What a cache mount is known by: two with the same id on different platforms are two. */
export interface CacheName {
  readonly id: string;
  /** `linux/amd64`. */
  readonly platform: string;
}

/** Who may use a cache at the same time: all, each one of its own, or one after the other. */
export type CacheSharing = 'shared' | 'private' | 'locked';

/** A cache on disk. */
export interface StoredCache extends CacheName {
  /** Its name in the folder of caches, and `cache-…` of its lock. */
  readonly entry: string;
  /** 0, and others for those who wanted one of their own while it was in use. */
  readonly instance: number;
  /** Absolute; what a step sees. */
  readonly folder: string;
  readonly lastUsedMs: number;
}

/** A cache that is being used; disposing lets others have it. */
export interface CacheInUse extends AsyncDisposable {
  /** Absolute. */
  readonly folder: string;
}

/** Where caches are, relative to the store. */
export const cachesFolder = 'caches';
const formatVersion = 'v1';
const content = 'fs';
const description = 'cache.json';
/** More steps than this do not run at once. */
const maxInstances = 4096;

export function cacheLock(entry: string): string {
  return `cache-${entry}`;
}

/**
 * The folders of cache mounts. Each is an entry with a description, a lock, and the time of its last use as its own;
 * whoever holds the lock alone may rename it away.
 */
export class CacheStore {
  readonly #workshop: Workshop;
  readonly #folder: string;

  constructor(workshop: Workshop) {
    this.#workshop = workshop;
    this.#folder = path.join(workshop.options.home, cachesFolder);
  }

  /**
   * Takes a cache into use, and makes it when there is none: its root belongs to `owner` then. Waits for one that is
   * locked, after having told so.
   */
  async open(
    name: CacheName,
    sharing: CacheSharing,
    { owner, onWait, ...options }: OpenCacheOptions,
  ): Promise<CacheInUse> {
    const { entry, lock } = await this.#lock(name, sharing, onWait ?? (() => {}), options);
    try {
      await this.#make(entry, name, owner);
      const folder = path.join(this.#folder, entry);
      await touch(folder, this.#workshop.options.clock.now());
      return {
        folder: path.join(folder, content),
        [Symbol.asyncDispose]: async () => {
          try {
            await touch(folder, this.#workshop.options.clock.now());
          } finally {
            await lock[Symbol.asyncDispose]();
          }
        },
      };
    } catch (error) {
      await lock[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** All of them, by id, platform and instance. */
  async list(): Promise<StoredCache[]> {
    const found: StoredCache[] = [];
    for (const entry of await namesIn(this.#folder)) {
      const cache = await this.#read(entry);
      if (cache !== undefined) found.push(cache);
    }
    return found.sort((a, b) => compare(a.id, b.id) || compare(a.platform, b.platform) || a.instance - b.instance);
  }

  /** Waits until nobody uses a cache, and keeps it so until disposed. `onWait` is called once when that takes time. */
  async hold(
    { entry }: Pick<StoredCache, 'entry'>,
    { onWait, ...options }: CallOptions & { readonly onWait?: () => void } = {},
  ): Promise<AsyncDisposable> {
    const { locks } = this.#workshop;
    const lock = await locks.tryAcquire(cacheLock(entry), 'exclusive');
    if (lock !== undefined) return lock;
    onWait?.();
    return locks.acquire(cacheLock(entry), 'exclusive', options);
  }

  /** @throws ToolError CACHE_IN_USE */
  async remove({ entry, id }: StoredCache): Promise<void> {
    await using lock = await this.#workshop.locks.tryAcquire(cacheLock(entry), 'exclusive');
    if (lock === undefined) {
      throw new ToolError('CACHE_IN_USE', `the cache ${id} is in use`, { hint: 'try again when the build is over' });
    }
    await this.#discard(entry);
    this.#workshop.locks.forget(cacheLock(entry));
  }

  /**
   * Puts a folder, on the same file system, in the place of a cache. It is moved; the one that was there is gone.
   * Waits until that is not in use.
   */
  async replace(
    name: CacheName,
    folder: string,
    options: CallOptions & { readonly onWait?: () => void } = {},
  ): Promise<void> {
    const entry = this.#entryOf(name, 0);
    await using _lock = await this.hold({ entry }, options);
    const staging = await (await this.#workshop.scratch()).make('cache');
    await rename(folder, path.join(staging.path, content));
    await this.#describe(staging.path, name, 0);
    await this.#discard(entry);
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await rename(staging.path, path.join(this.#folder, entry));
    await touch(path.join(this.#folder, entry), this.#workshop.options.clock.now());
  }

  async #lock(
    name: CacheName,
    sharing: CacheSharing,
    onWait: () => void,
    options: CallOptions,
  ): Promise<{ readonly entry: string; readonly lock: AsyncDisposable }> {
    const { locks } = this.#workshop;
    const mode = sharing === 'shared' ? 'shared' : 'exclusive';
    for (let instance = 0; instance < (sharing === 'private' ? maxInstances : 1); instance++) {
      options.signal?.throwIfAborted();
      const entry = this.#entryOf(name, instance);
      const lock = await locks.tryAcquire(cacheLock(entry), mode);
      if (lock !== undefined) return { entry, lock };
    }
    onWait();
    const entry = this.#entryOf(name, 0);
    return { entry, lock: await locks.acquire(cacheLock(entry), mode, options) };
  }

  async #make(entry: string, name: CacheName, owner: OpenCacheOptions['owner']): Promise<void> {
    const place = path.join(this.#folder, entry);
    if ((await this.#read(entry)) !== undefined) return;
    const staging = await (await this.#workshop.scratch()).make('cache');
    const root = path.join(staging.path, content);
    await mkdir(root);
    await chmod(root, 0o755);
    await chown(root, owner.uid, owner.gid);
    await this.#describe(staging.path, name, Number(entry.slice(entry.lastIndexOf('-') + 1)));
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    try {
      await rename(staging.path, place);
    } catch (error) {
      if (errorCode(error) !== 'ENOTEMPTY' && errorCode(error) !== 'EEXIST') throw error;
      // Another one who shares it was quicker; or its description was lost in a crash of the machine.
      if ((await this.#read(entry)) !== undefined) return;
      await this.#discard(entry);
      await rename(staging.path, place);
    }
  }

  async #describe(folder: string, { id, platform }: CacheName, instance: number): Promise<void> {
    await writeFile(path.join(folder, description), canonicalJson({ id, platform, instance }));
    await chmod(folder, 0o700);
  }

  async #read(entry: string): Promise<StoredCache | undefined> {
    const place = path.join(this.#folder, entry);
    const folder = path.join(place, content);
    try {
      const { id, platform, instance } = JSON.parse(await readFile(path.join(place, description), 'utf8'));
      if (typeof id !== 'string' || typeof platform !== 'string' || typeof instance !== 'number') return undefined;
      if (!(await lstat(folder)).isDirectory() || this.#entryOf({ id, platform }, instance) !== entry) return undefined;
      return { entry, id, platform, instance, folder, lastUsedMs: (await lstat(place)).mtimeMs };
    } catch (error) {
      if (error instanceof SyntaxError || errorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  async #discard(entry: string): Promise<void> {
    const trash = await (await this.#workshop.scratch()).make('old-cache');
    try {
      await rename(path.join(this.#folder, entry), path.join(trash.path, entry));
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
    }
  }

  /** Ids of files are those of the user namespace they were made in, so a store that is used in both ways has both. */
  #entryOf({ id, platform }: CacheName, instance: number): string {
    const mapping = this.#workshop.options.userXattrs ? 'user-namespace' : 'root';
    const identity = canonicalJson([formatVersion, mapping, platform, id]);
    return `${createHash('sha256').update(identity).digest('hex').slice(0, 32)}-${instance}`;
  }
}

export interface OpenCacheOptions extends CallOptions {
  readonly owner: { readonly uid: number; readonly gid: number };
  /** Called once when somebody else has it. */
  readonly onWait?: () => void;
}

async function touch(file: string, nowMs: number): Promise<void> {
  await utimes(file, nowMs / 1000, nowMs / 1000);
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

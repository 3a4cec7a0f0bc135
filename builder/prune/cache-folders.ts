import { cacheLock, cachesFolder } from '../caches/cache-store.ts';
import { gitFolder, gitLock } from '../fetch/git-mirror.ts';

/** A folder of the store whose entries are caches. */
export interface CacheFolder {
  readonly kind: 'cache-mount' | 'git' | 'packages';
  /** Relative to the store. */
  readonly folder: string;
  /** The lock that who uses an entry holds. */
  readonly lockOf: (entry: string) => string;
}

/** Entries' times are set to now when they are used. */
export const cacheFolders: readonly CacheFolder[] = [
  { kind: 'cache-mount', folder: cachesFolder, lockOf: cacheLock },
  { kind: 'git', folder: gitFolder, lockOf: gitLock },
];

import { cacheLock, cachesFolder } from '../caches/cache-store.ts';
import { gitFolder, gitLock } from '../fetch/git-mirror.ts';
import { fileLock, filesFolder, rootLock, rootsFolder } from '../packages/package-folders.ts';

/** A folder of the store whose entries are caches. */
export interface CacheFolder {
  readonly kind: 'cache-mount' | 'git' | 'packages' | 'code';
  /** Relative to the store. */
  readonly folder: string;
  /** The lock that who uses an entry holds. */
  readonly lockOf: (entry: string) => string;
}

/** Entries' times are set to now when they are used. */
export const cacheFolders: readonly CacheFolder[] = [
  { kind: 'cache-mount', folder: cachesFolder, lockOf: cacheLock },
  { kind: 'git', folder: gitFolder, lockOf: gitLock },
  // What V8 made of Kiln's own code (cli/kiln.ts): a folder for each version of Node.
  { kind: 'code', folder: 'code', lockOf: (entry) => `code-${entry}` },
  // What unchanged builds said (cli/unchanged-build.ts).
  { kind: 'code', folder: 'unchanged', lockOf: (entry) => `unchanged-${entry}` },
  { kind: 'packages', folder: rootsFolder, lockOf: rootLock },
  { kind: 'packages', folder: filesFolder, lockOf: fileLock },
];

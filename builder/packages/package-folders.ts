/** What the package managers of images keep in the store, relative to it: all of it can be fetched again. */

/** One folder for each root file system: the indexes of its package manager. */
export const rootsFolder = 'packages/roots';
/** Package files by a digest of their hash. */
export const filesFolder = 'packages/files';

/** The lock that whoever uses an entry of `rootsFolder` holds. */
export function rootLock(entry: string): string {
  return `packages-root-${entry}`;
}

/** Nobody holds it for long: a file that is in use has another name too. */
export function fileLock(entry: string): string {
  return `packages-file-${entry}`;
}

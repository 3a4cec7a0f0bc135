import { createHash } from 'node:crypto';
import { lstatSync, readdirSync } from 'node:fs';

/** What a folder looks like from outside, as deep as its entries. */
export interface FolderSignature {
  /** Changes with any name, kind, place, mode, size or time of an entry. */
  readonly digest: string;
  /** When an entry was changed last, in milliseconds since the epoch. */
  readonly newestMs: number;
  readonly entries: number;
  /** Those of its entries that are folders, with their paths. */
  readonly folders: readonly string[];
}

/** dev, inode, mode, size, mtime, ctime */
const numbersPerEntry = 6;
const directoryType = 0o040000;
const typeMask = 0o170000;

/**
 * Looks at a folder and its entries, and reads none; links are not followed. Undefined when a name is not UTF-8.
 * @throws what the file system says
 */
export function signatureOfFolder(folder: string): FolderSignature | undefined {
  const names = readdirSync(folder).sort();
  const numbers = new Float64Array(names.length * numbersPerEntry);
  const folders: string[] = [];
  let newestMs = 0;
  for (const [index, name] of names.entries()) {
    if (name.includes('\ufffd')) return undefined;
    const file = `${folder}/${name}`;
    const { dev, ino, mode, size, mtimeMs, ctimeMs } = lstatSync(file);
    numbers.set([dev, ino, mode, size, mtimeMs, ctimeMs], index * numbersPerEntry);
    newestMs = Math.max(newestMs, mtimeMs, ctimeMs);
    if ((mode & typeMask) === directoryType) folders.push(file);
  }
  const digest = createHash('sha256').update(names.join('/')).update(numbers).digest('base64');
  return { digest, newestMs, entries: names.length, folders };
}

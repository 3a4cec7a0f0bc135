import { createHash } from 'node:crypto';
import { lstatSync, readdirSync } from 'node:fs';

/** What a folder and all below it look like from outside. */
export interface TreeSignature {
  /** Changes with any name, kind, place, size or time in the tree. */
  readonly digest: string;
  /** When something in it was changed last, in milliseconds since the epoch. */
  readonly newestMs: number;
}

/** dev, inode, mode, size, mtime, ctime */
const numbersPerEntry = 6;
const directoryType = 0o040000;
const typeMask = 0o170000;

/**
 * Looks at every entry of a tree and reads none. Undefined when there are more than `maxEntries`, or names that are not
 * UTF-8. Links are not followed.
 * @throws what the file system says
 */
export function signatureOfTree(folder: string, maxEntries: number): TreeSignature | undefined {
  const hash = createHash('sha256');
  const waiting = [folder];
  let count = 0;
  let newestMs = addEntries([folder]);
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const names = readdirSync(next).sort();
    count += names.length;
    if (count > maxEntries || names.some((name) => name.includes('\ufffd'))) return undefined;
    // No name holds a slash: folders cannot be taken for one another.
    hash.update(`${next}//${names.join('/')}//`);
    newestMs = Math.max(newestMs, addEntries(names.map((name) => `${next}/${name}`)));
  }
  return { digest: hash.digest('hex'), newestMs };

  /** @returns when one of them was changed last */
  function addEntries(files: readonly string[]): number {
    const numbers = new Float64Array(files.length * numbersPerEntry);
    let newest = 0;
    for (const [index, file] of files.entries()) {
      const { dev, ino, mode, size, mtimeMs, ctimeMs } = lstatSync(file);
      numbers.set([dev, ino, mode, size, mtimeMs, ctimeMs], index * numbersPerEntry);
      newest = Math.max(newest, mtimeMs, ctimeMs);
      if ((mode & typeMask) === directoryType && file !== folder) waiting.push(file);
    }
    hash.update(numbers);
    return newest;
  }
}

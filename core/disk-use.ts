import { lstatSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { CallOptions } from './cancellation.ts';
import { errorCode } from './errors.ts';

export interface DiskUse {
  /** What the folder and all in it take on disk; files with several names count once. */
  readonly bytes: number;
  /** False when some of it may not be read, so that there may be more. */
  readonly complete: boolean;
}

/** How many folders are read before others get their turn. */
const batch = 200;

/**
 * How much a folder takes; one that is not there takes nothing. Other processes may change it meanwhile. Sync calls on
 * purpose: stores hold hundreds of thousands of files.
 */
export async function diskUseOf(folder: string, options: CallOptions = {}): Promise<DiskUse> {
  const seen = new Set<string>();
  const waiting = [folder];
  let bytes = sizeOf(folder);
  let complete = true;
  let count = 0;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (++count % batch === 0) await setImmediate();
    options.signal?.throwIfAborted();
    try {
      for (const name of readdirSync(next)) {
        const file = path.join(next, name);
        const found = lstatSync(file, { throwIfNoEntry: false });
        if (found === undefined) continue;
        const inode = `${found.dev}:${found.ino}`;
        if (found.nlink === 1 || found.isDirectory() || !seen.has(inode)) bytes += found.blocks * 512;
        if (found.nlink > 1) seen.add(inode);
        if (found.isDirectory()) waiting.push(file);
      }
    } catch (error) {
      if (errorCode(error) === 'EACCES') complete = false;
      else if (errorCode(error) !== 'ENOENT' && errorCode(error) !== 'ENOTDIR') throw error;
    }
  }
  return { bytes, complete };
}

function sizeOf(file: string): number {
  return (lstatSync(file, { throwIfNoEntry: false })?.blocks ?? 0) * 512;
}

import { lstat, readdir } from 'node:fs/promises';
import path from 'node:path';
import { type CallOptions, errorCode } from '../core/index.ts';

export interface DiskUse {
  /** What the folder takes on disk; files with several names count once. */
  readonly bytes: number;
  /** False when some of it may not be read, so that there may be more. */
  readonly complete: boolean;
}

/** How much a folder takes; one that is not there takes nothing. Other processes may change it meanwhile. */
export async function diskUseOf(folder: string, options: CallOptions = {}): Promise<DiskUse> {
  const seen = new Set<string>();
  const waiting = [folder];
  let bytes = 0;
  let complete = true;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    options.signal?.throwIfAborted();
    try {
      for (const name of await readdir(next)) {
        const file = path.join(next, name);
        const found = await lstat(file);
        const inode = `${found.dev}:${found.ino}`;
        if (!seen.has(inode)) bytes += found.blocks * 512;
        seen.add(inode);
        if (found.isDirectory()) waiting.push(file);
      }
    } catch (error) {
      if (errorCode(error) === 'EACCES') complete = false;
      else if (errorCode(error) !== 'ENOENT') throw error;
    }
  }
  return { bytes, complete };
}

import type { BigIntStats } from 'node:fs';
import { lstat, readdir, rmdir, utimes } from 'node:fs/promises';
import path from 'node:path';
import { errorCode } from '../../core/index.ts';
import { byteString, type RootView } from '../../runtime/index.ts';

/**
 * Takes away what mount points leave in an upper directory where no skeleton could help, since a layer of the image
 * hides what is below: the folders above them, which overlayfs copied up, as they were. A folder that the step changed
 * stays, with its time.
 */
export async function removeMountTraces(upper: string, view: RootView, destinations: readonly string[]): Promise<void> {
  for (const folder of foldersAbove(destinations)) {
    const copy = path.join(upper, folder);
    const [copied, original] = [await statOf(copy), await view.lookup(byteString(folder))];
    if (copied === undefined || !copied.isDirectory() || original?.type !== 'directory') continue;
    const before = await statOf(original.file);
    if (before === undefined || !isEqual(copied, before) || (await readdir(copy)).length > 0) continue;
    const parent = path.dirname(copy);
    const { mtimeNs } = await lstat(parent, { bigint: true });
    await rmdir(copy);
    // Whole microseconds: a number that is rounded could end up in the next second.
    await utimes(parent, 1, Number(mtimeNs / 1000n) / 1e6);
  }
}

/** Deepest first, each once. */
function foldersAbove(destinations: readonly string[]): readonly string[] {
  const folders = new Set<string>();
  for (const destination of destinations) {
    for (let folder = path.posix.dirname(destination); folder !== '/'; folder = path.posix.dirname(folder)) {
      folders.add(folder);
    }
  }
  return [...folders].sort((a, b) => b.split('/').length - a.split('/').length);
}

function isEqual(a: BigIntStats, b: BigIntStats): boolean {
  const microseconds = (stats: BigIntStats) => stats.mtimeNs / 1000n;
  return microseconds(a) === microseconds(b) && a.mode === b.mode && a.uid === b.uid && a.gid === b.gid;
}

async function statOf(file: string | Buffer): Promise<BigIntStats | undefined> {
  try {
    return await lstat(file, { bigint: true });
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

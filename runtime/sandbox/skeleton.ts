import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rename, rm, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type CallOptions, canonicalJson, errorCode } from '../../core/index.ts';

/** A place inside a sandbox that something is mounted on. */
export interface MountPoint {
  /** Absolute; links in it are not followed here. */
  readonly destination: string;
  readonly isFolder: boolean;
}

/** What every sandbox mounts. */
export const defaultMountPoints: readonly MountPoint[] = [
  { destination: '/dev', isFolder: true },
  { destination: '/proc', isFolder: true },
  { destination: '/sys', isFolder: true },
];

/** Seconds since the epoch: what is not there when nothing is mounted has no time of its own. */
const anyTime = 1;

/**
 * A folder with nothing but the given mount points: as the lowest layer of an overlay it keeps them out of what the
 * payload changed. Made once in `scratch` and then shared.
 */
export async function makeSkeleton(
  scratch: string,
  mountPoints: readonly MountPoint[],
  options: CallOptions = {},
): Promise<string> {
  options.signal?.throwIfAborted();
  const paths = skeletonPaths(mountPoints);
  const name = createHash('sha256')
    .update(canonicalJson([...paths]))
    .digest('hex');
  const skeleton = path.join(scratch, `skeleton-${name.slice(0, 16)}`);
  const made = await mkdtemp(`${skeleton}-`);
  await fill(made, paths);
  try {
    await rename(made, skeleton);
  } catch (error) {
    await rm(made, { recursive: true });
    if (errorCode(error) !== 'ENOTEMPTY' && errorCode(error) !== 'EEXIST') throw error;
  }
  return skeleton;
}

/** Relative path → whether it is a folder; parents come before what is in them, and no path leaves the root. */
export function skeletonPaths(mountPoints: readonly MountPoint[]): ReadonlyMap<string, boolean> {
  const paths = new Map<string, boolean>();
  for (const { destination, isFolder } of mountPoints) {
    const parts = path.posix
      .normalize(`/${destination}`)
      .split('/')
      .filter((part) => part !== '');
    for (let length = 1; length <= parts.length; length++) {
      const current = parts.slice(0, length).join('/');
      paths.set(current, length < parts.length || isFolder || paths.get(current) === true);
    }
  }
  return new Map([...paths].sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function fill(folder: string, paths: ReadonlyMap<string, boolean>): Promise<void> {
  for (const [relative, isFolder] of paths) {
    const absolute = path.join(folder, relative);
    // By chmod, as the umask takes from what mkdir and writeFile are told.
    if (isFolder) await mkdir(absolute);
    else await writeFile(absolute, '');
    await chmod(absolute, isFolder ? 0o755 : 0o644);
  }
  await chmod(folder, 0o755);
  for (const relative of ['', ...paths.keys()]) await utimes(path.join(folder, relative), anyTime, anyTime);
}

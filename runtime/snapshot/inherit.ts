import { chmodSync, chownSync, lstatSync, utimesSync } from 'node:fs';
import type { Launcher } from '../launcher.ts';
import { type ByteString, bytesOf } from '../layer/entry.ts';
import { RootView } from './root-view.ts';
import type { Snapshot } from './snapshots.ts';

/**
 * Gives an upper directory mode, owner and time of the root below it. Layers do not hold the root of what a step
 * changed, so that it must not differ.
 */
export async function inheritRoot(parent: Snapshot, directory: string): Promise<void> {
  const below = parent.layers.at(-1)?.directory;
  if (below !== undefined) return copyAttributes(Buffer.from(below), Buffer.from(directory));
  chownSync(directory, 0, 0);
  chmodSync(directory, 0o755);
  utimesSync(directory, 1, 1);
}

/**
 * Directories that a layer needed and did not describe are the ones of the layers below, as they would be had it been
 * applied on top of those.
 */
export async function inheritDirectories(
  launcher: Launcher,
  parent: Snapshot,
  directory: string,
  paths: readonly ByteString[],
): Promise<void> {
  const below = new RootView(launcher, parent);
  for (const path of paths) {
    const found = await below.lookup(path);
    if (found?.type !== 'directory' || parent.layers.length === 0) continue;
    const own = Buffer.concat([Buffer.from(`${directory}/`), bytesOf(path)]);
    copyAttributes(found.file, own);
  }
}

function copyAttributes(from: Buffer, to: Buffer): void {
  const { uid, gid, mode, mtimeMs } = lstatSync(from);
  // chown clears setuid bits, so the mode comes after it.
  chownSync(to, uid, gid);
  chmodSync(to, mode & 0o7777);
  utimesSync(to, mtimeMs / 1000, mtimeMs / 1000);
}

import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, realpath, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { errorCode } from './errors.ts';

/** Deeper folders are lifted before they are deleted: PATH_MAX is 4096, and the way to the tree needs some of it. */
const liftedBeyondBytes = 2048;

/**
 * Replaces a file whole: temp file beside it → fsync → rename, so a crash leaves the old bytes or the new ones.
 * Parent folders are made. `mode` defaults to 0644.
 */
export function writeFileAtomic(file: string, bytes: Uint8Array | string, mode = 0o644): Promise<void> {
  return replaceFile(file, bytes, { mode, isSynced: true });
}

/** As `writeFileAtomic`, but after a crash of the machine the file may be empty or damaged: for what is checked when it is read. */
export function writeFileUnsynced(file: string, bytes: Uint8Array | string): Promise<void> {
  return replaceFile(file, bytes, { mode: 0o644, isSynced: false });
}

async function replaceFile(
  file: string,
  bytes: Uint8Array | string,
  { mode, isSynced }: { readonly mode: number; readonly isSynced: boolean },
): Promise<void> {
  const folder = path.dirname(file);
  await mkdir(folder, { recursive: true });
  const temporary = path.join(folder, `.${path.basename(file)}.${randomBytes(6).toString('hex')}`);
  try {
    const handle = await open(temporary, 'wx', mode);
    try {
      await handle.writeFile(bytes);
      if (isSynced) await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/**
 * Where symlinks lead from `file`, which is there, as long as that is in the tree of one of the folders; undefined when
 * it is elsewhere. Files that came with a context must not show what is outside: their lines are in error messages.
 */
export async function realPathInside(file: string, folders: readonly string[]): Promise<string | undefined> {
  const [real, ...roots] = await Promise.all([file, ...folders].map((name) => realpath(name)));
  return roots.some((root) => real === root || real?.startsWith(root === '/' ? root : `${root}/`)) ? real : undefined;
}

/**
 * Makes a folder, and those above it that are missing. Node's own recursive mkdir never ends where the kernel says
 * ENOENT however often one asks, as in /proc.
 */
export async function makeFolder(folder: string, mode: number): Promise<void> {
  try {
    await mkdir(folder, { mode });
  } catch (error) {
    if (errorCode(error) === 'EEXIST' && (await stat(folder)).isDirectory()) return;
    if (errorCode(error) !== 'ENOENT' || path.dirname(folder) === folder) throw error;
    await makeFolder(path.dirname(folder), mode);
    await makeLast(folder, mode);
  }
}

async function makeLast(folder: string, mode: number): Promise<void> {
  try {
    await mkdir(folder, { mode });
  } catch (error) {
    // Another process was quicker.
    if (errorCode(error) !== 'EEXIST') throw error;
  }
}

/**
 * Deletes a folder of ours with all that is in it; when there is none, that is no error. What a run step left may be
 * nested deeper than a path can be long.
 */
export async function removeTree(folder: string): Promise<void> {
  for (;;) {
    try {
      return await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    } catch (error) {
      if (errorCode(error) !== 'ENAMETOOLONG') throw error;
      await liftDeepFolders(folder);
    }
  }
}

async function liftDeepFolders(top: string): Promise<void> {
  const pending = [Buffer.from(top)];
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    for (const entry of await readdir(folder, { withFileTypes: true, encoding: 'buffer' })) {
      if (!entry.isDirectory()) continue;
      const inner = Buffer.concat([folder, Buffer.from('/'), entry.name]);
      if (inner.length - top.length < liftedBeyondBytes) pending.push(inner);
      else await rename(inner, path.join(top, randomBytes(9).toString('hex')));
    }
  }
}

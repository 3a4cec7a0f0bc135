import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import {
  type CallOptions,
  errorCode,
  type LockFolder,
  realPathInside,
  ToolError,
  writeFileAtomic,
} from '../../core/index.ts';
import { changed, emptyLock, type LockChange, type LockContent, sameContent } from './lock-content.ts';
import { formatLock, maxLockLength, parseLock } from './lock-text.ts';

/** Where the lock of a Buildfile lies. Paths are absolute. */
export interface LockPlace {
  readonly file: string;
  /** What messages call it. */
  readonly shown: string;
}

/** `<Buildfile>.lock` beside it. */
export function lockPlace(buildfile: string, shownBuildfile: string): LockPlace {
  return { file: `${buildfile}.lock`, shown: `${shownBuildfile}.lock` };
}

/**
 * What the file says; undefined when there is none.
 * @throws BuildfileError LOCK_INVALID; ToolError LOCK_UNREADABLE
 */
export async function readLock(place: LockPlace, options: CallOptions = {}): Promise<LockContent | undefined> {
  const found = await findStats(place.file);
  if (found === undefined) return undefined;
  // A pipe of that name would be waited for.
  if (!found.isFile()) throw new ToolError('LOCK_UNREADABLE', `${place.shown} is not a file`);
  if (found.size > maxLockLength * 3) {
    throw new ToolError('LOCK_UNREADABLE', `${place.shown} is larger than any lock file`);
  }
  if ((await realPathInside(place.file, [path.dirname(place.file)])) === undefined) {
    throw new ToolError('LOCK_UNREADABLE', `${place.shown} is a symlink that leads out of its folder`);
  }
  return parseLock(await readFile(place.file, { encoding: 'utf8', signal: options.signal }), place.shown);
}

/**
 * Makes changes to the file as it is now, which another build may have written meanwhile. A file that says it all
 * already is not touched.
 * @returns whether it was written
 * @throws ToolError LOCK_UNWRITABLE; whatever `readLock` throws
 */
export async function changeLock(
  place: LockPlace,
  changes: readonly LockChange[],
  locks: LockFolder,
  options: CallOptions = {},
): Promise<boolean> {
  const name = `lock-file-${createHash('sha256').update(place.file).digest('hex')}`;
  await using _lock = await locks.acquire(name, 'exclusive', options);
  const before = await readLock(place, options);
  const after = changed(before ?? emptyLock, changes);
  if (sameContent(before ?? emptyLock, after)) return false;
  await write(place, formatLock(after));
  return true;
}

async function write({ file, shown }: LockPlace, text: string): Promise<void> {
  const [old, beside] = [await findStats(file), await findStats(file.slice(0, -'.lock'.length))];
  try {
    await writeFileAtomic(file, text);
  } catch (cause) {
    throw new ToolError('LOCK_UNWRITABLE', `${shown} cannot be written (${errorCode(cause) ?? String(cause)})`, {
      cause,
      hint: `make ${path.dirname(file)} writable, or build with --no-lock`,
    });
  }
  await using handle = await openOwn(file);
  if (handle === undefined) return;
  if (old !== undefined) await handle.chmod(old.mode & 0o7777);
  await giveTo(handle, old ?? beside);
}

/** The file that was just written. Whose folder it is may have put a link to another file of root's in its place. */
export async function openOwn(file: string): Promise<FileHandle | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (errorCode(error) === 'ELOOP' || errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  const { uid, nlink } = await handle.stat();
  if (uid === process.geteuid?.() && nlink === 1) return handle;
  await handle.close();
  return undefined;
}

/** Who owns a file from outside a user namespace, as it is seen inside: nobody that could be meant. user_namespaces(7) */
const overflowId = 65_534;

/** Root that builds in somebody else's folder leaves no file there that its owner could not change. */
async function giveTo(
  file: FileHandle,
  owner: { readonly uid: number; readonly gid: number } | undefined,
): Promise<void> {
  if (process.getuid?.() !== 0 || owner === undefined || owner.uid === overflowId) return;
  try {
    await file.chown(owner.uid, owner.gid);
  } catch (error) {
    // A group from outside the user namespace.
    if (errorCode(error) !== 'EPERM' && errorCode(error) !== 'EINVAL') throw error;
  }
}

async function findStats(file: string) {
  try {
    return await stat(file);
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

import { randomBytes } from 'node:crypto';
import { lstatSync, readdirSync } from 'node:fs';
import { mkdir, rename, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { type CallOptions, errorCode, removeTree, ToolError } from '../../core/index.ts';
import { applyEntries, type ByteString, bytesOf, displayPath, type Entry } from '../../runtime/index.ts';
import type { Workshop } from '../workshop/workshop.ts';

/** setuid and setgid: for an owner who is not the file's. */
const ownerBits = 0o6000;

/**
 * Unpacks a root file system into a folder. A new folder appears whole; in one that is there, files of the same names
 * are replaced and the others stay. Root keeps owners; for an ordinary user everything is the user's own, without
 * setuid bits and privileged attributes, and device nodes are left out.
 * @returns what was left out
 * @throws ToolError OUTPUT_BLOCKED
 */
export async function writeLocal(
  workshop: Workshop,
  folder: string,
  entries: AsyncIterable<Entry>,
  options: CallOptions = {},
): Promise<readonly ByteString[]> {
  const { launcher, userXattrs, clock } = workshop.options;
  const apply = async (place: string, given: AsyncIterable<Entry>): Promise<readonly ByteString[]> => {
    const files = userXattrs ? ownEntries(given) : given;
    const { skipped } = await applyEntries(launcher, files, place, { ...options, userXattrs });
    const now = clock.now() / 1000;
    await utimes(place, now, now);
    return skipped;
  };
  if (await isFolder(folder)) return apply(folder, notDeleting(folder, entries));
  await mkdir(path.dirname(folder), { recursive: true });
  const temporary = path.join(path.dirname(folder), `.${path.basename(folder)}.${randomBytes(6).toString('hex')}`);
  try {
    await mkdir(temporary, { mode: 0o755 });
    const skipped = await apply(temporary, entries);
    await rename(temporary, folder);
    return skipped;
  } catch (error) {
    await removeTree(temporary);
    throw error;
  }
}

/** Files are replaced, but no folder of the user's is deleted for something else, unless it is empty. */
async function* notDeleting(folder: string, entries: AsyncIterable<Entry>): AsyncGenerator<Entry, void> {
  for await (const entry of entries) {
    if (entry.type !== 'directory' && isFullFolder(Buffer.concat([Buffer.from(`${folder}/`), bytesOf(entry.path)]))) {
      const shown = displayPath(entry.path);
      throw new ToolError('OUTPUT_BLOCKED', `${folder} has a folder ${shown} where the image has a ${entry.type}`, {
        hint: 'remove that folder, or name one that is new or empty',
      });
    }
    yield entry;
  }
}

function isFullFolder(place: Buffer): boolean {
  return lstatSync(place, { throwIfNoEntry: false })?.isDirectory() === true && readdirSync(place).length > 0;
}

/** @throws ToolError USAGE_OUTPUT where it is something else */
export async function isFolder(folder: string): Promise<boolean> {
  try {
    if ((await stat(folder)).isDirectory()) return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    if (errorCode(error) !== 'ENOTDIR') throw error;
  }
  throw new ToolError('USAGE_OUTPUT', `${folder} is not a folder, where files are to be put into one`, {
    hint: 'for a tar say type=tar,dest=FILE',
  });
}

async function* ownEntries(entries: AsyncIterable<Entry>): AsyncGenerator<Entry, void> {
  for await (const entry of entries) {
    if (entry.type === 'whiteout' || entry.type === 'opaque') continue;
    const { xattrs, ...rest } = entry;
    const kept = [...(xattrs ?? [])].filter(([name]) => name.startsWith('user.'));
    yield {
      ...rest,
      uid: 0,
      gid: 0,
      mode: entry.mode & ~ownerBits,
      ...(kept.length === 0 ? {} : { xattrs: new Map(kept) }),
    };
  }
}

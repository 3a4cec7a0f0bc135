import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { type CallOptions, errorCode, ToolError } from '../../core/index.ts';
import { maxTomlLength } from '../buildfile/toml.ts';

/**
 * The text of a Buildfile that is to be written again, so no byte of it may be lost.
 * @param shown what messages call it
 * @throws ToolError BUILDFILE_NOT_FOUND, BUILDFILE_TOO_BIG, BUILDFILE_ENCODING
 */
export async function readWholeText(file: string, shown: string, options: CallOptions = {}): Promise<string> {
  const handle = await openFile(file, shown);
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw new ToolError('BUILDFILE_NOT_FOUND', `${shown} is not a file`);
    if (stats.size > maxTomlLength) throw tooBig(shown);
    return decodeWholeText(await handle.readFile({ signal: options.signal }), shown);
  } finally {
    await handle.close();
  }
}

/**
 * UTF-8 without any replacement.
 * @throws ToolError BUILDFILE_TOO_BIG, BUILDFILE_ENCODING
 */
export function decodeWholeText(bytes: Uint8Array, shown: string): string {
  if (bytes.length > maxTomlLength) throw tooBig(shown);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new ToolError('BUILDFILE_ENCODING', `${shown} is not UTF-8`, {
      cause,
      hint: 'TOML is written in UTF-8: convert the file, with iconv for example',
    });
  }
}

/**
 * Puts another text in the place of a file's, at once; mode and owner stay. What a symlink leads to is written.
 * @throws ToolError OUTPUT_BUILDFILE
 */
export async function rewriteFile(file: string, shown: string, text: string): Promise<void> {
  try {
    await replace(await realpath(file), text);
  } catch (cause) {
    throw new ToolError('OUTPUT_BUILDFILE', `${shown} cannot be written (${errorCode(cause) ?? String(cause)})`, {
      cause,
      hint: `make ${path.dirname(file)} writable`,
    });
  }
}

/** Mode and owner are given to the new file before it has the name: who owns the folder may change names meanwhile. */
async function replace(file: string, text: string): Promise<void> {
  const { mode, uid, gid } = await stat(file);
  const temporary = path.join(
    path.dirname(file),
    `.${path.basename(file).slice(0, 200)}.${randomBytes(6).toString('hex')}`,
  );
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(text);
      if (process.getuid?.() === 0) await handle.chown(uid, gid);
      await handle.chmod(mode & 0o7777);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

async function openFile(file: string, shown: string): Promise<FileHandle> {
  try {
    // A pipe of that name would be waited for.
    return await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const code = errorCode(cause);
    if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'ELOOP') throw cause;
    throw new ToolError('BUILDFILE_NOT_FOUND', `there is no ${shown}`, { cause, hint: 'name the Buildfile' });
  }
}

function tooBig(shown: string): ToolError {
  return new ToolError('BUILDFILE_TOO_BIG', `${shown} is larger than ${maxTomlLength / 1024} KiB`);
}

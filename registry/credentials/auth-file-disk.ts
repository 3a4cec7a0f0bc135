import type { Stats } from 'node:fs';
import { chown, mkdir, readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { errorCode, ToolError, writeFileAtomic } from '../../core/index.ts';
import { type AuthFile, parseAuthFile } from './auth-file.ts';

const maxFileBytes = 4 * 1024 * 1024;

/** Undefined when there is no such file. */
export async function readAuthFile(file: string): Promise<AuthFile | undefined> {
  try {
    const found = await stat(file);
    if (!found.isFile() || found.size > maxFileBytes) {
      throw new ToolError('REGISTRY_CREDENTIALS_INVALID', `${file} is not a credentials file`);
    }
    const text = await readFile(file, 'utf8');
    return parseAuthFile(isOldest(file) ? `{"auths":${text.trim() === '' ? '{}' : text}}` : text, file);
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
    if (error instanceof ToolError) throw error;
    throw new ToolError('REGISTRY_CREDENTIALS_INVALID', `${file} cannot be read (${errorCode(error)})`, {
      cause: error,
      hint: 'make it readable for this user, or name another file: --authfile FILE',
    });
  }
}

/**
 * Readable by its owner only, unless it was there and says otherwise: mode and owner stay, as Docker leaves them. A
 * symbolic link, as dotfile managers make them, stays and leads to the new content.
 */
export async function writeAuthFile(file: string, document: unknown): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const written = await target(file);
  const before = await statIfThere(written);
  const mode = before === undefined ? 0o600 : before.mode & 0o666;
  await writeFileAtomic(written, `${JSON.stringify(document, undefined, '\t')}\n`, mode);
  if (before === undefined || before.uid === process.getuid?.()) return;
  try {
    await chown(written, before.uid, before.gid);
  } catch (error) {
    // Who may not give files away has written one of their own.
    if (errorCode(error) !== 'EPERM') throw error;
  }
}

async function statIfThere(file: string): Promise<Stats | undefined> {
  try {
    return await stat(file);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** What Docker had before its config.json: nothing but the entries. */
function isOldest(file: string): boolean {
  return path.basename(file) === '.dockercfg';
}

async function target(file: string): Promise<string> {
  try {
    return await realpath(file);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return file;
    throw error;
  }
}

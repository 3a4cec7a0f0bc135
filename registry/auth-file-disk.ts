import { mkdir, readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { errorCode, ToolError, writeFileAtomic } from '../core/index.ts';
import { type AuthFile, parseAuthFile } from './auth-file.ts';

const maxFileBytes = 4 * 1024 * 1024;

/** Undefined when there is no such file. */
export async function readAuthFile(file: string): Promise<AuthFile | undefined> {
  try {
    const found = await stat(file);
    if (!found.isFile() || found.size > maxFileBytes) {
      throw new ToolError('REGISTRY_CREDENTIALS_INVALID', `${file} is not a credentials file`);
    }
    return parseAuthFile(await readFile(file, 'utf8'), file);
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** Readable by its owner only. A symbolic link, as dotfile managers make them, stays and leads to the new content. */
export async function writeAuthFile(file: string, document: unknown): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  await writeFileAtomic(await target(file), `${JSON.stringify(document, undefined, '\t')}\n`, 0o600);
}

async function target(file: string): Promise<string> {
  try {
    return await realpath(file);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return file;
    throw error;
  }
}

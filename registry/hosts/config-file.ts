import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { errorCode, ToolError } from '../../core/index.ts';
import { ConfigTable, type Problems } from './config-table.ts';

/** TOML to values; a composition root brings it. What it throws is told with its message. */
export type ParseToml = (
  text: string,
  file: string,
) => Readonly<Record<string, unknown>> | Promise<Readonly<Record<string, unknown>>>;

const maxFileBytes = 1024 * 1024;
const maxEntries = 10_000;
const absent = new Set(['ENOENT', 'ENOTDIR']);

/**
 * Undefined when there is no such file.
 * @throws ToolError REGISTRY_CONFIG_INVALID
 */
export async function readConfigFile(file: string): Promise<string | undefined> {
  try {
    const found = await stat(file);
    if (!found.isFile()) throw configInvalid(file, ['is not a file']);
    if (found.size > maxFileBytes) throw configInvalid(file, [`is longer than ${maxFileBytes} bytes`]);
    return await readFile(file, 'utf8');
  } catch (cause) {
    const code = errorCode(cause);
    if (code !== undefined && absent.has(code)) return undefined;
    if (cause instanceof ToolError) throw cause;
    throw new ToolError('REGISTRY_CONFIG_INVALID', `${file} cannot be read (${code ?? 'unknown'})`, {
      cause,
      hint: 'make it readable for this user',
    });
  }
}

/** As `readConfigFile`; undefined also for what is not this user's to read. */
export async function readIfAllowed(file: string): Promise<string | undefined> {
  try {
    return await readConfigFile(file);
  } catch (error) {
    if (error instanceof ToolError && errorCode(error.cause) === 'EACCES') return undefined;
    throw error;
  }
}

/** Names in a folder, sorted; none of a folder that is not there or is not this user's to read. */
export async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).sort().slice(0, maxEntries);
  } catch (error) {
    const code = errorCode(error);
    if (code !== undefined && (absent.has(code) || code === 'EACCES')) return [];
    throw error;
  }
}

export async function folderExists(folder: string): Promise<boolean> {
  try {
    return (await stat(folder)).isDirectory();
  } catch (error) {
    const code = errorCode(error);
    if (code !== undefined && (absent.has(code) || code === 'EACCES')) return false;
    throw error;
  }
}

/**
 * Parses a file's text and reads it with `read`, which notes what is wrong.
 * @throws ToolError REGISTRY_CONFIG_INVALID with all of it
 */
export async function parseConfig<T>(
  text: string,
  file: string,
  parseToml: ParseToml,
  read: (table: ConfigTable) => T,
): Promise<T> {
  let values: Readonly<Record<string, unknown>>;
  try {
    values = await parseToml(text, file);
  } catch (cause) {
    if (!(cause instanceof ToolError)) throw cause;
    throw new ToolError('REGISTRY_CONFIG_INVALID', `${file}: ${cause.message}`, { hint: correctIt });
  }
  const problems: Problems = [];
  const result = read(new ConfigTable(values, problems));
  if (problems.length > 0) throw configInvalid(file, problems);
  return result;
}

const correctIt = 'correct the file, or move it away';
const maxShown = 20;

export function configInvalid(file: string, problems: readonly string[]): ToolError {
  const more = problems.length > maxShown ? [`and ${problems.length - maxShown} more`] : [];
  const shown = [...problems.slice(0, maxShown), ...more].join('; ');
  return new ToolError('REGISTRY_CONFIG_INVALID', `${file}: ${shown}`, { hint: correctIt });
}

/** Relative paths in a file count from its folder. */
export function besideFile(file: string, written: string): string {
  return path.resolve(path.dirname(file), written);
}

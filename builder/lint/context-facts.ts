import { lstat, readdir } from 'node:fs/promises';
import path from 'node:path';
import { type CallOptions, errorCode } from '../../core/index.ts';
import type { IgnoreRules } from '../buildfile/ignore.ts';

/** What rules know of the context: paths are relative to it, without `./`. */
export interface ContextFacts {
  readonly ignore: IgnoreRules;
  readonly hasIgnoreFile: boolean;
  /** Names right in it. */
  readonly names: ReadonlySet<string>;
  /** Of the paths that were asked for, those that are not there. */
  readonly missing: ReadonlySet<string>;
}

export interface FactsQuestion {
  /** Absolute path. */
  readonly contextFolder: string;
  /** Absolute path. */
  readonly buildfile: string;
  readonly ignore: IgnoreRules;
  readonly paths: Iterable<string>;
}

export async function gatherFacts(asked: FactsQuestion, options: CallOptions = {}): Promise<ContextFacts> {
  const { contextFolder, buildfile, ignore } = asked;
  const names = new Set(await readdir(contextFolder));
  const missing = new Set<string>();
  for (const file of new Set(asked.paths)) {
    options.signal?.throwIfAborted();
    const [first = ''] = file.split('/', 1);
    if (!names.has(first) || (file !== first && !(await exists(path.join(contextFolder, file))))) missing.add(file);
  }
  const hasOwn = await exists(`${buildfile}.ignore`);
  return { ignore, names, missing, hasIgnoreFile: hasOwn || names.has('.buildignore') || names.has('.dockerignore') };
}

/** Where it cannot be told, the build will. */
async function exists(file: string): Promise<boolean> {
  try {
    await lstat(file);
    return true;
  } catch (error) {
    return errorCode(error) !== 'ENOENT' && errorCode(error) !== 'ENOTDIR';
  }
}

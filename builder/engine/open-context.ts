import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { type CallOptions, errorCode, realPathInside, ToolError } from '../../core/index.ts';
import { type IgnoreRules, parseIgnoreFile } from '../buildfile/ignore.ts';
import type { Includes } from '../buildfile/parts.ts';
import { maxTomlLength } from '../buildfile/toml.ts';
import { readIncludes } from './read-includes.ts';

export interface OpenContextOptions extends CallOptions {
  /** The Buildfile, absolute or relative to `workingFolder`; `Buildfile` in the context unless said. */
  readonly file?: string | undefined;
  /** What is below it is shown relative to it in messages; the context unless said. */
  readonly workingFolder?: string | undefined;
  /** For `PlanOptions`. */
  readonly imageNames?: ImageNames | undefined;
}

/** What names of images mean on this machine. */
export interface ImageNames {
  /** @throws ToolError REFERENCE_AMBIGUOUS */
  inFull(name: string): string;
  /** Files and folders that this depends on, also those that are not there. */
  readonly sources: readonly string[];
}

/** A build's input as it lies on disk, found by the same rules for every command. */
export interface OpenedContext {
  /** Absolute path. */
  readonly contextFolder: string;
  readonly buildfileText: string;
  /** Absolute path of the Buildfile. */
  readonly buildfile: string;
  /** What messages call the Buildfile. */
  readonly buildfileName: string;
  /** Absolute path; `oci:` paths are relative to it. */
  readonly buildfileFolder: string;
  /** What the Buildfile includes; for `PlanOptions`. */
  readonly includes: Includes;
  readonly ignore: IgnoreRules;
  readonly imageNames?: ImageNames | undefined;
}

/**
 * Reads a context's Buildfile and its ignore file: `<Buildfile>.ignore` beside the Buildfile, else `.buildignore`, else
 * `.dockerignore` in the context.
 * @throws ToolError CONTEXT_NOT_FOUND, CONTEXT_UNSUPPORTED, BUILDFILE_NOT_FOUND, BUILDFILE_UNSUPPORTED, BUILDFILE_OUTSIDE, BUILDFILE_TOO_BIG, IGNORE_INVALID, IGNORE_TOO_BIG
 */
export async function openBuildContext(
  contextFolder: string,
  options: OpenContextOptions = {},
): Promise<OpenedContext> {
  if (contextFolder === '-' || /^[a-z+]+:\/\//i.test(contextFolder)) {
    throw new ToolError('CONTEXT_UNSUPPORTED', `the context ${JSON.stringify(contextFolder)} is not a folder`, {
      hint: 'contexts from standard input and from URLs are not supported yet: unpack or clone it first',
    });
  }
  if (options.file === '-') {
    throw new ToolError('BUILDFILE_UNSUPPORTED', 'a Buildfile is not read from standard input', {
      hint: 'write it into a file and name that: kiln build -f FILE CONTEXT',
    });
  }
  const workingFolder = path.resolve(options.workingFolder ?? contextFolder);
  const folder = options.workingFolder === undefined ? workingFolder : path.resolve(workingFolder, contextFolder);
  await requireFolder(folder, shownPath(folder, workingFolder));
  const file = options.file === undefined ? path.join(folder, 'Buildfile') : path.resolve(workingFolder, options.file);
  const buildfileName = shownPath(file, workingFolder);
  const buildfileText = await findText(file, { ...options, area: 'BUILDFILE', shown: buildfileName });
  if (buildfileText === undefined) throw await noBuildfile(file, buildfileName, folder);
  if ((await realPathInside(file, [folder, path.dirname(file)])) === undefined) {
    throw new ToolError(
      'BUILDFILE_OUTSIDE',
      `${buildfileName} is a symlink that leads out of its folder and the context`,
      {
        hint: 'name the file itself: kiln build -f FILE CONTEXT',
      },
    );
  }
  const ignore = await readIgnoreRules(file, folder, { ...options, workingFolder });
  const buildfileFolder = path.dirname(file);
  const includes = await readIncludes(
    { name: buildfileName, path: file, folder: buildfileFolder, text: buildfileText },
    {
      roots: [folder, buildfileFolder],
      shownPath: (included) => shownPath(included, workingFolder),
      signal: options.signal,
    },
  );
  const { imageNames } = options;
  return {
    contextFolder: folder,
    buildfile: file,
    buildfileText,
    buildfileName,
    buildfileFolder,
    includes,
    ignore,
    imageNames,
  };
}

async function noBuildfile(file: string, shown: string, contextFolder: string): Promise<ToolError> {
  const found = await findStats(file);
  const hint = 'write one, or name it: kiln build -f FILE CONTEXT';
  if (found?.isDirectory())
    return new ToolError('BUILDFILE_NOT_FOUND', `${shown} is a folder, not a Buildfile`, { hint });
  if (found !== undefined) return new ToolError('BUILDFILE_NOT_FOUND', `${shown} is not a file`, { hint });
  const name = path.basename(file);
  const folder = path.dirname(shown) === '.' ? 'this folder' : path.dirname(shown);
  const message = name === 'Buildfile' ? `there is no Buildfile in ${folder}` : `there is no Buildfile at ${shown}`;
  return new ToolError('BUILDFILE_NOT_FOUND', message, { hint: (await dockerfileHint(contextFolder)) ?? hint });
}

/** What to say where a Buildfile is looked for in vain beside a Dockerfile; undefined when there is none. */
export async function dockerfileHint(folder: string): Promise<string | undefined> {
  const names = ['Dockerfile', 'Containerfile'];
  const found = await Promise.all(names.map((name) => findStats(path.join(folder, name))));
  return found.some((stats) => stats?.isFile())
    ? 'Kiln does not read Dockerfiles; write a Buildfile (docs/buildfile.md)'
    : undefined;
}

async function readIgnoreRules(
  buildfile: string,
  contextFolder: string,
  options: CallOptions & { readonly workingFolder: string },
): Promise<IgnoreRules> {
  const candidates = [
    `${buildfile}.ignore`,
    path.join(contextFolder, '.buildignore'),
    path.join(contextFolder, '.dockerignore'),
  ];
  for (const file of candidates) {
    const shown = shownPath(file, options.workingFolder);
    const text = await findText(file, { ...options, area: 'IGNORE', shown });
    if (text !== undefined) {
      const all = lockPattern(buildfile, contextFolder) + text.replace(/^\ufeff/, '');
      return parseRules(all, shown, await realPathInside(file, [contextFolder, path.dirname(buildfile)]));
    }
  }
  return parseIgnoreFile(lockPattern(buildfile, contextFolder));
}

/**
 * The first build writes the lock file: were it part of the context, the second would copy another one. The ignore file
 * may take it in again. A line of an ignore file, or nothing where it lies elsewhere.
 */
function lockPattern(buildfile: string, contextFolder: string): string {
  const file = path.relative(contextFolder, `${buildfile}.lock`);
  if (file.startsWith('..') || /[\r\n]/.test(file)) return '';
  return `/${file.replace(/[*?[\]\\]/g, '\\$&')}\n`;
}

/**
 * The ignore file in a folder that is a context besides the main one: `.buildignore`, else `.dockerignore`.
 * @throws ToolError CONTEXT_NOT_FOUND, IGNORE_INVALID, IGNORE_TOO_BIG
 */
export async function readFolderIgnoreRules(folder: string, options: CallOptions = {}): Promise<IgnoreRules> {
  await requireFolder(folder, folder);
  for (const file of [path.join(folder, '.buildignore'), path.join(folder, '.dockerignore')]) {
    const text = await findText(file, { ...options, area: 'IGNORE', shown: file });
    if (text !== undefined) return parseRules(text, file, await realPathInside(file, [folder]));
  }
  return parseIgnoreFile('');
}

/** @param inside where the file is, unless that is outside: then no line of it is shown. */
function parseRules(text: string, shown: string, inside: string | undefined): IgnoreRules {
  try {
    return parseIgnoreFile(text);
  } catch (cause) {
    if (!(cause instanceof ToolError)) throw cause;
    if (inside === undefined) {
      throw new ToolError(
        'IGNORE_INVALID',
        `${shown}, a symlink that leads out of the context, has a line that is no pattern`,
      );
    }
    throw new ToolError('IGNORE_INVALID', `${shown}: ${cause.message}`, {
      cause,
      ...(cause.hint === undefined ? {} : { hint: cause.hint }),
    });
  }
}

async function findText(
  file: string,
  { signal, area, shown }: CallOptions & { readonly area: string; readonly shown: string },
): Promise<string | undefined> {
  const found = await findStats(file);
  // A pipe of that name would be waited for, a folder would fail without saying its name.
  if (found === undefined || !found.isFile()) return undefined;
  if (found.size > maxTomlLength) {
    throw new ToolError(`${area}_TOO_BIG`, `${shown} is larger than ${maxTomlLength / 1024} KiB`);
  }
  return readFile(file, { encoding: 'utf8', signal });
}

async function requireFolder(folder: string, shown: string): Promise<void> {
  const found = await findStats(folder);
  if (found?.isDirectory()) return;
  const why = found === undefined ? 'does not exist' : 'is not a folder';
  throw new ToolError('CONTEXT_NOT_FOUND', `the context ${JSON.stringify(shown)} ${why}`, {
    hint: 'the context is the folder that holds the files of the build, often .',
  });
}

async function findStats(file: string) {
  try {
    return await stat(file);
  } catch (error) {
    // The last one: a symlink that leads to itself.
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errorCode(error) ?? '')) return undefined;
    throw error;
  }
}

function shownPath(file: string, workingFolder: string): string {
  const relative = path.relative(workingFolder, file);
  return relative === '..' || relative.startsWith(`..${path.sep}`) || relative === '' ? file : relative;
}

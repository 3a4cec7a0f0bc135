import type { Stats } from 'node:fs';
import { lstat, mkdir, readdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { errorCode, ToolError } from '../core/index.ts';
import { foldersAbove } from './artifact-folder.ts';

/** A file or folder that is ready, and where it shall be below the folder it is for. */
export interface StagedFile {
  readonly staged: string;
  /** Relative, without `.` and `..`. */
  readonly title: string;
}

export interface PlaceOptions {
  /** What is there stays, and is an error. */
  readonly keepsOld: boolean;
}

/**
 * Moves files to their places below `root`; those of a folder are added to what is in a folder of that name. First it is
 * made sure that all can be: nothing is written through a symbolic link, no folder is replaced.
 * @throws ToolError OUTPUT_EXISTS, OUTPUT_BLOCKED, ARTIFACT_TITLE_UNSAFE
 */
export async function placeFiles(root: string, files: readonly StagedFile[], options: PlaceOptions): Promise<void> {
  const moves: StagedFile[] = [];
  for (const { staged, title } of files) for await (const move of leavesOf(staged, title)) moves.push(move);
  const kinds = new Map<string, boolean>();
  for (const { staged, title } of moves) {
    const isFolderHere = await isFolder(staged);
    if (kinds.has(title) && !(isFolderHere && kinds.get(title))) throw twice(title);
    kinds.set(title, isFolderHere);
  }
  for (const [title, isFolderHere] of kinds) {
    if (foldersAbove(title).some((above) => kinds.get(above) === false)) throw twice(title);
    await check(root, title, isFolderHere, options);
  }
  for (const { staged, title } of moves) {
    const place = path.join(root, title);
    if (await isFolder(staged)) {
      await mkdir(place, { recursive: true });
    } else {
      await mkdir(path.dirname(place), { recursive: true });
      await rename(staged, place);
    }
  }
}

/** Files, links, and folders, which may be empty, each before what is in it. */
async function* leavesOf(staged: string, title: string): AsyncGenerator<StagedFile, void> {
  yield { staged, title };
  if (!(await isFolder(staged))) return;
  for (const name of (await readdir(staged)).sort()) yield* leavesOf(path.join(staged, name), `${title}/${name}`);
}

async function check(root: string, title: string, isFolderWanted: boolean, { keepsOld }: PlaceOptions): Promise<void> {
  for (const above of foldersAbove(title)) {
    const found = await findStats(path.join(root, above));
    if (found === undefined) return;
    if (!found.isDirectory()) throw blocked(root, above, found, 'a folder');
  }
  const found = await findStats(path.join(root, title));
  if (found === undefined) return;
  if (found.isDirectory() !== isFolderWanted) throw blocked(root, title, found, isFolderWanted ? 'a folder' : 'a file');
  if (!isFolderWanted && keepsOld) {
    throw new ToolError('OUTPUT_EXISTS', `${title} is in ${root} already, and old files are to be kept`, {
      hint: 'nothing was written; pull into another folder (-o), or leave --keep-old-files away',
    });
  }
}

async function isFolder(file: string): Promise<boolean> {
  return (await lstat(file)).isDirectory();
}

async function findStats(file: string): Promise<Stats | undefined> {
  try {
    return await lstat(file);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function twice(title: string): ToolError {
  return new ToolError('ARTIFACT_TITLE_UNSAFE', `the artifact has two things for the place of ${title}`, {
    hint: 'tell who published it; nothing was written',
  });
}

function blocked(root: string, title: string, found: Stats, wanted: string): ToolError {
  const what = found.isSymbolicLink() ? 'a symbolic link' : found.isDirectory() ? 'a folder' : 'a file';
  return new ToolError('OUTPUT_BLOCKED', `${title} in ${root} is ${what}, and ${wanted} is to be there`, {
    hint: 'nothing was written; remove it, or pull into another folder: -o FOLDER',
  });
}

import { createHash } from 'node:crypto';
import { chmodSync, fstatSync, lstatSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Environment } from './context.ts';
import { signatureOfFolder } from './folder-signature.ts';
import { currentUser, storeHome } from './paths.ts';

/**
 * A build in which everything came out of the cache, as it was the last time its command line was used: what it said,
 * and all that it depended on. While none of that has changed it would say the same again. Loads next to nothing, since
 * loading is most of what such a build costs.
 */
export interface UnchangedBuild {
  readonly out: string;
  readonly err: string;
  /** Files, absolute, with their signatures. */
  readonly watched: readonly (readonly [file: string, signature: string])[];
  /** Folders, absolute, with the digests of their signatures; first those in which something changed last. */
  readonly folders: readonly (readonly [folder: string, digest: string])[];
  /** Blobs of the result, absolute, with their sizes in bytes. */
  readonly blobs: readonly (readonly [file: string, size: number])[];
}

/** The part of a process that a build depends on. */
export interface BuildProcess {
  readonly argv: readonly string[];
  readonly env: Environment;
  cwd(): string;
}

/** They differ from one call to the next and mean nothing to a build; the store's place is looked at by itself. */
const fleeting: ReadonlySet<string> = new Set(['_', 'SHLVL', 'OLDPWD', 'PWD', 'KILN_HOME']);

/** What the build of this command line said when nothing has changed since; undefined when it has to be done. */
export function findUnchangedBuild(process: BuildProcess): UnchangedBuild | undefined {
  const home = storeHome(process.env, currentUser(), process.cwd());
  try {
    const known = JSON.parse(readFileSync(unchangedFile(home, process), 'utf8')) as UnchangedBuild;
    if (!known.watched.every(([file, signature]) => signatureOf(file) === signature)) return undefined;
    if (!known.folders.every(([folder, digest]) => signatureOfFolder(folder)?.digest === digest)) return undefined;
    // Marks them as used, as a whole build does; one that is gone makes it no result.
    for (const [blob, size] of known.blobs) {
      chmodSync(blob, 0o644);
      if (lstatSync(blob).size !== size) return undefined;
    }
    return known;
  } catch {
    // Not there, damaged, or not ours to read: the build says what is wrong, if anything is.
    return undefined;
  }
}

/**
 * Where a command line's last build is remembered. Its name holds everything else the build depends on; the same as
 * root of a user namespace, where an ordinary user's builds go on.
 */
export function unchangedFile(home: string, process: BuildProcess): string {
  const { argv, env } = process;
  const variables = Object.entries(env).filter(([name]) => !fleeting.has(name));
  const all = [argv.slice(1), process.cwd(), home, variables.sort(), [1, 2].map(isTerminal)];
  return path.join(home, 'unchanged', `${createHash('sha256').update(JSON.stringify(all)).digest('hex')}.json`);
}

/** Whatever changes with a file's content, kind or place; `absent` when there is none. Links are not followed. */
export function signatureOf(file: string): string {
  const found = lstatSync(file, { bigint: true, throwIfNoEntry: false });
  if (found === undefined) return 'absent';
  const { dev, ino, mode, size, mtimeNs, ctimeNs } = found;
  return [dev, ino, mode, size, mtimeNs, ctimeNs].join(':');
}

function isTerminal(fd: number): boolean {
  try {
    return fstatSync(fd).isCharacterDevice();
  } catch {
    return false;
  }
}

import { constants } from 'node:fs';
import { type FileHandle, open, readlink, realpath } from 'node:fs/promises';
import path from 'node:path';
import { type CallOptions, errorCode } from '../../core/index.ts';
import type { FileText, Includes } from '../buildfile/parts.ts';
import { BuildfileError, type Problem, quoted } from '../buildfile/problems.ts';
import { maxTomlLength, parseToml, type TomlDocument } from '../buildfile/toml.ts';
import { shownCycle } from '../plan/stage-graph.ts';

export interface IncludeOptions extends CallOptions {
  /** Absolute paths of folders; what is in none of their trees is not read. */
  readonly roots: readonly string[];
  /** What messages call a file of this absolute path. */
  readonly shownPath: (file: string) => string;
}

const maxFiles = 100;
/** Also of those that lead to the same file, or to none. */
const maxIncludes = 1000;
const maxDepth = 16;
/** Of all included files together. */
const maxTotalBytes = 4 * 1024 * 1024;

/**
 * Reads what a Buildfile includes, and what that includes. Each file is read once. What is wrong with an `include` is
 * a problem in what is returned; nothing of a file outside the roots is read or told, whatever symlinks lead to it.
 */
export async function readIncludes(
  buildfile: FileText & { readonly path: string },
  options: IncludeOptions,
): Promise<Includes> {
  const reader = new IncludeReader(options, await Promise.all(options.roots.map((root) => realpath(root))));
  const own = await realpath(buildfile.path);
  await reader.readAll(buildfile, [{ real: own, name: buildfile.name }]);
  return reader;
}

/** A file that is being read, from the Buildfile down. */
interface OpenFile {
  readonly real: string;
  readonly name: string;
}

interface FoundFile {
  readonly real: string;
  readonly text: string;
}

/** What is wrong with one include. */
type IncludeProblem = Pick<Problem, 'message'> & Partial<Pick<Problem, 'code'>>;

class IncludeReader implements Includes {
  readonly files: FileText[] = [];
  readonly problems: Problem[] = [];
  readonly #options: IncludeOptions;
  readonly #realRoots: readonly string[];
  readonly #done = new Set<string>();
  #totalBytes = 0;
  #includes = 0;
  /** Once a limit is reached nothing more is read. */
  #isFull = false;

  constructor(options: IncludeOptions, realRoots: readonly string[]) {
    this.#options = options;
    this.#realRoots = realRoots;
  }

  /** Reads the includes of one file; `chain` ends with that file. */
  async readAll({ name, folder, text }: FileText, chain: readonly OpenFile[]): Promise<void> {
    // Most files include nothing, and the text is parsed again for the plan.
    const document = text.includes('include') ? parseOrNothing(text, name) : undefined;
    const included = document?.value.include;
    if (document === undefined || !Array.isArray(included)) return;
    for (const [index, entry] of included.entries()) {
      if (this.#isFull) return;
      // Anything else is a problem that the schema finds.
      if (typeof entry !== 'string' || entry.trim() === '' || entry.startsWith('/') || /\0|\$\{/.test(entry)) continue;
      const problem = await this.#read(path.resolve(folder, entry), entry, chain);
      if (problem === undefined) continue;
      const position = document.valuePosition(['include', index]);
      this.problems.push({ code: 'BUILDFILE_INCLUDE', ...problem, position });
    }
  }

  /** Returns what is wrong with the include itself. */
  async #read(file: string, written: string, chain: readonly OpenFile[]): Promise<IncludeProblem | undefined> {
    if (++this.#includes > maxIncludes) {
      this.#isFull = true;
      return { message: `there are more than ${maxIncludes} includes` };
    }
    const outside = { message: `${quoted(written)} leads out of the folders of the Buildfile and of the context` };
    if (![...this.#options.roots, ...this.#realRoots].some((root) => isInside(file, root))) return outside;
    const found = await this.#open(file);
    if (found === 'outside') return outside;
    if (typeof found === 'string') return { message: `${quoted(written)} ${found}` };
    const name = this.#options.shownPath(file);
    const start = chain.findIndex(({ real }) => real === found.real);
    if (start !== -1) {
      const names = [...chain.slice(start).map((open) => open.name), chain[start]?.name ?? name];
      return { code: 'BUILDFILE_CYCLE', message: `files include each other: ${shownCycle(names)}` };
    }
    if (this.#done.has(found.real)) return undefined;
    if (chain.length > maxDepth) return { message: `files include each other more than ${maxDepth} deep` };
    const limit = this.#exceeded(Buffer.byteLength(found.text));
    if (limit !== undefined) return limit;
    this.#done.add(found.real);
    const included = { name, folder: path.dirname(file), text: found.text };
    await this.readAll(included, [...chain, { real: found.real, name }]);
    this.files.push(included);
    return undefined;
  }

  #exceeded(addedBytes: number): IncludeProblem | undefined {
    this.#totalBytes += addedBytes;
    this.#isFull = true;
    if (this.#done.size >= maxFiles) return { message: `more than ${maxFiles} files are included` };
    if (this.#totalBytes > maxTotalBytes)
      return { message: `the included files are larger than ${maxTotalBytes / 1024} KiB together` };
    this.#isFull = false;
    return undefined;
  }

  /** The file's text; otherwise why it has none. */
  async #open(file: string): Promise<FoundFile | string> {
    this.#options.signal?.throwIfAborted();
    let handle: FileHandle;
    try {
      // Opening a device can do something; a pipe of that name would be waited for.
      const found = await realpath(file);
      if (!this.#isAllowed(found)) return 'outside';
      handle = await open(found, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      return reasonOf(error);
    }
    try {
      // Of what was opened: a folder on the way may have become a symlink.
      const real = await readlink(`/proc/self/fd/${handle.fd}`);
      if (!this.#isAllowed(real)) return 'outside';
      const stats = await handle.stat();
      if (stats.isDirectory()) return 'is a folder';
      if (!stats.isFile()) return 'is not a file';
      if (stats.size > maxTomlLength) return `is larger than ${maxTomlLength / 1024} KiB`;
      return { real, text: await handle.readFile({ encoding: 'utf8', signal: this.#options.signal }) };
    } finally {
      await handle.close();
    }
  }

  #isAllowed(real: string): boolean {
    return this.#realRoots.some((root) => isInside(real, root));
  }
}

function parseOrNothing(text: string, name: string): TomlDocument | undefined {
  try {
    return parseToml(text, name);
  } catch (error) {
    if (!(error instanceof BuildfileError)) throw error;
    return undefined;
  }
}

function reasonOf(error: unknown): string {
  switch (errorCode(error)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'does not exist';
    case 'ELOOP':
      return 'is a symlink that leads to itself';
    case 'EACCES':
    case 'EPERM':
      return 'may not be read';
    case 'ENXIO':
    case 'ENODEV':
      return 'is not a file';
    case 'ENAMETOOLONG':
      return 'is too long a name';
    default:
      throw error;
  }
}

function isInside(file: string, root: string): boolean {
  const relative = path.relative(root, file);
  return relative !== '..' && !relative.startsWith('../');
}

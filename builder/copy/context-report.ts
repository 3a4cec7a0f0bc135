import { type Dirent, lstatSync, readdirSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import type { CallOptions } from '../../core/index.ts';
import { type ByteString, bytesOf, displayPath } from '../../runtime/index.ts';
import type { IgnoreRules } from '../buildfile/ignore.ts';
import type { ContextUse, UsedFolder } from './context-use.ts';
import { readable } from './readable-path.ts';

/** Files and their bytes. */
export interface Amount {
  readonly files: number;
  readonly bytes: number;
}

export interface PathAmount extends Amount {
  /** Below the folder; names that are not UTF-8 are shown with replacements. */
  readonly path: string;
}

/** What became of one folder in a build. */
export interface FolderReport {
  readonly name: string;
  readonly folder: string;
  /** What copies took, each file once. */
  readonly copied: Amount;
  readonly largestFiles: readonly PathAmount[];
  /** With all that is below them. */
  readonly largestFolders: readonly PathAmount[];
  /** What the ignore file dropped. */
  readonly ignored: Amount & {
    readonly patterns: readonly (Amount & { readonly pattern: string })[];
    readonly largest: readonly PathAmount[];
  };
  /** What is there, and neither copied nor ignored. */
  readonly unused: Amount & { readonly largest: readonly PathAmount[] };
}

/** How many of the largest are named. */
const named = 10;
const breathEvery = 200;

/** Looks through the folders of a build for what was not copied, too. What cannot be read counts for nothing. */
export async function contextReport(use: ContextUse, options: CallOptions = {}): Promise<readonly FolderReport[]> {
  const reports: FolderReport[] = [];
  for (const used of use.folders) reports.push(await folderReport(used, options));
  return reports;
}

async function folderReport(used: UsedFolder, options: CallOptions): Promise<FolderReport> {
  const files = [...used.files].map(([path, bytes]) => ({ path: path as ByteString, files: 1, bytes }));
  const ignored = new Tally();
  const unused = new Tally();
  const patterns = new Tally();
  for await (const found of leftOver(used, options)) {
    if (found.pattern === undefined) unused.add(found.path, found);
    else {
      ignored.add(found.path, found);
      patterns.add(found.pattern, found);
    }
  }
  const folders = new Tally();
  for (const file of files) {
    for (let slash = file.path.indexOf('/'); slash !== -1; slash = file.path.indexOf('/', slash + 1))
      folders.add(file.path.slice(0, slash), file);
  }
  return {
    name: used.name,
    folder: used.folder,
    copied: sum(files),
    largestFiles: largest(files),
    largestFolders: largest(folders.all()),
    ignored: {
      ...sum(ignored.all()),
      patterns: patterns
        .all()
        .sort(bySize)
        .map(({ path, ...amount }) => ({ pattern: path, ...amount })),
      largest: largest(ignored.all()),
    },
    unused: { ...sum(unused.all()), largest: largest(unused.all()) },
  };
}

/** A file or folder that was not copied, as high up as that holds for all of it. */
interface LeftOver extends Amount {
  readonly path: string;
  /** That dropped it; undefined when it is not ignored. */
  readonly pattern: string | undefined;
}

async function* leftOver({ folder, ignore, files }: UsedFolder, { signal }: CallOptions): AsyncGenerator<LeftOver> {
  const pending: ByteString[] = ['' as ByteString];
  let count = 0;
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    if (++count % breathEvery === 0) await setImmediate(undefined, { signal });
    for (const dirent of list(folder, directory)) {
      const name = dirent.name.toString('latin1');
      const path = (directory === '' ? name : `${directory}/${name}`) as ByteString;
      const pattern = patternFor(ignore, path);
      const isWhollyDropped = pattern !== undefined && !ignore.mayContainIncluded(readable(path));
      if (isWhollyDropped) yield { path, pattern, ...amountOf(folder, path) };
      else if (dirent.isDirectory()) pending.push(path);
      else if (pattern !== undefined || (dirent.isFile() && !files.has(path)))
        yield { path, pattern, ...amountOf(folder, path) };
    }
  }
}

function patternFor(ignore: IgnoreRules, path: ByteString): string | undefined {
  const text = readable(path);
  return ignore.isIgnored(text) ? (ignore.droppedBy?.(text) ?? '') : undefined;
}

/** Regular files at and below a path. */
function amountOf(folder: string, path: ByteString): Amount {
  const amount = { files: 0, bytes: 0 };
  const pending = [path];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const stats = lstatSync(onDisk(folder, next), { throwIfNoEntry: false });
    if (stats?.isFile()) {
      amount.files += 1;
      amount.bytes += stats.size;
    }
    if (!stats?.isDirectory()) continue;
    for (const { name } of list(folder, next)) pending.push(`${next}/${name.toString('latin1')}` as ByteString);
  }
  return amount;
}

function list(folder: string, directory: ByteString): Dirent<Buffer>[] {
  try {
    return readdirSync(onDisk(folder, directory), { withFileTypes: true, encoding: 'buffer' });
  } catch {
    return [];
  }
}

function onDisk(folder: string, path: ByteString): Buffer {
  return Buffer.concat([Buffer.from(`${folder}/`), bytesOf(path)]);
}

/** Amounts by name. */
class Tally {
  readonly #amounts = new Map<string, { files: number; bytes: number }>();

  add(name: string, { files, bytes }: Amount): void {
    const amount = this.#amounts.get(name) ?? { files: 0, bytes: 0 };
    amount.files += files;
    amount.bytes += bytes;
    this.#amounts.set(name, amount);
  }

  all(): PathAmount[] {
    return [...this.#amounts].map(([path, amount]) => ({ path, ...amount }));
  }
}

function sum(amounts: readonly Amount[]): Amount {
  let [files, bytes] = [0, 0];
  for (const amount of amounts) {
    files += amount.files;
    bytes += amount.bytes;
  }
  return { files, bytes };
}

function largest(amounts: readonly PathAmount[]): PathAmount[] {
  return [...amounts]
    .sort(bySize)
    .slice(0, named)
    .map((amount) => ({ ...amount, path: displayPath(amount.path as ByteString) }));
}

function bySize(a: PathAmount, b: PathAmount): number {
  return b.bytes - a.bytes || b.files - a.files || (a.path < b.path ? -1 : 1);
}

import { cp, link, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { type CallOptions, errorCode } from '../../core/index.ts';
import { byteString, type FileTree } from '../../runtime/index.ts';
import { sortPinned } from '../lock/lock-content.ts';
import type { PinnedPackage } from '../lock/pins.ts';
import { parseApkInstalled, parseDpkgStatus } from '../packages/installed.ts';
import { type OsRelease, parseOsRelease } from '../packages/os-release.ts';
import { readRpmNdb, readRpmSqlite } from '../packages/rpm-packages.ts';
import { keptBytes } from './layer-lists.ts';

/** How packages of a database are called. */
export type PackageKind = 'deb' | 'apk' | 'rpm';

/** What the databases in an image say; a kind whose database is not there is not there. */
export interface ImagePackages {
  readonly sets: ReadonlyMap<PackageKind, readonly PinnedPackage[]>;
  /** Databases that could not be read. */
  readonly unread: readonly string[];
}

const dpkgStatus = 'var/lib/dpkg/status';
/** In images without a dpkg: one file for each package. */
const dpkgParts = 'var/lib/dpkg/status.d';
const apkDatabases = ['usr/lib/apk/db/installed', 'lib/apk/db/installed'];
const rpmFolders = ['usr/lib/sysimage/rpm', 'var/lib/rpm'];
const releaseFiles = ['etc/os-release', 'usr/lib/os-release'];

/** Where image-wide facts are kept. */
const factFiles = [
  dpkgStatus,
  ...apkDatabases,
  ...rpmFolders.flatMap((folder) =>
    ['rpmdb.sqlite', 'rpmdb.sqlite-wal', 'Packages.db', 'Packages'].map((file) => `${folder}/${file}`),
  ),
  ...releaseFiles,
];

/**
 * Whether layers on top of others say anything of packages or the release that only the layers below complete.
 * @param before, after upper layers of two images with the same layers below
 */
export function factsNeedLower(before: FileTree, after: FileTree): boolean {
  const [was, is] = [before, after].map((tree) => ({
    files: factFiles.filter((file) => isFile(tree, file)),
    isPartial: [...factFiles, dpkgParts].some((file) => isTouched(tree, file) && !isFile(tree, file)),
  }));
  return was?.isPartial === true || is?.isPartial === true || was?.files.join() !== is?.files.join();
}

/** Whether layers say anything of what is installed. */
export function touchesPackages(tree: FileTree): boolean {
  const databases = factFiles.filter((file) => !releaseFiles.includes(file));
  return tree.names(dpkgParts).length > 0 || [...databases, dpkgParts].some((file) => isTouched(tree, file));
}

/** @param scratch a folder for files in passing */
export async function packagesOf(tree: FileTree, scratch: string, options: CallOptions = {}): Promise<ImagePackages> {
  const sets = new Map<PackageKind, readonly PinnedPackage[]>();
  const deb = await dpkgPackages(tree, options);
  if (deb !== undefined) sets.set('deb', sortPinned(deb));
  const apk = await firstText(tree, apkDatabases, options);
  if (apk !== undefined) sets.set('apk', sortPinned(parseApkInstalled(apk)));
  const rpm = await rpmPackages(tree, scratch, options);
  if (rpm.packages !== undefined) sets.set('rpm', sortPinned(rpm.packages));
  return { sets, unread: rpm.unread };
}

/** What os-release(5) says; undefined for a root without one. */
export async function releaseOf(tree: FileTree, options: CallOptions = {}): Promise<OsRelease | undefined> {
  const text = await firstText(tree, releaseFiles, options);
  return text === undefined ? undefined : parseOsRelease(text);
}

async function dpkgPackages(tree: FileTree, options: CallOptions): Promise<PinnedPackage[] | undefined> {
  const parts = tree.names(dpkgParts).filter((name) => !name.endsWith('.md5sums'));
  const texts: string[] = [];
  for (const file of [dpkgStatus, ...parts.map((name) => `${dpkgParts}/${name}`)]) {
    const text = await textOf(tree, file, options);
    if (text !== undefined) texts.push(text);
  }
  return texts.length === 0 ? undefined : texts.flatMap(parseDpkgStatus);
}

async function rpmPackages(
  tree: FileTree,
  scratch: string,
  options: CallOptions,
): Promise<{ readonly packages?: PinnedPackage[]; readonly unread: readonly string[] }> {
  for (const folder of rpmFolders) {
    const sqlite = `${folder}/rpmdb.sqlite`;
    const [database, ndb] = [sqlite, `${folder}/Packages.db`].map((file) => keptFile(tree, file));
    if (database !== undefined) {
      const packages = readRpmSqlite(await beside(database, keptFile(tree, `${sqlite}-wal`), scratch));
      return packages === undefined ? { unread: [sqlite] } : { packages, unread: [] };
    }
    const bytes = await keptBytes(ndb, options);
    if (bytes !== undefined) {
      const packages = readRpmNdb(bytes);
      return packages === undefined ? { unread: [`${folder}/Packages.db`] } : { packages, unread: [] };
    }
    // Berkeley DB, as rpm had it before 2020.
    if (isFile(tree, `${folder}/Packages`)) return { unread: [`${folder}/Packages`] };
  }
  return { unread: [] };
}

/** SQLite finds the log by its name, and writes: each reading has a folder of its own. */
async function beside(database: string, log: string | undefined, scratch: string): Promise<string> {
  const folder = path.join(scratch, `rpm-${path.basename(database)}`);
  try {
    await mkdir(folder);
  } catch (error) {
    // Both images have the very same database.
    if (errorCode(error) === 'EEXIST') return path.join(folder, 'rpmdb.sqlite');
    throw error;
  }
  await cp(database, path.join(folder, 'rpmdb.sqlite'));
  if (log !== undefined) await link(log, path.join(folder, 'rpmdb.sqlite-wal'));
  return path.join(folder, 'rpmdb.sqlite');
}

async function firstText(tree: FileTree, files: readonly string[], options: CallOptions): Promise<string | undefined> {
  for (const file of files) {
    const text = await textOf(tree, file, options);
    if (text !== undefined) return text;
  }
  return undefined;
}

async function textOf(tree: FileTree, file: string, options: CallOptions): Promise<string | undefined> {
  return (await keptBytes(keptFile(tree, file), options))?.toString('utf8');
}

function keptFile(tree: FileTree, file: string): string | undefined {
  const found = tree.find(file);
  return found?.kind === 'leaf' ? found.content?.file : undefined;
}

function isFile(tree: FileTree, file: string): boolean {
  const found = tree.find(file);
  return found?.kind === 'leaf' && found.entry.type === 'file';
}

/** Something is said of the path, or of a folder above it, other than that the folder is there. */
function isTouched(tree: FileTree, file: string): boolean {
  const names = file.split('/');
  return names.some((_, index) => {
    const node = tree.at(byteString(names.slice(0, index + 1).join('/')));
    const isWhole = index === names.length - 1;
    return node !== undefined && (node.kind !== 'directory' || node.isOpaque || isWhole);
  });
}

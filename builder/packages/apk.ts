import { copyFile, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { nearest, ToolError } from '../../core/index.ts';
import type { ActiveSnapshot, SandboxMount } from '../../runtime/index.ts';
import { sortPinned } from '../lock/lock-content.ts';
import { countText } from '../lock/moves.ts';
import type { PinnedPackage } from '../lock/pins.ts';
import { missingFromApk, parseApkIndex, parseSimulated } from './apk-output.ts';
import { apkHashOf } from './apk-package.ts';
import { filesIn, goneFromArchive, makeFolders, PackageFiles, placeKept } from './package-files.ts';
import {
  insideFolder,
  lastLines,
  needNetwork,
  type PackageSite,
  rootFolder,
  runTool,
  type ToolResult,
} from './package-site.ts';
import { type AskOptions, type FoundPackages, PackagesFailure, type PackageTool } from './package-tool.ts';
import { type PackageRequest, splitRequested } from './question.ts';

/**
 * apk resolves and fetches with the repositories' signed indexes, and installs from a repository of just the fetched
 * files: so its world file has the names as the step has them, and the versions are the resolved ones.
 */
export const apk: PackageTool = { find, install };

const cacheFolder = `${insideFolder}/apk`;
const fetchFolder = `${insideFolder}/fetched`;
const repositoryFolder = `${insideFolder}/repository`;
const maxAgeMinutes = String(365 * 24 * 60);
const maxIndexBytes = 512 * 1024 * 1024;

async function find(site: PackageSite, request: PackageRequest, options: AskOptions): Promise<FoundPackages> {
  await using folder = await openIndexes(site);
  await refreshed(site, folder, options);
  // The indexes are there; by --no-network apk would leave out what is not.
  const argv = [...asking, '--cache-max-age', maxAgeMinutes, 'add', '--simulate', ...request.names];
  const answer = await runTool(
    { ...site, onOutput: () => {} },
    { argv, mounts: folder.mounts, network: 'none', quiet: true },
  );
  const known = await indexedPackages(folder.path);
  if (answer.exitCode !== 0) throw notFound(answer, known);
  const found = parseSimulated(answer.stdout).map(({ name, version }) => {
    const one = known.find((candidate) => candidate.name === name && candidate.version === version);
    if (one !== undefined) return one;
    throw new ToolError('PACKAGES_FAILED', `apk would install ${name} ${version}, which no index of the image has`);
  });
  return { packages: sortPinned(found), security: new Set() };
}

async function install(
  site: PackageSite,
  request: PackageRequest,
  packages: readonly PinnedPackage[],
  active: ActiveSnapshot,
  options: AskOptions,
): Promise<void> {
  await using scratch = await (await site.workshop.scratch()).make('apk');
  await makeFolders(scratch.path, ['files', 'repository']);
  await placeApks(site, packages, path.join(scratch.path, 'files'), options);
  await makeRepository(site, scratch.path);

  site.onStatus(`installing ${countText(packages.length)}`);
  const mounts = [bind(path.join(scratch.path, 'repository'), repositoryFolder, true)];
  // What is in the repository was checked one by one; its index is ours and has no signature.
  const argv = [
    ...['apk', '--no-progress', '--no-cache', '--allow-untrusted', '--repositories-file', '/dev/null'],
    ...['--repository', repositoryFolder, 'add', ...request.names],
  ];
  const { exitCode, tail } = await runTool(site, { argv, mounts, network: site.network, active });
  if (exitCode !== 0) throw new PackagesFailure(`apk add ${request.names.join(' ')}`, exitCode, tail);
}

const asking = ['apk', '--no-progress', '--cache-dir', cacheFolder];

/** All files of the set in `folder`: those that are kept, and the others out of the repositories. */
async function placeApks(
  site: PackageSite,
  packages: readonly PinnedPackage[],
  folder: string,
  options: AskOptions,
): Promise<void> {
  const files = new PackageFiles(site.workshop, apkHashOf);
  const missing = await placeKept(files, packages, folder, fileName, site);
  if (missing.length === 0) return;
  needNetwork(site, `${countText(missing.length)} must be downloaded`);
  await using indexes = await openIndexes(site);
  await using scratch = await (await site.workshop.scratch()).make('apks');
  await refreshed(site, indexes, options);
  site.onStatus(`downloading ${countText(missing.length)}`);
  const cached = [...asking, '--cache-max-age', maxAgeMinutes];
  const mounts = [...indexes.mounts, bind(scratch.path, fetchFolder, false)];
  const names = missing.map(({ name }) => name);
  const fetched = await runTool(site, {
    argv: [...cached, 'fetch', '-o', fetchFolder, ...names],
    mounts,
    network: site.network,
  });
  await adoptAll(site, files, missing, scratch.path);
  const older = await placeKept(files, missing, folder, fileName, site);
  if (older.length === 0) return;
  // apk fetch knows names only and takes the newest; what is pinned to an older version comes by way of the cache.
  const exact = older.map(({ name, version }) => `${name}=${version}`);
  const argv = [...cached, 'cache', 'download', ...exact];
  const downloaded = await runTool(site, { argv, mounts, network: site.network });
  await adoptAll(site, files, older, indexes.path);
  const lost = await placeKept(files, older, folder, fileName, site);
  if (lost.length === 0) return;
  const known = await indexedPackages(indexes.path);
  const isListed = (one: PinnedPackage) =>
    known.some((other) => other.name === one.name && other.version === one.version);
  const gone = lost.filter((one) => !isListed(one));
  throw gone.length > 0 ? goneFromArchive(gone) : fetchFailure(Buffer.concat([fetched.tail, downloaded.tail]));
}

/** In apk's cache a piece of the hash comes between version and ending. */
async function adoptAll(
  site: PackageSite,
  files: PackageFiles,
  packages: readonly PinnedPackage[],
  folder: string,
): Promise<void> {
  const names = await filesIn(folder, '.apk');
  for (const one of packages) {
    const start = `${one.name}-${one.version}.`;
    const found = names.find(
      (name) => name.startsWith(start) && /^(?:[0-9a-f]{8}\.)?apk$/.test(name.slice(start.length)),
    );
    if (found !== undefined) await files.adopt(path.join(folder, found), one, site);
  }
}

/** apk looks for packages, and their index, in a folder named after its architecture. */
async function makeRepository(site: PackageSite, scratch: string): Promise<void> {
  const { stdout } = await runTool(site, { argv: ['apk', '--print-arch'], mounts: [], network: 'none', quiet: true });
  const architecture = /^[A-Za-z0-9_]+$/.exec(stdout.trim())?.[0] ?? 'noarch';
  const folder = path.join(scratch, 'repository', architecture);
  await makeFolders(scratch, [`repository/${architecture}`]);
  const names = await filesIn(path.join(scratch, 'files'), '.apk');
  for (const name of names) await copyFile(path.join(scratch, 'files', name), path.join(folder, name));
  const inside = `${repositoryFolder}/${architecture}`;
  const argv = [
    ...['apk', '--no-progress', '--allow-untrusted', 'index', '--no-warnings', '--rewrite-arch', architecture],
    ...['-o', `${inside}/APKINDEX.tar.gz`, ...names.map((name) => `${inside}/${name}`)],
  ];
  const mounts = [bind(path.join(scratch, 'repository'), repositoryFolder, false)];
  const { exitCode, tail } = await runTool(site, { argv, mounts, network: 'none', quiet: true });
  if (exitCode !== 0) throw new ToolError('PACKAGES_FAILED', ['apk index failed:', ...lastLines(tail)].join('\n  '));
}

interface Indexes extends AsyncDisposable {
  readonly path: string;
  readonly mounts: readonly SandboxMount[];
  readonly isNew: boolean;
}

async function openIndexes(site: PackageSite): Promise<Indexes> {
  const folder = await rootFolder(site);
  return {
    path: folder.path,
    mounts: [bind(folder.path, cacheFolder, false)],
    isNew: folder.isNew,
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

async function refreshed(site: PackageSite, indexes: Indexes, { mustRefresh }: AskOptions): Promise<void> {
  if (!mustRefresh() && !indexes.isNew) return;
  needNetwork(site, 'the package repositories are to be asked');
  site.onStatus('asking the package repositories');
  // Versions of apk differ in when they take an index for new enough.
  for (const name of await filesIn(indexes.path, '.tar.gz')) await rm(path.join(indexes.path, name));
  const argv = [...asking, 'update'];
  const { exitCode, tail } = await runTool(site, { argv, mounts: indexes.mounts, network: site.network });
  if (exitCode === 0) return;
  throw new ToolError('PACKAGES_ARCHIVE', ['apk update failed in the image:', ...lastLines(tail)].join('\n  '), {
    hint: 'check the network, and /etc/apk/repositories of the image',
  });
}

/** Of the indexes that apk keeps in its cache. */
async function indexedPackages(folder: string): Promise<PinnedPackage[]> {
  const packages: PinnedPackage[] = [];
  for (const name of await filesIn(folder, '.tar.gz')) {
    const tar = gunzipSync(await readFile(path.join(folder, name)), { maxOutputLength: maxIndexBytes });
    packages.push(...parseApkIndex(indexText(tar)));
  }
  return packages;
}

/** The file APKINDEX of the archive, which apk has checked: a signature and a description come before it. */
function indexText(tar: Buffer): string {
  for (let at = 0; at + 512 <= tar.length; ) {
    const name = tar.toString('latin1', at, at + 100).replace(/\0.*$/s, '');
    const size = Number.parseInt(tar.toString('latin1', at + 124, at + 136), 8) || 0;
    if (name === 'APKINDEX') return tar.toString('utf8', at + 512, at + 512 + size);
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return '';
}

function notFound(answer: ToolResult, known: readonly PinnedPackage[]): ToolError {
  const missing = missingFromApk(answer.tail.toString('utf8'));
  if (missing.length === 0) {
    const lines = lastLines(answer.tail, 16);
    return new ToolError('PACKAGES_FAILED', ['apk cannot install these packages together:', ...lines].join('\n  '));
  }
  const names = new Set(known.map(({ name }) => name));
  const sentences = missing.map((text) => {
    const { name, version } = splitRequested(text);
    const versions = [...new Set(known.filter((one) => one.name === name).map((one) => one.version))];
    if (version !== undefined && versions.length > 0)
      return `${name} has no version ${version}; the repositories have ${versions.slice(0, 5).join(', ')}`;
    const near = nearest(name, names);
    return `there is no package ${name}${near === undefined ? '' : `; is ${near} meant?`}`;
  });
  return new ToolError('PACKAGES_NOT_FOUND', sentences.join('\n  '), {
    hint: 'names are those of the base’s own distribution and release',
  });
}

function fetchFailure(output: Buffer): ToolError {
  return new ToolError('PACKAGES_ARCHIVE', ['packages could not be downloaded:', ...lastLines(output)].join('\n  '), {
    hint: 'check the network, and /etc/apk/repositories of the image',
  });
}

function fileName({ name, version }: PinnedPackage): string {
  return `${name}-${version}.apk`;
}

function bind(source: string, destination: string, readOnly: boolean): SandboxMount {
  return { kind: 'bind', source, destination, readOnly };
}

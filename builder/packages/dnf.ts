import { mkdir, readdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { errorCode, nearest, removeTree, ToolError } from '../../core/index.ts';
import type { ActiveSnapshot, SandboxMount } from '../../runtime/index.ts';
import { sortPinned } from '../lock/lock-content.ts';
import { countText } from '../lock/moves.ts';
import type { PinnedPackage } from '../lock/pins.ts';
import { parseRpmLines, rpmFormat } from './installed.ts';
import { filesIn, goneFromArchive, makeFolders, PackageFiles, placeKept, sha256OfFile } from './package-files.ts';
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
import { settleRpmDatabase } from './rpm-database.ts';

/**
 * dnf says what it would install by downloading it: that is how one learns the exact files, whose signatures it checks. It
 * installs the files, with no repository in sight.
 */
export const dnf: PackageTool = { find, install };

const cacheFolder = `${insideFolder}/dnf`;
const fetchFolder = `${insideFolder}/fetched`;
const stateFolder = `${insideFolder}/state`;

function settings(cache: string, values: Readonly<Record<string, string>>): string[] {
  const all = {
    cachedir: cache,
    // dnf 5 has another one for root.
    system_cachedir: cache,
    logdir: `${cache}/log`,
    keepcache: '1',
    // Deltas are put together anew, with other bytes.
    deltarpm: '0',
    ...values,
  };
  return ['dnf', '-y', ...Object.entries(all).map(([name, value]) => `--setopt=${name}=${value}`)];
}

async function find(site: PackageSite, request: PackageRequest, options: AskOptions): Promise<FoundPackages> {
  needNetwork(site, 'the package repositories are to be asked');
  site.onStatus('asking the package repositories');
  await using fetched = await download(site, request.names.map(dnfArgument), request.recommends, options);
  if (fetched.result.exitCode !== 0) throw await notFound(site, fetched.result);
  const packages = await readPackages(site, fetched.path);
  const files = new PackageFiles(site.workshop, sha256OfFile);
  for (const { file, one } of packages) await files.adopt(path.join(fetched.path, file), one, site);
  return { packages: sortPinned(packages.map(({ one }) => one)), security: new Set() };
}

async function install(
  site: PackageSite,
  request: PackageRequest,
  packages: readonly PinnedPackage[],
  active: ActiveSnapshot,
  options: AskOptions,
): Promise<void> {
  await using scratch = await (await site.workshop.scratch()).make('dnf');
  await makeFolders(scratch.path, ['rpms', 'state']);
  const rpms = path.join(scratch.path, 'rpms');
  await placeRpms(site, packages, rpms, options);
  site.onStatus(`installing ${countText(packages.length)}`);
  const mounts = [bind(rpms, fetchFolder, true), bind(path.join(scratch.path, 'state'), stateFolder, false)];
  const argv = [
    ...settings(stateFolder, { install_weak_deps: '0', localpkg_gpgcheck: '0', reposdir: '/dev/null' }),
    ...['--disablerepo=*', 'install', ...packages.map((one) => `${fetchFolder}/${rpmName(one)}`)],
  ];
  const { exitCode, tail } = await runTool(site, { argv, mounts, network: site.network, active });
  if (exitCode !== 0) throw new PackagesFailure(`dnf install ${request.names.join(' ')}`, exitCode, tail);
  await settleRpmDatabase(site, active);
}

async function placeRpms(
  site: PackageSite,
  packages: readonly PinnedPackage[],
  folder: string,
  options: AskOptions,
): Promise<void> {
  const files = new PackageFiles(site.workshop, sha256OfFile);
  const missing = await placeKept(files, packages, folder, rpmName, site);
  if (missing.length === 0) return;
  needNetwork(site, `${countText(missing.length)} must be downloaded`);
  site.onStatus(`downloading ${countText(missing.length)}`);
  // All of the set: one that is kept may be what another needs.
  const names = packages.map(({ name, version, architecture }) => `${name}-${version}.${architecture}`);
  await using fetched = await download(site, names, false, options);
  if (fetched.result.exitCode !== 0) throw fetchFailure(fetched.result, packages);
  for (const { file, one } of await readPackages(site, fetched.path)) {
    const wanted = missing.find((candidate) => rpmName(candidate) === rpmName(one));
    if (wanted !== undefined) await files.adopt(path.join(fetched.path, file), wanted, site);
  }
  const lost = await placeKept(files, missing, folder, rpmName, site);
  if (lost.length > 0) throw goneFromArchive(lost);
}

interface Fetched extends AsyncDisposable {
  /** Folder of what was downloaded and of nothing else. */
  readonly path: string;
  readonly result: ToolResult;
}

async function download(
  site: PackageSite,
  names: readonly string[],
  weak: boolean,
  { mustRefresh }: AskOptions,
): Promise<Fetched> {
  await using folder = await rootFolder(site);
  const scratch = await (await site.workshop.scratch()).make('rpms');
  try {
    // What an earlier question brought is not part of this answer.
    await moveRpms(folder.path, undefined);
    const argv = [
      ...settings(cacheFolder, { install_weak_deps: weak ? '1' : '0' }),
      ...(mustRefresh() ? ['--refresh'] : []),
      ...['install', '--downloadonly', '--allowerasing', ...names],
    ];
    const mounts = [bind(folder.path, cacheFolder, false)];
    const result = await runTool(site, { argv, mounts, network: site.network });
    await moveRpms(folder.path, scratch.path);
    return { path: scratch.path, result, [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose]() };
  } catch (error) {
    await scratch[Symbol.asyncDispose]();
    throw error;
  }
}

/** Each repository has a folder, and in it `packages`. */
async function moveRpms(cache: string, destination: string | undefined): Promise<void> {
  for (const repository of await readdir(cache)) {
    const folder = path.join(cache, repository, 'packages');
    const names = await readdir(folder).catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return [];
      throw error;
    });
    for (const name of names) {
      if (destination !== undefined && name.endsWith('.rpm'))
        await rename(path.join(folder, name), path.join(destination, name));
    }
    if (destination === undefined && names.length > 0) {
      await removeTree(folder);
      await mkdir(folder, { mode: 0o755 });
    }
  }
}

interface ReadPackage {
  readonly file: string;
  readonly one: PinnedPackage;
}

/** The names and versions inside the files, as the image's own rpm reads them. */
async function readPackages(site: PackageSite, folder: string): Promise<ReadPackage[]> {
  const files = await filesIn(folder, '.rpm');
  if (files.length === 0) return [];
  const argv = ['rpm', '-qp', '--nosignature', '--qf', rpmFormat, ...files.map((file) => `${fetchFolder}/${file}`)];
  const mounts = [bind(folder, fetchFolder, true)];
  const { exitCode, stdout, tail } = await runTool(site, { argv, mounts, network: 'none', quiet: true });
  const packages = parseRpmLines(stdout);
  if (exitCode !== 0 || packages.length !== files.length) {
    throw new ToolError('PACKAGES_FAILED', ['rpm cannot read what dnf downloaded:', ...lastLines(tail)].join('\n  '));
  }
  const hashes = await Promise.all(files.map((file) => sha256OfFile(path.join(folder, file), site)));
  return packages.map((one, index) => ({ file: files[index] ?? '', one: { ...one, hash: hashes[index] ?? '' } }));
}

async function notFound(site: PackageSite, result: ToolResult): Promise<ToolError> {
  const output = result.tail.toString('utf8');
  const missing = [...output.matchAll(/(?:No match for argument: |Unable to find a match: )(.+)$/gm)].flatMap(
    ([, names = '']) =>
      names
        .replace(/\x1b\[[0-9;]*m/g, '')
        .trim()
        .split(/\s+/),
  );
  if (missing.length === 0) {
    const lines = lastLines(result.tail, 16);
    return new ToolError('PACKAGES_FAILED', ['dnf cannot get these packages:', ...lines].join('\n  '));
  }
  const known = await knownNames(site);
  const sentences = [...new Set(missing)].map((name) => {
    const near = nearest(name, known);
    return `there is no package ${name}${near === undefined ? '' : `; is ${near} meant?`}`;
  });
  return new ToolError('PACKAGES_NOT_FOUND', sentences.join('\n  '), {
    hint: 'names are those of the base’s own distribution and release',
  });
}

async function knownNames(site: PackageSite): Promise<Set<string>> {
  await using folder = await rootFolder(site);
  const argv = [...settings(cacheFolder, {}), '-q', '-C', 'repoquery', '--qf', '%{name}\n'];
  const mounts = [bind(folder.path, cacheFolder, false)];
  const { stdout } = await runTool({ ...site, onOutput: () => {} }, { argv, mounts, network: 'none', quiet: true });
  return new Set(stdout.split('\n').filter((name) => name !== ''));
}

function fetchFailure(result: ToolResult, packages: readonly PinnedPackage[]): ToolError {
  const output = result.tail.toString('utf8');
  const lost = packages.filter((one) => output.includes(`${one.name}-${one.version}.${one.architecture}`));
  if (/No match for argument|Unable to find a match/.test(output))
    return goneFromArchive(lost.length > 0 ? lost : packages);
  return new ToolError(
    'PACKAGES_ARCHIVE',
    ['packages could not be downloaded:', ...lastLines(result.tail)].join('\n  '),
    { hint: 'check the network, and /etc/yum.repos.d of the image' },
  );
}

/** rpm's way to say a version: `name-version`. */
function dnfArgument(text: string): string {
  const { name, version } = splitRequested(text);
  return version === undefined ? name : `${name}-${version}`;
}

function rpmName({ name, version, architecture }: PinnedPackage): string {
  return `${name}-${version.replace(':', '%3a')}.${architecture}.rpm`;
}

function bind(source: string, destination: string, readOnly: boolean): SandboxMount {
  return { kind: 'bind', source, destination, readOnly };
}

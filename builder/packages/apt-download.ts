import path from 'node:path';
import { ToolError } from '../../core/index.ts';
import type { SandboxMount } from '../../runtime/index.ts';
import { countText } from '../lock/moves.ts';
import type { PinnedPackage } from '../lock/pins.ts';
import { openIndexes, refreshed } from './apt-archive.ts';
import { aptArgument, archiveName, missingPackages } from './apt-output.ts';
import { asking, fetchFolder } from './apt-settings.ts';
import { filesIn, goneFromArchive, PackageFiles, placeKept, sha256OfFile } from './package-files.ts';
import { lastLines, needNetwork, type PackageSite, runTool, type ToolResult } from './package-site.ts';
import type { AskOptions } from './package-tool.ts';

/**
 * All files of the set in `folder`: those that are kept, and the others out of the archive.
 * @throws ToolError PACKAGES_GONE, PACKAGES_HASH, PACKAGES_ARCHIVE, PACKAGES_NETWORK
 */
export async function placeDebs(
  site: PackageSite,
  packages: readonly PinnedPackage[],
  folder: string,
  options: AskOptions,
): Promise<void> {
  const files = new PackageFiles(site.workshop, sha256OfFile);
  const missing = await placeKept(files, packages, folder, archiveName, site);
  if (missing.length === 0) return;
  await fetchAll(site, missing, files, options);
  const lost = await placeKept(files, missing, folder, archiveName, site);
  if (lost.length > 0) throw goneFromArchive(lost);
}

async function fetchAll(
  site: PackageSite,
  packages: readonly PinnedPackage[],
  files: PackageFiles,
  options: AskOptions,
): Promise<void> {
  needNetwork(site, `${countText(packages.length)} must be downloaded`);
  await using folder = await openIndexes(site);
  await using scratch = await (await site.workshop.scratch()).make('debs');
  await refreshed(site, folder, options);
  site.onStatus(`downloading ${countText(packages.length)}`);
  const mounts: SandboxMount[] = [
    ...folder.mounts,
    { kind: 'bind', source: scratch.path, destination: fetchFolder, readOnly: false },
  ];
  const argv = ['apt-get', ...asking, 'download', ...packages.map(aptArgument)];
  const result = await runTool(site, { argv, mounts, network: site.network, cwd: fetchFolder });
  if (result.exitCode !== 0) throw fetchFailure(result, packages);
  const fetched = new Set(await filesIn(scratch.path, '.deb'));
  for (const one of packages) {
    const name = archiveName(one);
    if (fetched.has(name)) await files.adopt(path.join(scratch.path, name), one, site);
  }
}

function fetchFailure(result: ToolResult, packages: readonly PinnedPackage[]): ToolError {
  const missing = new Set(missingPackages(result.tail.toString('utf8')).map(({ name }) => name.replace(/:.*$/, '')));
  const lost = packages.filter(({ name }) => missing.has(name));
  if (lost.length > 0) return goneFromArchive(lost);
  return new ToolError(
    'PACKAGES_ARCHIVE',
    ['packages could not be downloaded:', ...lastLines(result.tail)].join('\n  '),
    { hint: 'check the network, and the sources of the image under /etc/apt' },
  );
}

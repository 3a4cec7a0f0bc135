import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type ActiveSnapshot, RootView, type SandboxMount } from '../../runtime/index.ts';
import { countText } from '../lock/moves.ts';
import type { PinnedPackage } from '../lock/pins.ts';
import { findByApt } from './apt-archive.ts';
import { placeDebs } from './apt-download.ts';
import { autoInstalled } from './apt-marks.ts';
import { archiveName } from './apt-output.ts';
import { debFolder, dpkgOptions, installing, stateFolder } from './apt-settings.ts';
import { changedView, nextRun } from './changed-view.ts';
import { maxDatabaseBytes } from './installed.ts';
import { makeFolders } from './package-files.ts';
import { type PackageSite, runTool } from './package-site.ts';
import { type AskOptions, PackagesFailure, type PackageTool } from './package-tool.ts';
import type { PackageRequest } from './question.ts';

/**
 * apt-get resolves and fetches with the archive's signed lists. It installs from the fetched files alone: then the order in
 * which packages are set up, and with it the ids of users they add, does not depend on what else is in the archive.
 */
export const apt: PackageTool = { find: findByApt, install };

async function install(
  site: PackageSite,
  request: PackageRequest,
  packages: readonly PinnedPackage[],
  active: ActiveSnapshot,
  options: AskOptions,
): Promise<void> {
  await using scratch = await (await site.workshop.scratch()).make('apt');
  await makeFolders(scratch.path, ['debs', 'state/lists/partial', 'state/cache/archives/partial']);
  const debs = path.join(scratch.path, 'debs');
  await placeDebs(site, packages, debs, options);

  site.onStatus(`installing ${countText(packages.length)}`);
  const mounts: SandboxMount[] = [
    { kind: 'bind', source: debs, destination: debFolder, readOnly: true },
    { kind: 'bind', source: path.join(scratch.path, 'state'), destination: stateFolder, readOnly: false },
    await policyMount(scratch.path),
  ];
  const files = packages.map((one) => `${debFolder}/${archiveName(one)}`);
  const argv = ['apt-get', ...installing, ...dpkgOptions, 'install', ...files];
  const { exitCode, tail } = await runTool(site, { argv, mounts, network: site.network, active });
  if (exitCode !== 0) throw new PackagesFailure(`apt-get install ${request.names.join(' ')}`, exitCode, tail);
  await writeMarks(site, request, active, scratch.path);
}

/** A file that says no to invoke-rc.d: an image under construction runs no services. */
async function policyMount(scratch: string): Promise<SandboxMount> {
  const file = path.join(scratch, 'policy-rc.d');
  await writeFile(file, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  return { kind: 'bind', source: file, destination: '/usr/sbin/policy-rc.d', readOnly: true };
}

async function writeMarks(
  site: PackageSite,
  request: PackageRequest,
  active: ActiveSnapshot,
  scratch: string,
): Promise<void> {
  const file = 'var/lib/apt/extended_states';
  const [before, after] = [new RootView(site.workshop.options.launcher, site.parent), changedView(site, active)];
  const read = async (view: RootView, name: string) =>
    (await view.readFile(name, maxDatabaseBytes))?.toString('utf8') ?? '';
  const text = autoInstalled({
    before: await read(before, file),
    statusBefore: await read(before, 'var/lib/dpkg/status'),
    statusAfter: await read(after, 'var/lib/dpkg/status'),
    names: request.names,
  });
  if (text === (await read(after, file))) return;
  await makeFolders(scratch, ['marks']);
  await writeFile(path.join(scratch, 'marks', 'extended_states'), text);
  // In a container of its own, as a link in the image must not lead out of it.
  await runTool(site, {
    argv: ['/bin/sh', '-c', `cat ${stateFolder}/extended_states > /${file}`],
    mounts: [{ kind: 'bind', source: path.join(scratch, 'marks'), destination: stateFolder, readOnly: true }],
    network: 'none',
    active: await nextRun(active, scratch),
  });
}

import { nearest, ToolError } from '../../core/index.ts';
import type { SandboxMount } from '../../runtime/index.ts';
import { sortPinned } from '../lock/lock-content.ts';
import { missingPackages, parsePrintedUris } from './apt-output.ts';
import { asking, indexFolder } from './apt-settings.ts';
import { makeFolders } from './package-files.ts';
import { lastLines, needNetwork, type PackageSite, rootFolder, runTool, type ToolResult } from './package-site.ts';
import type { AskOptions, FoundPackages } from './package-tool.ts';
import type { PackageRequest } from './question.ts';

/** What apt would install now, by the indexes of the image’s own sources. */
export async function findByApt(
  site: PackageSite,
  request: PackageRequest,
  options: AskOptions,
): Promise<FoundPackages> {
  await using folder = await openIndexes(site);
  await refreshed(site, folder, options);
  const recommends = ['-o', `APT::Install-Recommends=${request.recommends ? '1' : '0'}`];
  const argv = ['apt-get', ...asking, ...recommends, '--print-uris', 'install', ...request.names];
  const answer = await ask(site, argv, folder.mounts);
  if (answer.exitCode !== 0) throw await notFound(site, answer, folder.mounts);
  const files = parsePrintedUris(answer.stdout);
  const unhashed = files.find((file) => file.package.hash === '');
  if (unhashed !== undefined) {
    throw new ToolError(
      'PACKAGES_FAILED',
      `the archive of ${unhashed.package.name} has no SHA-256 of it: ${unhashed.uri}`,
    );
  }
  const security = files.filter((file) => /security/i.test(file.uri)).map((file) => file.package.name);
  return { packages: sortPinned(files.map((file) => file.package)), security: new Set(security) };
}

export interface Indexes extends AsyncDisposable {
  readonly mounts: readonly SandboxMount[];
  readonly isNew: boolean;
}

export async function openIndexes(site: PackageSite): Promise<Indexes> {
  const folder = await rootFolder(site);
  await makeFolders(folder.path, ['lists/partial', 'cache/archives/partial']);
  return {
    mounts: [{ kind: 'bind', source: folder.path, destination: indexFolder, readOnly: false }],
    isNew: folder.isNew,
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

export async function refreshed(
  site: PackageSite,
  { mounts, isNew }: Indexes,
  { mustRefresh }: AskOptions,
): Promise<void> {
  if (!mustRefresh() && !isNew) return;
  needNetwork(site, 'the package archive is to be asked');
  site.onStatus('asking the package archive');
  const argv = ['apt-get', ...asking, 'update'];
  const { exitCode, tail } = await runTool(site, { argv, mounts, network: site.network });
  if (exitCode === 0) return;
  throw new ToolError('PACKAGES_ARCHIVE', ['apt-get update failed in the image:', ...lastLines(tail)].join('\n  '), {
    hint: 'check the network, and the sources of the image under /etc/apt',
  });
}

/** A question that needs no network. */
function ask(site: PackageSite, argv: readonly string[], mounts: readonly SandboxMount[]): Promise<ToolResult> {
  return runTool({ ...site, onOutput: () => {} }, { argv, mounts, network: 'none', quiet: true });
}

async function notFound(site: PackageSite, answer: ToolResult, mounts: readonly SandboxMount[]): Promise<ToolError> {
  const missing = missingPackages(answer.tail.toString('utf8'));
  if (missing.length === 0) {
    const lines = lastLines(answer.tail, 16);
    return new ToolError('PACKAGES_FAILED', ['apt cannot install these packages together:', ...lines].join('\n  '));
  }
  const names = (await ask(site, ['apt-cache', ...asking, 'pkgnames'], mounts)).stdout.split('\n');
  const sentences: string[] = [];
  for (const { name, version } of missing) {
    if (version !== undefined)
      sentences.push(`${name} has no version ${version}${await versionsOf(site, name, mounts)}`);
    else {
      const near = nearest(
        name,
        names.filter((one) => one !== name && one !== ''),
      );
      sentences.push(`there is no package ${name}${near === undefined ? '' : `; is ${near} meant?`}`);
    }
  }
  return new ToolError('PACKAGES_NOT_FOUND', sentences.join('\n  '), {
    hint: 'names are those of the base’s own distribution and release',
  });
}

async function versionsOf(site: PackageSite, name: string, mounts: readonly SandboxMount[]): Promise<string> {
  const { stdout } = await ask(site, ['apt-cache', ...asking, 'madison', name], mounts);
  const versions = [...new Set(stdout.split('\n').flatMap((line) => line.split('|')[1]?.trim() ?? []))].slice(0, 5);
  return versions.length === 0 ? '' : `; the archive has ${versions.join(', ')}`;
}

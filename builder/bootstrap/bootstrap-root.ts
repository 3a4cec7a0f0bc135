import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { canonicalJson, ToolError } from '../../core/index.ts';
import type { BootstrapSource } from '../plan/plan.ts';
import { archivesFor, formatArchives, withoutCredentials } from './archives.ts';
import { type HostApt, readHostApt } from './host-apt.ts';
import { debianArchitecture, formatPackage, type PackageVersion, parseInstalled } from './packages.ts';
import { type BootstrapOptions, bootstrapFailure, type ResolvedBootstrap, temporaryFolder } from './resolve.ts';
import { writeSkeleton } from './root-skeleton.ts';
import { requireTool, runTool, ToolFailure } from './tool-process.ts';

/**
 * Makes the root file system in a new folder inside `scratch`, as the tools leave it, and checks that it holds exactly
 * the resolved packages. Needs uid 0 of a user namespace that has subordinate ids, or the real one. Disposing removes
 * the folder.
 * @throws ToolError BOOTSTRAP_FAILED, BOOTSTRAP_MOVED, ENVIRONMENT_MISSING_TOOL
 */
export async function bootstrapRoot(
  resolved: ResolvedBootstrap,
  options: BootstrapOptions,
): Promise<AsyncDisposable & { readonly path: string }> {
  await requireTool('mmdebstrap', 'mmdebstrap');
  const { source } = resolved;
  const architecture = debianArchitecture(resolved.architecture);
  const host = await readHostApt(options);
  const archives = archivesFor(source, host);
  if (canonicalJson(archives.map(withoutCredentials)) !== canonicalJson(resolved.archives)) {
    throw moved(source, ['the apt sources of this machine']);
  }

  await using cleanup = new AsyncDisposableStack();
  const folder = cleanup.use(await temporaryFolder(options.scratch, 'bootstrap-'));
  const root = path.join(folder.path, 'root');
  const settings = path.join(folder.path, 'apt.conf');
  const sources = path.join(folder.path, 'kiln.sources');
  await writeSkeleton(root, architecture, resolved.packages);
  await writeFile(settings, aptSettings(host));
  await writeFile(sources, formatArchives(archives));
  try {
    await runTool([...confinement, ...mmdebstrap({ source, architecture, root, settings, sources })], {
      signal: options.signal,
      onOutput: options.onOutput,
      cwd: folder.path,
      env: { ...options.proxyEnvironment, TMPDIR: folder.path },
    });
  } catch (error) {
    throw error instanceof ToolFailure ? bootstrapFailure(source, error) : error;
  }
  const installed = parseInstalled(await readFile(path.join(root, 'var/lib/dpkg/status'), 'utf8'));
  const differences = differencesOf(resolved.packages, installed);
  if (differences.length > 0) throw moved(source, differences);

  const kept = cleanup.move();
  return { path: root, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/**
 * Own mounts and processes: nothing of either outlives the bootstrap, however it ends. Without mknod the real root goes
 * the same way as root of a user namespace, which cannot have it.
 */
const confinement = [
  ...['setpriv', '--inh-caps=-mknod', '--bounding-set=-mknod'],
  ...['unshare', '--mount', '--pid', '--ipc', '--uts', '--fork', '--kill-child', '--mount-proc'],
];

interface MmdebstrapArguments {
  readonly source: BootstrapSource;
  /** dpkg's name. */
  readonly architecture: string;
  readonly root: string;
  /** Files: apt.conf(5) and sources.list(5). */
  readonly settings: string;
  readonly sources: string;
}

function mmdebstrap({ source, architecture, root, settings, sources }: MmdebstrapArguments): string[] {
  return [
    'mmdebstrap',
    '--mode=root',
    '--format=directory',
    '--verbose',
    `--variant=${source.variant}`,
    `--architectures=${architecture}`,
    `--aptopt=${settings}`,
    // The root is thrown away when the machine crashes.
    '--dpkgopt=force-unsafe-io',
    // The skeleton is there, and the sources say which keys they are signed by.
    '--skip=check/empty,check/signed-by',
    ...(source.include.length === 0 ? [] : [`--include=${source.include.join(',')}`]),
    source.suite,
    root,
    sources,
  ];
}

/** The folders of apt belong to its own user where that one may enter, which depends on the scratch: so never. */
function aptSettings(host: HostApt): string {
  return `APT::Sandbox::User "root";\n${host.acquire}\n`;
}

function differencesOf(resolved: readonly PackageVersion[], installed: readonly PackageVersion[]): string[] {
  const wanted = new Set(resolved.map(formatPackage));
  const found = new Set(installed.map(formatPackage));
  return [...wanted, ...found].filter((name) => !wanted.has(name) || !found.has(name)).sort();
}

function moved(source: BootstrapSource, differences: readonly string[]): ToolError {
  const shown = differences.slice(0, 3).join(', ') + (differences.length > 3 ? ', …' : '');
  return new ToolError(
    'BOOTSTRAP_MOVED',
    `the archive of ${source.distribution}/${source.suite} changed between its resolution and the bootstrap: ${shown}`,
    { hint: 'try again' },
  );
}

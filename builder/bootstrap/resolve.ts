import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type CallOptions, canonicalJson, type Digest, sha256, ToolError } from '../../core/index.ts';
import { samePin } from '../lock/lock-content.ts';
import { packageMoves } from '../lock/moves.ts';
import type { PinnedPackage } from '../lock/pins.ts';
import type { BootstrapSource } from '../plan/plan.ts';
import { parseStanzas } from './apt-sources.ts';
import { type Archive, archivesFor, formatArchives, withoutCredentials } from './archives.ts';
import { type HostApt, readHostApt } from './host-apt.ts';
import {
  debianArchitecture,
  formatPackage,
  type PackageVersion,
  parseSimulation,
  sortPackages,
  withHashes,
} from './packages.ts';
import { writeSkeleton } from './root-skeleton.ts';
import { requireTool, runTool, ToolFailure } from './tool-process.ts';
import { type InstallSteps, installSteps } from './variants.ts';

/** What a bootstrap would install now, exactly; enough to know whether it was made before. */
export interface ResolvedBootstrap {
  readonly source: BootstrapSource;
  /** Of the image-spec: `amd64`. */
  readonly architecture: string;
  /** Where the packages come from; without credentials. */
  readonly archives: readonly Archive[];
  /** Sorted by name. */
  readonly packages: readonly PinnedPackage[];
  /** Of all of the above, and of the way the root is normalised. */
  readonly digest: Digest;
}

export interface BootstrapOptions extends CallOptions {
  /** An existing folder for whatever is temporary. */
  readonly scratch: string;
  /** Other than /etc/apt in tests only. */
  readonly aptFolder?: string;
  /** Such as `http_proxy`, for apt alone. */
  readonly proxyEnvironment?: Readonly<Record<string, string>>;
  readonly onOutput?: (line: string) => void;
}

export interface ResolveOptions extends BootstrapOptions {
  /** Of the image-spec: `amd64`. */
  readonly architecture: string;
  /** What must come out, or nothing. */
  readonly pinned?: readonly PinnedPackage[];
}

/** Changes with every change to what a bootstrap makes out of the same packages. */
const normalisation = 2;

/**
 * Asks the archive which packages, in which versions, a bootstrap would install now. Needs the network and some seconds.
 * @throws ToolError BOOTSTRAP_FAILED, BOOTSTRAP_GONE, BOOTSTRAP_INVALID, BOOTSTRAP_NO_ARCHIVE,
 *   BOOTSTRAP_NO_SECURITY_ARCHIVE, ENVIRONMENT_MISSING_TOOL
 */
export async function resolveBootstrap(source: BootstrapSource, options: ResolveOptions): Promise<ResolvedBootstrap> {
  const steps = installSteps(source, debianArchitecture(options.architecture));
  await requireTool('apt-get', 'apt');
  await requireTool('mmdebstrap', 'mmdebstrap');
  const host = await readHostApt(options);
  const archives = archivesFor(source, host);
  const packages = sortPackages(await simulate(source, steps, archives, host, options));
  if (options.pinned !== undefined && !samePin(options.pinned, packages)) throw gone(source, options.pinned, packages);
  return resolved({ source, architecture: options.architecture, archives: archives.map(withoutCredentials), packages });
}

/** Names a resolution by all that its result depends on. */
export function resolved(parts: Omit<ResolvedBootstrap, 'digest'>): ResolvedBootstrap {
  const { source, architecture, archives } = parts;
  const packages = sortPackages(parts.packages);
  const include = [...new Set(source.include)].sort();
  const preimage = { normalisation, source: { ...source, include }, architecture, archives, packages };
  return { source, architecture, archives, packages, digest: sha256(canonicalJson(preimage)) };
}

/** What BOOTSTRAP_FAILED looks like, wherever a tool of apt fails. */
export function bootstrapFailure(source: BootstrapSource, failure: ToolFailure): ToolError {
  const lines = failure.lines.filter((line) => !/^(?:Reading|Building) .*\.\.\.$/.test(line)).slice(-10);
  return new ToolError(
    'BOOTSTRAP_FAILED',
    [`${source.distribution}/${source.suite} cannot be bootstrapped: ${failure.message}`, ...lines].join('\n  '),
    { hint: 'check the name of the suite, and that `apt-get update` works on this machine' },
  );
}

async function simulate(
  source: BootstrapSource,
  steps: InstallSteps,
  archives: readonly Archive[],
  host: HostApt,
  options: ResolveOptions,
): Promise<PinnedPackage[]> {
  const architecture = debianArchitecture(options.architecture);
  await using folder = await temporaryFolder(options.scratch, 'resolve-');
  const root = path.join(folder.path, 'root');
  await writeSkeleton(root, architecture, options.pinned);
  await writeFile(path.join(root, 'etc/apt/sources.list.d/kiln.sources'), formatArchives(archives));
  const configuration = path.join(folder.path, 'apt.conf');
  await writeFile(configuration, aptConfiguration(root, host, source, architecture));

  const env = { ...options.proxyEnvironment, APT_CONFIG: configuration, TMPDIR: folder.path };
  const apt = async (argv: readonly string[], onOutput?: (line: string) => void) => {
    try {
      return await runTool(argv, { signal: options.signal, env, onOutput });
    } catch (error) {
      throw error instanceof ToolFailure ? bootstrapFailure(source, error) : error;
    }
  };
  await apt(['apt-get', 'update', '--error-on=any'], options.onOutput);
  const essential = parseSimulation(await apt(['apt-get', '--simulate', '--yes', ...steps.essential]));
  if (essential.length === 0) throw noPackages(source, architecture);
  const show = async (packages: readonly PackageVersion[]) => {
    const versions = packages.map(({ name, version }) => `${name}=${version}`);
    return versions.length === 0 ? '' : (await apt(['apt-cache', 'show', ...versions])).join('\n');
  };
  const shown = await show(essential);
  if (steps.further.length === 0) return withHashes(essential, shown);

  // The second step starts from the first's result, where alternatives of dependencies may already be met.
  await writeFile(path.join(root, 'var/lib/dpkg/status'), installedStatus(shown, essential));
  const further = parseSimulation(await apt(['apt-get', '--simulate', '--yes', 'install', ...steps.further]));
  return [...withHashes(essential, shown), ...withHashes(further, await show(further))];
}

/** What mmdebstrap gives apt, so that apt decides the same. */
function aptConfiguration(root: string, host: HostApt, source: BootstrapSource, architecture: string): string {
  return [
    `APT::Architecture "${architecture}";`,
    `APT::Architectures "${architecture}";`,
    `Dir "${root}";`,
    `Dir::State::Status "${root}/var/lib/dpkg/status";`,
    'Dir::Etc::Trusted "/etc/apt/trusted.gpg";',
    'Dir::Etc::TrustedParts "/etc/apt/trusted.gpg.d";',
    'APT::Sandbox::User "root";',
    'APT::Install-Recommends "false";',
    'Acquire::Languages "none";',
    ...(source.variant === 'apt' ? [] : ['pkgCacheGen::ForceEssential ",";']),
    host.acquire,
  ].join('\n');
}

/** The stanzas of `apt-cache show` as dpkg would have them after installing these packages. */
function installedStatus(shown: string, packages: readonly PackageVersion[]): string {
  const wanted = new Set(packages.map(formatPackage));
  const stanzas = new Map<string, string>();
  for (const stanza of shown.split(/\n{2,}/)) {
    const [fields] = parseStanzas(stanza);
    const [name = '', version = '', architecture = ''] = ['package', 'version', 'architecture'].map((field) =>
      fields?.get(field),
    );
    const key = formatPackage({ name, version, architecture });
    if (wanted.has(key)) stanzas.set(key, `Status: install ok installed\n${stanza}\n`);
  }
  return [...stanzas.values()].join('\n');
}

function gone(source: BootstrapSource, pinned: readonly PinnedPackage[], found: readonly PinnedPackage[]): ToolError {
  const moves = packageMoves(pinned, found);
  const lines = moves
    .slice(0, 10)
    .map(({ name, from, to }) => `${name}: locked ${from ?? 'not to be there'}, the archive now gives ${to ?? 'none'}`);
  const more = moves.length > lines.length ? [`… (${moves.length - lines.length} more)`] : [];
  return new ToolError(
    'BOOTSTRAP_GONE',
    [
      `the archive of ${source.distribution}/${source.suite} cannot give what is locked any more:`,
      ...lines,
      ...more,
    ].join('\n  '),
    { hint: 'take what it has now: kiln update' },
  );
}

function noPackages(source: BootstrapSource, architecture: string): ToolError {
  return new ToolError(
    'BOOTSTRAP_FAILED',
    `the archive of ${source.distribution}/${source.suite} has no essential packages for ${architecture}`,
    { hint: 'check the suite and the platform' },
  );
}

export async function temporaryFolder(
  scratch: string,
  prefix: string,
): Promise<AsyncDisposable & { readonly path: string }> {
  const made = await mkdtemp(path.join(scratch, prefix));
  return {
    path: made,
    async [Symbol.asyncDispose]() {
      await rm(made, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

import { type CallOptions, canonicalJson, chainIdsOf, type Image, type Platform } from '../../core/index.ts';
import type { BuildOptions } from '../engine/build-context.ts';
import { assertRunnable } from '../engine/runnable.ts';
import { sortPinned } from '../lock/lock-content.ts';
import type { PinnedPackage } from '../lock/pins.ts';
import type { PackageManager, PackagesStep } from '../plan/plan.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { installedPackages } from './installed.ts';
import { parseSet, setChanges } from './package-set.ts';
import { needNetwork, openSite, type PackageSite } from './package-site.ts';
import { packageTool } from './package-tools.ts';
import { formatQuestion, invalidPin, isExact, type PackageRequest, packageNames } from './question.ts';
import { parseRootFacts, type RootFacts, readRootFacts } from './root-facts.ts';
import { sightingOf } from './sighting.ts';

/** What of a build a resolve needs; a BuildContext is one. */
export interface PackagesContext {
  readonly workshop: Workshop;
  readonly platform: Platform;
  /** The same object for all questions of one build, so that they are asked of one state of the archive. */
  readonly options: Pick<BuildOptions, 'network' | 'proxies' | 'limits' | 'pull' | 'pins'>;
}

export interface ResolvedPackages {
  readonly manager: PackageManager;
  /** What would be installed or upgraded, sorted. */
  readonly packages: readonly PinnedPackage[];
  /** What the set is called in a lock file: `withoutRoot` of it is what the step asks for. */
  readonly key: string;
}

export interface ResolveOptions extends CallOptions {
  /** Asks the archive, whatever pins and records say; the answer is kept in both. */
  readonly fresh?: boolean;
  readonly onStatus?: (text: string) => void;
  /** What the package manager prints meanwhile. */
  readonly onOutput?: (stream: 'stdout' | 'stderr', bytes: Buffer) => void;
}

/**
 * The exact packages that a step would install or upgrade on a root file system: the layers, lowest first. What a pin says,
 * else what was found before; `pull` and `fresh` ask the archive again, and a status line tells each change.
 * @throws ToolError PACKAGES_*, LOCK_FROZEN
 */
export async function resolvePackages(
  context: PackagesContext,
  layers: Image['layers'],
  step: Pick<PackagesStep, 'packages' | 'manager' | 'recommends'>,
  options: ResolveOptions = {},
): Promise<ResolvedPackages> {
  const names = packageNames(step);
  const facts = await rootFacts(context, layers, step.manager, options);
  const { manager } = facts;
  const key = formatQuestion({ ...facts, names, recommends: step.recommends, platform: context.platform });
  const { pins, pull } = context.options;
  const mustAsk = pull || options.fresh === true;
  const pinned = pins.find('packages', key);
  if (pinned !== undefined && !mustAsk) return { manager, packages: sortPinned(checked(pinned)), key };

  const { records } = context.workshop;
  const last = pinned ?? parseSet(await records.read('package-sets-v1', key));
  const isKnown = last !== undefined && !mustAsk;
  const found = isKnown
    ? last
    : await sightingOf(context.options).answers.run(key, async () => {
        const request: PackageRequest = { manager, names, recommends: step.recommends };
        const answer = await askArchive(context, layers, request, last, options);
        await records.write('package-sets-v1', key, answer);
        return answer;
      });
  // A record may be of a Kiln with another order; wherever a set comes from, it gives one key.
  const packages = sortPinned(found);
  pins.keep('packages', key, packages);
  return { manager, packages, key };
}

/** The packages on a root file system, sorted; for comparing with what an archive has. */
export async function packagesOn(
  context: PackagesContext,
  layers: Image['layers'],
  options: ResolveOptions & { readonly manager?: PackageManager } = {},
): Promise<readonly PinnedPackage[]> {
  const { manager } = await rootFacts(context, layers, options.manager, options);
  return installedPackages(await siteOf(context, layers, options), manager);
}

/** Where the image's package manager runs. */
export async function siteOf(
  context: PackagesContext,
  layers: Image['layers'],
  options: ResolveOptions,
): Promise<PackageSite> {
  const { workshop } = context;
  await assertRunnable(context.platform);
  const { network, proxies, limits } = context.options;
  const { signal, onStatus = () => {}, onOutput = () => {} } = options;
  return openSite(layers, { workshop, network, proxies, limits, onStatus, onOutput, signal });
}

async function askArchive(
  context: PackagesContext,
  layers: Image['layers'],
  request: PackageRequest,
  last: readonly PinnedPackage[] | undefined,
  options: ResolveOptions,
): Promise<readonly PinnedPackage[]> {
  const site = await siteOf(context, layers, options);
  needNetwork(site, `the versions of ${request.names.join(', ')} are not known yet`);
  const tool = await packageTool(request.manager);
  const { packages, security } = await tool.find(site, request, {
    mustRefresh: () => sightingOf(context.options).mustRefresh(site.parent.chainId),
  });
  for (const line of last === undefined ? [] : setChanges(last, packages, security)) site.onStatus(line);
  return packages;
}

/** Remembered by chain: a build in which nothing changed reads no root file system. */
async function rootFacts(
  context: PackagesContext,
  layers: Image['layers'],
  manager: PackageManager | undefined,
  options: ResolveOptions,
): Promise<RootFacts> {
  const { records } = context.workshop;
  const chain = chainIdsOf(layers.map((layer) => layer.diffId)).at(-1) ?? 'scratch';
  const name = canonicalJson(['root', chain, manager ?? 'os-release']);
  const known = parseRootFacts(await records.read('package-sets-v1', name));
  if (known !== undefined) return known;
  const facts = await readRootFacts(await siteOf(context, layers, options), manager);
  await records.write('package-sets-v1', name, facts);
  return facts;
}

/** Text of a lock file becomes arguments of a package manager. */
function checked(packages: readonly PinnedPackage[]): readonly PinnedPackage[] {
  const odd = packages.find((one) => !isExact(one));
  if (odd === undefined) return packages;
  throw invalidPin(odd);
}

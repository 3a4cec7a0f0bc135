import { ToolError } from '../../core/index.ts';
import { changesOf, RootView } from '../../runtime/index.ts';
import type { PinnedPackage } from '../lock/pins.ts';
import { madeTimes, type WrittenLayer, writeLayer } from '../workshop/layers.ts';
import { changedRoot } from './changed-view.ts';
import { installedPackages } from './installed.ts';
import type { PackageSite } from './package-site.ts';
import type { AskOptions } from './package-tool.ts';
import { packageTool } from './package-tools.ts';
import type { PackageRequest } from './question.ts';
import { tidyChanges } from './tidy.ts';

/**
 * Installs a resolved set in a transient container; what that changed, without caches, logs and times, is the layer.
 * Undefined when nothing did.
 */
export async function packageLayer(
  site: PackageSite,
  request: PackageRequest,
  packages: readonly PinnedPackage[],
  options: AskOptions & { readonly sourceDateEpoch: number | undefined },
): Promise<WrittenLayer | undefined> {
  const { workshop, parent } = site;
  const { launcher, clock, userXattrs } = workshop.options;
  const tool = await packageTool(request.manager);
  await using active = await (await workshop.snapshots()).prepare(parent);
  const startedMs = clock.now();
  await tool.install(site, request, packages, active, options);
  await checkInstalled({ ...site, parent: changedRoot(site, active) }, request, packages);

  const clamp = madeTimes(startedMs, options.sourceDateEpoch);
  const changes = changesOf(launcher, active.upper, {
    signal: site.signal,
    clamp,
    marks: userXattrs ? 'user' : 'trusted',
  });
  const before = new RootView(launcher, parent);
  const entries = await tidyChanges(changes, active, { before, madeTime: clamp.to });
  site.onStatus('writing the layer');
  const written = await writeLayer(workshop, inOrder(entries), site);
  if (written !== undefined) await active.commit(written.layer.diffId, written.opaques);
  return written;
}

/** What a package manager says it did is not what the step's key says, unless it is so. */
async function checkInstalled(
  site: PackageSite,
  { manager }: PackageRequest,
  packages: readonly PinnedPackage[],
): Promise<void> {
  const found = new Set((await installedPackages(site, manager)).map(nameAndVersion));
  const lost = packages.map(nameAndVersion).filter((one) => !found.has(one));
  if (lost.length === 0) return;
  const shown = lost.slice(0, 5).join(', ') + (lost.length > 5 ? ', …' : '');
  throw new ToolError('PACKAGES_FAILED', `${manager} ended well, and did not install ${shown}`, {
    hint: 'kiln update resolves the set again',
  });
}

function nameAndVersion({ name, version }: PinnedPackage): string {
  return `${name}=${version}`;
}

async function* inOrder<T>(entries: readonly T[]): AsyncGenerator<T> {
  yield* entries;
}

import { packageText } from '../packages/package-set.ts';
import { PackagesFailure } from '../packages/package-tool.ts';
import { packageNames } from '../packages/question.ts';
import { type ResolvedPackages, resolvePackages, siteOf } from '../packages/resolve.ts';
import { sightingOf } from '../packages/sighting.ts';
import type { PackagesStep } from '../plan/plan.ts';
import type { WrittenLayer } from '../workshop/layers.ts';
import type { Preimage } from '../workshop/step-cache.ts';
import type { BuildContext, StepScope } from './build-context.ts';
import { cachedLayer, commonPreimage, type LayerOutcome } from './cached-layer.ts';
import { StepFailedError } from './errors.ts';
import type { StageState } from './stage-state.ts';

/**
 * Installs packages of the base's distribution. The key is the resolved set: an archive that changed in other ways is a
 * hit, and a new version of one member a miss.
 */
export async function packagesStep(
  context: BuildContext,
  state: StageState,
  step: PackagesStep,
  scope: StepScope,
): Promise<LayerOutcome> {
  const resolved = await resolvePackages(context, state.layers, step, eventsOf(context, scope));
  const preimage = preimageOf(context, state, step, resolved);
  return cachedLayer(context, state, preimage, () => execute(context, state, step, resolved, scope), scope);
}

function preimageOf(
  context: BuildContext,
  state: StageState,
  step: PackagesStep,
  { manager, packages }: ResolvedPackages,
): Preimage {
  return [
    ...commonPreimage(context, state),
    ['verb', 'packages'],
    ['manager', manager],
    ['names', packageNames(step)],
    ['recommends', step.recommends],
    ['packages', packages.map(packageText)],
  ];
}

async function execute(
  context: BuildContext,
  state: StageState,
  step: PackagesStep,
  { manager, packages }: ResolvedPackages,
  scope: StepScope,
): Promise<WrittenLayer | undefined> {
  if (packages.length === 0) return undefined;
  const { packageLayer } = await import('../packages/package-layer.ts');
  const site = await siteOf(context, state.layers, eventsOf(context, scope));
  const request = { manager, names: packageNames(step), recommends: step.recommends };
  const sighting = sightingOf(context.options);
  try {
    return await packageLayer(site, request, packages, {
      mustRefresh: () => sighting.mustRefresh(site.parent.chainId),
      sourceDateEpoch: context.plan.sourceDateEpoch,
    });
  } catch (error) {
    if (!(error instanceof PackagesFailure)) throw error;
    throw new StepFailedError({
      title: scope.vertex.title,
      position: step.position,
      command: error.command,
      exitCode: error.exitCode,
      output: error.output,
    });
  }
}

function eventsOf({ options: { onEvent } }: BuildContext, { vertex, signal }: StepScope) {
  return {
    signal,
    onStatus: (text: string) => onEvent({ type: 'status', vertex, text }),
    onOutput: (stream: 'stdout' | 'stderr', bytes: Buffer) => onEvent({ type: 'output', vertex, stream, bytes }),
  };
}

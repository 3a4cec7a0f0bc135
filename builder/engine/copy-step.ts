import { type CallOptions, ToolError } from '../../core/index.ts';
import { RootView } from '../../runtime/index.ts';
import { fileChanged } from '../copy/context-errors.ts';
import { placeMatches } from '../copy/place.ts';
import type { Match } from '../copy/select.ts';
import type { CopyStep } from '../plan/plan.ts';
import { clampTimes, type WrittenLayer, writeLayer } from '../workshop/layers.ts';
import type { Preimage } from '../workshop/step-cache.ts';
import type { BuildContext, StepScope } from './build-context.ts';
import { cachedLayer, commonPreimage, type LayerOutcome } from './cached-layer.ts';
import { openSelection } from './copy-selection.ts';
import type { StageState } from './stage-state.ts';
import { ownerIn } from './user-lookup.ts';

/** Copies files into the stage: from source to tar, without unpacking anything. */
export async function copyStep(
  context: BuildContext,
  state: StageState,
  step: CopyStep,
  scope: StepScope,
): Promise<LayerOutcome> {
  const selection = await openSelection(context, step, scope);
  const preimage: Preimage = [
    ...commonPreimage(context, state),
    ['verb', 'copy'],
    ['files', selection.listing],
    ['to', step.to],
    ['workdir', state.config.WorkingDir ?? '/'],
    ['owner', step.owner ?? (keepsOwner(step) ? 'of the source' : '0:0')],
    ...(step.mode === undefined ? [] : [['mode', step.mode] as const]),
  ];
  const make = async () => write(context, state, step, await selection.matches(scope), scope);
  const outcome = await cachedLayer(context, state, preimage, make, scope);
  return { ...outcome, state: { ...outcome.state, sources: [...outcome.state.sources, ...selection.records] } };
}

async function write(
  context: BuildContext,
  state: StageState,
  step: CopyStep,
  matches: readonly Match[],
  scope: StepScope,
): Promise<WrittenLayer | undefined> {
  if (matches.length === 0) return undefined;
  const { workshop, plan } = context;
  const snapshot = await workshop.snapshotOf(state.layers, scope);
  const view = new RootView(workshop.options.launcher, snapshot);
  const placement = {
    to: step.to,
    workdir: state.config.WorkingDir ?? '/',
    ...(await ownerOf(context, state, step, scope)),
    ...(step.mode === undefined ? {} : { mode: step.mode }),
  };
  const entries = await placeMatches(view, matches, placement, scope);
  try {
    return await writeLayer(workshop, clampTimes(entries, plan.sourceDateEpoch), scope);
  } catch (error) {
    // The layer could hold other bytes than the key says, and be given to every later build with that key.
    if (error instanceof ToolError && error.code === 'LAYER_FILE_CHANGED') throw fileChanged(error.message, error);
    throw error;
  }
}

function keepsOwner({ owner, preserve }: CopyStep): boolean {
  return owner === undefined && preserve.includes('owner');
}

/** Nobody when the source's owners are kept. */
async function ownerOf(
  context: BuildContext,
  state: StageState,
  step: CopyStep,
  options: CallOptions,
): Promise<{ owner?: { uid: number; gid: number } }> {
  if (keepsOwner(step)) return {};
  if (step.owner === undefined) return { owner: { uid: 0, gid: 0 } };
  return { owner: await ownerIn(context, state, step.owner, options) };
}

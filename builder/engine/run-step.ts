import { readdir } from 'node:fs/promises';
import { type ActiveSnapshot, changesOf } from '../../runtime/index.ts';
import { findBinds } from '../mounts/bind-mounts.ts';
import type { RunStep } from '../plan/plan.ts';
import { madeTimes, type WrittenLayer, writeLayer } from '../workshop/layers.ts';
import type { BuildContext, StepScope } from './build-context.ts';
import { cachedLayer, type LayerOutcome } from './cached-layer.ts';
import { runCommand } from './command-sandbox.ts';
import { commandPreimage, invocationOf } from './invocation.ts';
import type { StageState } from './stage-state.ts';

export { commandText } from './invocation.ts';
export { userIn } from './user-lookup.ts';

/** Runs a command in a transient container on the stage so far; what it changed is the layer. */
export async function runStep(
  context: BuildContext,
  state: StageState,
  step: RunStep,
  scope: StepScope,
): Promise<LayerOutcome> {
  const invocation = invocationOf(context, state, step);
  const binds = await findBinds(context, step.mounts, invocation.cwd, scope);
  const preimage = commandPreimage(context, state, step, invocation, binds);
  const outcome = await cachedLayer(
    context,
    state,
    preimage,
    async () => {
      const startedMs = context.workshop.options.clock.now();
      const take = (active: ActiveSnapshot) => takeChanges(context, active, startedMs, scope);
      return runCommand(context, state, { step, invocation, binds }, take, scope);
    },
    scope,
  );
  const records = binds.flatMap(({ selection }) => selection.records);
  return { ...outcome, state: { ...outcome.state, sources: [...outcome.state.sources, ...records] } };
}

async function takeChanges(
  { workshop, plan }: BuildContext,
  active: ActiveSnapshot,
  startedMs: number,
  { signal }: StepScope,
): Promise<WrittenLayer | undefined> {
  const { launcher, userXattrs } = workshop.options;
  // Many commands change nothing: that is seen without another process.
  if ((await readdir(active.upper)).length === 0) return undefined;
  const changes = changesOf(launcher, active.upper, {
    signal,
    clamp: madeTimes(startedMs, plan.sourceDateEpoch),
    marks: userXattrs ? 'user' : 'trusted',
  });
  const written = await writeLayer(workshop, changes, { signal });
  if (written !== undefined) await active.commit(written.layer.diffId, written.opaques);
  return written;
}

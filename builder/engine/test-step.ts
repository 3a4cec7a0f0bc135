import { findBinds } from '../mounts/bind-mounts.ts';
import type { TestStep } from '../plan/plan.ts';
import type { BuildContext, StepScope } from './build-context.ts';
import { cachedLayer, type LayerOutcome } from './cached-layer.ts';
import { runCommand } from './command-sandbox.ts';
import { commandPreimage, invocationOf } from './invocation.ts';
import type { StageState } from './stage-state.ts';

/**
 * Runs a command against the stage so far as a `run` step would, and throws away what it wrote. That it passed is
 * remembered, under a key of the same form; a failure is not.
 */
export async function testStep(
  context: BuildContext,
  state: StageState,
  step: TestStep,
  scope: StepScope,
): Promise<LayerOutcome> {
  const invocation = invocationOf(context, state, step);
  const binds = await findBinds(context, step.mounts, invocation.cwd, scope);
  const preimage = commandPreimage(context, state, step, invocation, binds);
  const outcome = await cachedLayer(
    context,
    state,
    preimage,
    () => runCommand(context, state, { step, invocation, binds }, async () => undefined, scope),
    scope,
  );
  return outcome;
}

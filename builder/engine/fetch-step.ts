import type { FetchStep } from '../plan/plan.ts';
import type { BuildContext, StepScope } from './build-context.ts';
import type { LayerOutcome } from './cached-layer.ts';
import type { StageState } from './stage-state.ts';

export async function fetchStep(
  _context: BuildContext,
  _state: StageState,
  _step: FetchStep,
  _scope: StepScope,
): Promise<LayerOutcome> {
  throw new Error('not yet');
}

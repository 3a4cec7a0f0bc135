import type { BuildContext } from './build-context.ts';
import type { StageState } from './stage-state.ts';

/** All layers as one, the base's too: `--squash`. */
export async function squashed(_context: BuildContext, _state: StageState, _created: string): Promise<StageState> {
  throw new Error('not yet');
}

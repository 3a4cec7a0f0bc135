import type { CallOptions } from '../../core/index.ts';
import type { BuildContext } from './build-context.ts';
import { mergedLayer } from './merged-layer.ts';
import type { LayerOrigin, StageState } from './stage-state.ts';

/**
 * All layers as one, the base's too: `--squash`. The history keeps its lines, as lines without a layer, and gets one
 * for the layer there is now; the map has one element with all that took part.
 */
export async function squashed(
  context: BuildContext,
  state: StageState,
  target: { readonly stage: string; readonly created: string },
  { signal }: CallOptions,
): Promise<StageState> {
  if (state.layers.length < 2) return state;
  const { stage, created } = target;
  const layer = await mergedLayer(context, { layers: state.layers, below: [], stage, signal });
  const lines = state.history.map((line) => ({ ...line, empty_layer: true }));
  if (layer === undefined) return { ...state, layers: [], origins: [], history: lines, baseLayers: 0 };
  const steps = state.origins.flatMap((origin, index) =>
    isSame(origin, state.origins[index - 1]) ? [] : origin.steps,
  );
  return {
    ...state,
    layers: [layer],
    origins: [{ kind: 'squash', stage, steps }],
    history: [...lines, { created, created_by: 'SQUASH' }],
    baseLayers: 0,
  };
}

/** A base of several layers has one element for each, all alike. */
function isSame(origin: LayerOrigin, before: LayerOrigin | undefined): boolean {
  return origin === before;
}

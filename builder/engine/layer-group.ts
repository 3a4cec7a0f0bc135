import type { BuildContext } from './build-context.ts';
import type { StageTools } from './build-stage.ts';
import { mergedLayer } from './merged-layer.ts';
import type { LayerOrigin, StageState } from './stage-state.ts';

/** Neighbouring steps that share one layer: `layer = "name"`. Without a name every step has its own. */
export class LayerGroup {
  readonly name: string | undefined;
  readonly #start: StageState;

  constructor(name: string | undefined, start: StageState) {
    this.name = name;
    this.#start = start;
  }

  /** The state with what the group added as one layer, one entry of the map, and one non-empty line of history. */
  async merged(context: BuildContext, state: StageState, { signal }: StageTools): Promise<StageState> {
    const { layers, origins, history } = this.#start;
    const added = state.layers.slice(layers.length);
    if (this.name === undefined || added.length < 2) return state;
    const addedOrigins = state.origins.slice(origins.length);
    const stage = addedOrigins[0]?.stage ?? '';
    const layer = await mergedLayer(context, { layers: added, below: layers, stage, signal });
    const origin: LayerOrigin = {
      kind: addedOrigins[0]?.kind ?? 'run',
      stage,
      steps: addedOrigins.flatMap(({ steps }) => steps),
    };
    const lines = state.history.slice(history.length);
    const last = layer === undefined ? -1 : lines.findLastIndex((line) => line.empty_layer !== true);
    return {
      ...state,
      layers: layer === undefined ? layers : [...layers, layer],
      origins: layer === undefined ? origins : [...origins, origin],
      history: [...history, ...lines.map((line, index) => (index === last ? line : { ...line, empty_layer: true }))],
    };
  }
}

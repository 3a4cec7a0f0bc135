import type { BuildContext } from './build-context.ts';
import type { StageTools } from './build-stage.ts';
import { mergedLayer } from './merged-layer.ts';
import type { StageState } from './stage-state.ts';

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
    const layer = await mergedLayer(context.workshop, added, { signal });
    const addedOrigins = state.origins.slice(origins.length);
    const origin = {
      kind: addedOrigins[0]?.kind ?? 'run',
      stage: addedOrigins[0]?.stage ?? '',
      steps: addedOrigins.flatMap(({ steps }) => steps),
    };
    const lines = state.history.slice(history.length);
    const last = lines.findLastIndex((line) => line.empty_layer !== true);
    return {
      ...state,
      layers: [...layers, layer],
      origins: [...origins, origin],
      history: [...history, ...lines.map((line, index) => (index === last ? line : { ...line, empty_layer: true }))],
    };
  }
}

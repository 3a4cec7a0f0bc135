import {
  type CallOptions,
  canonicalJson,
  type Descriptor,
  type HistoryEntry,
  type ImageConfig,
} from '../../core/index.ts';
import type { BaseRecord } from '../base/image-base.ts';
import type { ImageChanges, Step } from '../plan/plan.ts';
import { madeSeconds } from '../workshop/layers.ts';
import { writeImage } from '../workshop/write-image.ts';
import type { BuildContext } from './build-context.ts';
import { commandText } from './run-step.ts';
import type { StageState } from './stage-state.ts';

/** Every base of an image, `[{"name":…,"digest":…}]`: what `kiln rebuild` compares with the registries. */
export const sourcesAnnotation = 'kiln.sources';
const baseNameAnnotation = 'org.opencontainers.image.base.name';
const baseDigestAnnotation = 'org.opencontainers.image.base.digest';

/** Turns the end of a stage into an image in the store. */
export async function assembleImage(
  context: BuildContext,
  state: StageState,
  { annotations: own }: ImageChanges,
  options: CallOptions,
): Promise<Descriptor> {
  const created = createdTime(context);
  const config: ImageConfig = {
    ...context.platform,
    created,
    config: state.config,
    diffIds: state.layers.map((layer) => layer.diffId),
    history: state.history,
  };
  const annotations = {
    ...baseAnnotations(state),
    ...own,
  };
  const layers = state.layers.map((layer) => layer.descriptor);
  return writeImage(context.workshop, config, layers, annotations, options);
}

/** The one time every build has, so that equal inputs give equal bytes. */
export function createdTime(context: Pick<BuildContext, 'plan'>): string {
  return new Date((context.plan.sourceDateEpoch ?? madeSeconds) * 1000).toISOString().replace('.000Z', 'Z');
}

/** The history line of a step. */
export function historyOf(step: Step, created: string, emptyLayer: boolean): HistoryEntry {
  return { created, created_by: stepText(step), ...(emptyLayer ? { empty_layer: true } : {}) };
}

/** A step in one line's worth of words, as progress and history show it. */
export function stepText(step: Step): string {
  switch (step.verb) {
    case 'run':
      return `RUN ${commandText(step.command)}`;
    case 'copy': {
      const from =
        step.from.kind === 'context'
          ? ''
          : `--from=${step.from.kind === 'stage' ? step.from.stage : step.from.reference} `;
      return `COPY ${from}${step.paths.join(' ')} ${step.to}`;
    }
    case 'workdir':
      return `WORKDIR ${step.path}`;
    case 'user':
      return `USER ${step.user}`;
    case 'env':
      return `ENV ${Object.entries(step.env)
        .map(([name, value]) => `${name}=${value}`)
        .join(' ')}`;
    case 'shell':
      return `SHELL ${JSON.stringify(step.shell)}`;
  }
}

function baseAnnotations(state: StageState): Record<string, string> {
  const sources = uniqueSources(state.sources);
  return {
    ...(state.base === undefined
      ? {}
      : { [baseNameAnnotation]: state.base.name, [baseDigestAnnotation]: state.base.digest }),
    ...(sources.length === 0 ? {} : { [sourcesAnnotation]: canonicalJson(sources) }),
  };
}

function uniqueSources(sources: readonly BaseRecord[]): BaseRecord[] {
  const byText = new Map(sources.map(({ name, digest }) => [`${name}@${digest}`, { name, digest }]));
  return [...byText.keys()].sort().flatMap((text) => byText.get(text) ?? []);
}

import {
  type CallOptions,
  canonicalJson,
  type Descriptor,
  type HistoryEntry,
  type ImageConfig,
} from '../../core/index.ts';
import type { BaseRecord } from '../base/image-base.ts';
import type { CopySource, FetchSource, PlanStage, Step } from '../plan/plan.ts';
import { madeSeconds } from '../workshop/layers.ts';
import { writeImage } from '../workshop/write-image.ts';
import type { BuildContext } from './build-context.ts';
import { commandText } from './run-step.ts';
import { squashed } from './squash.ts';
import type { StageState } from './stage-state.ts';

/** Every base of an image, `[{"name":…,"digest":…}]`: what `kiln rebuild` compares with the registries. */
export const sourcesAnnotation = 'kiln.sources';
/** Which steps made which layer, one element for each layer, lowest first: `[{"kind":…,"stage":…,"steps":[…]}]`. */
export const layersAnnotation = 'kiln.layers';
const baseNameAnnotation = 'org.opencontainers.image.base.name';
const baseDigestAnnotation = 'org.opencontainers.image.base.digest';

/** A stage's end as an image in the store; the state as it was written: squashed where that was asked. */
export async function assembleImage(
  context: BuildContext,
  end: StageState,
  { image }: PlanStage,
  { signal }: CallOptions,
): Promise<{ readonly descriptor: Descriptor; readonly state: StageState }> {
  const { workshop, options } = context;
  const created = createdTime(context);
  const state = options.squash ? await squashed(context, end, created) : end;
  const labels = { ...state.config.Labels, ...options.labels };
  const config: ImageConfig = {
    ...context.platform,
    created,
    config: { ...state.config, ...(Object.keys(labels).length === 0 ? {} : { Labels: labels }) },
    diffIds: state.layers.map((layer) => layer.diffId),
    history: state.history,
  };
  const annotations = { ...baseAnnotations(state), ...image.annotations, ...options.annotations };
  const layers = state.layers.map((layer) => layer.descriptor);
  return { descriptor: await writeImage(workshop, config, layers, annotations, { signal }), state };
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
    case 'test':
      return `TEST ${commandText(step.command)}`;
    case 'copy': {
      const from = step.from.kind === 'context' ? '' : `--from=${sourceText(step.from)} `;
      return `COPY ${from}${step.paths.join(' ')} ${step.to}`;
    }
    case 'fetch':
      return `FETCH ${fetchText(step.source)} ${step.to}`;
    case 'packages':
      return `PACKAGES ${step.packages.join(' ')}`;
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

/** What a source is called; a folder of this machine by its given name only. */
function sourceText(source: Exclude<CopySource, { kind: 'context' }>): string {
  switch (source.kind) {
    case 'stage':
      return source.stage;
    case 'image':
      return source.reference;
    case 'folder':
      return source.name;
    case 'layout':
      return `oci:${source.name ?? ''}`;
  }
}

/** Without user and password, should the URL carry them. */
function fetchText(source: FetchSource): string {
  const url = source.url.replace(/^([a-z+]+:\/\/)[^/@]*@/i, '$1');
  if (source.kind === 'http') return url;
  const fragment = [source.ref ?? '', ...(source.subdir === undefined ? [] : [source.subdir])].join(':');
  return fragment === '' ? url : `${url}#${fragment}`;
}

function baseAnnotations(state: StageState): Record<string, string> {
  const sources = uniqueSources(state.sources);
  return {
    ...(state.base === undefined
      ? {}
      : { [baseNameAnnotation]: state.base.name, [baseDigestAnnotation]: state.base.digest }),
    ...(sources.length === 0 ? {} : { [sourcesAnnotation]: canonicalJson(sources) }),
    ...(state.origins.length === 0 ? {} : { [layersAnnotation]: canonicalJson(state.origins) }),
  };
}

function uniqueSources(sources: readonly BaseRecord[]): BaseRecord[] {
  const byText = new Map(sources.map(({ name, digest }) => [`${name}@${digest}`, { name, digest }]));
  return [...byText.keys()].sort().flatMap((text) => byText.get(text) ?? []);
}

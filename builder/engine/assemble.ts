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
import type { BuildContext, BuildOptions } from './build-context.ts';
import { commandText } from './run-step.ts';
import { squashed } from './squash.ts';
import type { StageState } from './stage-state.ts';

/** Every base of an image, `[{"name":…,"digest":…}]`: what `kiln rebuild` compares with the registries. */
export const sourcesAnnotation = 'kiln.sources';
/** Which steps made which layer, one element for each layer, lowest first: `[{"kind":…,"stage":…,"steps":[…]}]`. */
export const layersAnnotation = 'kiln.layers';
const baseNameAnnotation = 'org.opencontainers.image.base.name';
const baseDigestAnnotation = 'org.opencontainers.image.base.digest';

/** An image as it was written. */
export interface AssembledImage {
  readonly descriptor: Descriptor;
  /** Squashed, where that was asked. */
  readonly state: StageState;
  readonly annotations: Readonly<Record<string, string>>;
}

/** A stage's end as an image in the store. */
export async function assembleImage(
  context: BuildContext,
  end: StageState,
  { name, image }: PlanStage,
  { signal }: CallOptions,
): Promise<AssembledImage> {
  const { workshop, options } = context;
  const created = createdTime(context);
  const state = options.squash ? await squashed(context, end, { stage: name, created }, { signal }) : end;
  const labels = { ...state.config.Labels, ...options.labels };
  const config: ImageConfig = {
    ...context.platform,
    created,
    config: { ...state.config, ...(Object.keys(labels).length === 0 ? {} : { Labels: labels }) },
    diffIds: state.layers.map((layer) => layer.diffId),
    history: state.history,
  };
  const annotations = {
    ...baseAnnotations(state),
    ...image.annotations,
    ...options.annotations,
    ...options.manifestAnnotations,
  };
  const layers = state.layers.map((layer) => layer.descriptor);
  return { descriptor: await writeImage(workshop, config, layers, annotations, { signal }), state, annotations };
}

/**
 * What an index says: that in which the images of all platforms agree. Which layers they have is each one's own matter,
 * and so is what was asked for manifests only.
 */
export function indexAnnotations(
  images: readonly Pick<AssembledImage, 'annotations'>[],
  { manifestAnnotations = {}, indexAnnotations: asked = {} }: BuildOptions,
): Record<string, string> {
  const [first, ...others] = images.map(({ annotations }) => annotations);
  const agreed = Object.entries(first ?? {}).filter(
    ([key, value]) =>
      key !== layersAnnotation &&
      !Object.hasOwn(manifestAnnotations, key) &&
      others.every((annotations) => annotations[key] === value),
  );
  return { ...Object.fromEntries(agreed), ...asked };
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
      return `PACKAGES ${step.packages.toSorted().join(' ')}`;
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

function fetchText(source: FetchSource): string {
  const url = publicUrl(source.url);
  if (source.kind === 'http') return url;
  const fragment = [source.ref ?? '', ...(source.subdir === undefined ? [] : [source.subdir])].join(':');
  return fragment === '' ? url : `${url}#${fragment}`;
}

/** Without what may be secret: user and password, and the query, where signatures and tokens are. */
function publicUrl(url: string): string {
  return url.replace(/\?.*$/s, '?…').replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/]*@/i, '$1');
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

import {
  type CallOptions,
  formatPlatform,
  parseReference,
  samePlatform,
  ToolError,
  unreachable,
} from '../../core/index.ts';
import { bootstrapName, openBootstrapBase } from '../base/bootstrap-base.ts';
import { type OpenBase, openImageBase } from '../base/image-base.ts';
import type { BaseSource, PlanStage, Step } from '../plan/plan.ts';
import { stagesNeeded } from '../plan/stages-needed.ts';
import { createdTime, historyOf, stepText } from './assemble.ts';
import type { BuildContext, StepScope } from './build-context.ts';
import type { LayerOutcome } from './cached-layer.ts';
import { copyStep } from './copy-step.ts';
import { StepError, StepFailedError } from './errors.ts';
import { changedDefaults } from './image-changes.ts';
import { LayerGroup } from './layer-group.ts';
import { runStep } from './run-step.ts';
import { type StageState, scratchState, withEnv } from './stage-state.ts';
import { testStep } from './test-step.ts';
import type { VertexLog } from './vertex-log.ts';
import { workdirStep } from './workdir-step.ts';

export interface StageTools extends CallOptions {
  readonly log: VertexLog;
  /** Bounds how many steps run at once. */
  readonly limit: <R>(task: () => Promise<R>) => Promise<R>;
  /** Progress then says which platform a step is for. */
  readonly severalPlatforms: boolean;
}

/** Builds one stage: its base, then its steps in order. */
export async function buildStage(context: BuildContext, stage: PlanStage, tools: StageTools): Promise<StageState> {
  let state = await baseState(context, stage, tools);
  const shown = stage.steps.filter((step) => !isSetting(step));
  let group = new LayerGroup(undefined, state);
  for (const step of stage.steps) {
    // What leaves no layer does not come between those that share one.
    if (!isSetting(step) && step.verb !== 'test' && step.layer !== group.name) {
      state = await group.merged(context, state, tools);
      group = new LayerGroup(step.layer, state);
    }
    const before = state;
    const after = isSetting(step)
      ? setState(before, step)
      : await shownStep(context, before, step, {
          ...tools,
          stage,
          place: `${shown.indexOf(step) + 1}/${shown.length}`,
        });
    state = withOrigin(after, before, stage, step, createdTime(context));
  }
  state = await group.merged(context, state, tools);
  return { ...state, config: changedDefaults(state, stage.image), annotations: { ...stage.image.annotations } };
}

/** Records what a step added: a line of history, and where its layer came from. A test leaves no trace. */
function withOrigin(after: StageState, before: StageState, stage: PlanStage, step: Step, created: string): StageState {
  if (step.verb === 'test') return after;
  const isEmpty = after.layers.length === before.layers.length;
  const origin = { kind: step.verb, stage: stage.name, steps: [stepText(step)] };
  return {
    ...after,
    history: [...before.history, historyOf(step, created, isEmpty)],
    origins: isEmpty ? before.origins : [...before.origins, origin],
  };
}

/** A step that only says how those after it are to be carried out: there is no work in it to show. */
type Setting = Extract<Step, { verb: 'user' | 'env' | 'shell' }>;

function isSetting(step: Step): step is Setting {
  return step.verb === 'user' || step.verb === 'env' || step.verb === 'shell';
}

function setState(state: StageState, step: Setting): StageState {
  switch (step.verb) {
    case 'user':
      return { ...state, config: { ...state.config, User: step.user } };
    case 'env':
      return { ...state, config: withEnv(state.config, step.env) };
    case 'shell':
      return { ...state, shell: step.shell };
    default:
      throw unreachable(step);
  }
}

type WorkStep = Exclude<Step, Setting>;

async function shownStep(
  context: BuildContext,
  state: StageState,
  step: WorkStep,
  tools: StageTools & { readonly stage: PlanStage; readonly place: string },
): Promise<StageState> {
  const { log, limit, signal, stage, place } = tools;
  // Stages that are copied from are waited for outside the limit: a waiting step must not keep a running one out.
  for (const name of stagesNeeded(step)) await context.stageEnd(name, tools);
  const platform = tools.severalPlatforms ? `${formatPlatform(context.platform)} ` : '';
  const title = `[${platform}${stage.name} ${place}] ${step.title ?? oneLine(stepText(step))}`;
  const outcome = await log.tell({ stage: stage.name, title, position: step.position }, (vertex) =>
    limit(() => located(step, () => applyStep(context, state, step, { vertex, signal, stage: stage.name }))),
  );
  return outcome.state;
}

async function applyStep(
  context: BuildContext,
  state: StageState,
  step: WorkStep,
  scope: StepScope,
): Promise<LayerOutcome> {
  scope.signal?.throwIfAborted();
  // What few builds need is loaded by those.
  switch (step.verb) {
    case 'run':
      return runStep(context, state, step, scope);
    case 'test':
      return testStep(context, state, step, scope);
    case 'copy':
      return copyStep(context, state, step, scope);
    case 'fetch': {
      const { fetchStep } = await import('./fetch-step.ts');
      return fetchStep(context, state, step, scope);
    }
    case 'packages': {
      const { packagesStep } = await import('./packages-step.ts');
      return packagesStep(context, state, step, scope);
    }
    case 'workdir':
      return workdirStep(context, state, step, scope);
    default:
      throw unreachable(step);
  }
}

async function baseState(context: BuildContext, stage: PlanStage, tools: StageTools): Promise<StageState> {
  const { base } = stage;
  if (base.kind === 'scratch') return scratchState;
  if (base.kind === 'stage') return context.stageEnd(base.stage, tools);
  const platform = tools.severalPlatforms ? `${formatPlatform(context.platform)} ` : '';
  const title = `[${platform}${stage.name}] FROM ${baseName(base)}`;
  const { image, record } = await tools.log.tell(
    { stage: stage.name, title, position: stage.position },
    async (_vertex, status) => ({
      ...(await located(stage, () => openBase(context, base, status, tools))),
      cached: false,
    }),
  );
  const { layers, config } = image;
  context.trace.addBase({ stage: stage.name, platform: formatPlatform(context.platform), base: record });
  if (!samePlatform(config, context.platform)) {
    const text = `${baseName(base)} is for ${formatPlatform(config)}; this build is for ${formatPlatform(context.platform)}`;
    context.options.onEvent({ type: 'warning', text, position: stage.position });
  }
  const origin = { kind: 'base' as const, stage: stage.name, steps: [`FROM ${record.name}`] };
  return {
    ...scratchState,
    layers,
    config: config.config,
    history: config.history,
    base: record,
    sources: [record],
    origins: layers.map(() => origin),
    baseLayers: layers.length,
  };
}

async function openBase(
  context: BuildContext,
  base: Exclude<BaseSource, { kind: 'scratch' | 'stage' }>,
  onStatus: (text: string) => void,
  { signal }: CallOptions,
): Promise<OpenBase> {
  const { workshop, platform } = context;
  const options = { signal, platform, pull: context.options.pull, pins: context.options.pins };
  switch (base.kind) {
    case 'image':
      return openImageBase(workshop, parseReference(base.reference), options);
    case 'layout': {
      const { openLayoutBase } = await import('../base/layout-base.ts');
      return openLayoutBase(workshop, base, options);
    }
    case 'bootstrap':
      return openBootstrapBase(workshop, base, { ...options, onStatus, proxies: context.options.proxies });
    default:
      throw unreachable(base);
  }
}

function baseName(base: Exclude<BaseSource, { kind: 'scratch' | 'stage' }>): string {
  switch (base.kind) {
    case 'image':
      return base.reference;
    case 'layout':
      return `oci:${base.path}`;
    case 'bootstrap':
      return bootstrapName(base);
  }
}

/** Says where in the Buildfile a failure belongs. */
async function located<T>(where: Pick<Step, 'position'>, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ToolError && !(error instanceof StepFailedError) && !(error instanceof StepError))
      throw new StepError(where.position, error);
    throw error;
  }
}

function oneLine(text: string): string {
  const line = text.trim().replace(/\s*\n\s*/g, ' ⏎ ');
  return line.length > 160 ? `${line.slice(0, 159)}…` : line;
}

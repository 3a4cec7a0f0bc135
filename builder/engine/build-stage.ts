import { type CallOptions, parseReference, ToolError, unreachable } from '../../core/index.ts';
import { bootstrapName, openBootstrapBase } from '../base/bootstrap-base.ts';
import { type OpenBase, openImageBase } from '../base/image-base.ts';
import { openLayoutBase } from '../base/layout-base.ts';
import type { BaseSource, PlanStage, Step } from '../plan/plan.ts';
import { createdTime, historyOf, stepText } from './assemble.ts';
import type { BuildContext, StepScope } from './build-context.ts';
import type { LayerOutcome } from './cached-layer.ts';
import { copyStep } from './copy-step.ts';
import { StepError, StepFailedError } from './errors.ts';
import { changedDefaults } from './image-changes.ts';
import { runStep } from './run-step.ts';
import { type StageState, scratchState, withEnv } from './stage-state.ts';
import type { VertexLog } from './vertex-log.ts';
import { workdirStep } from './workdir-step.ts';

export interface StageTools extends CallOptions {
  readonly log: VertexLog;
  /** Bounds how many steps run at once. */
  readonly limit: <R>(task: () => Promise<R>) => Promise<R>;
}

/** Builds one stage: its base, then its steps in order. */
export async function buildStage(context: BuildContext, stage: PlanStage, tools: StageTools): Promise<StageState> {
  let state = await baseState(context, stage, tools);
  // Stages that a step copies from are waited for outside the limit: a waiting step must not keep a running one out.
  for (const [position, step] of stage.steps.entries()) {
    if (step.verb === 'copy' && step.from.kind === 'stage') await context.stageEnd(step.from.stage, tools);
    const title = `[${stage.name} ${position + 1}/${stage.steps.length}] ${step.title ?? oneLine(stepText(step))}`;
    const before = state;
    const outcome = await tools.log.tell({ stage: stage.name, title, position: step.position }, (vertex) =>
      tools.limit(() => located(step, () => applyStep(context, before, step, { vertex, signal: tools.signal }))),
    );
    const emptyLayer = outcome.state.layers.length === before.layers.length;
    state = { ...outcome.state, history: [...before.history, historyOf(step, createdTime(context), emptyLayer)] };
  }
  return { ...state, config: changedDefaults(state, stage.image) };
}

async function applyStep(
  context: BuildContext,
  state: StageState,
  step: Step,
  scope: StepScope,
): Promise<LayerOutcome> {
  scope.signal?.throwIfAborted();
  switch (step.verb) {
    case 'run':
      return runStep(context, state, step, scope);
    case 'copy':
      return copyStep(context, state, step, scope);
    case 'workdir':
      return workdirStep(context, state, step, scope);
    case 'user':
      return { cached: true, state: { ...state, config: { ...state.config, User: step.user } } };
    case 'env':
      return { cached: true, state: { ...state, config: withEnv(state.config, step.env) } };
    case 'shell':
      return { cached: true, state: { ...state, shell: step.shell } };
    default:
      throw unreachable(step);
  }
}

async function baseState(context: BuildContext, stage: PlanStage, tools: StageTools): Promise<StageState> {
  const { base } = stage;
  if (base.kind === 'scratch') return scratchState;
  if (base.kind === 'stage') return context.stageEnd(base.stage, tools);
  const title = `[${stage.name}] FROM ${baseName(base)}`;
  const { image, record } = await tools.log.tell(
    { stage: stage.name, title, position: stage.position },
    async (_vertex, status) => ({
      ...(await located(stage, () => openBase(context, base, status, tools))),
      cached: false,
    }),
  );
  const { layers, config } = image;
  return { ...scratchState, layers, config: config.config, history: config.history, base: record, sources: [record] };
}

async function openBase(
  context: BuildContext,
  base: Exclude<BaseSource, { kind: 'scratch' | 'stage' }>,
  onStatus: (text: string) => void,
  { signal }: CallOptions,
): Promise<OpenBase> {
  const { workshop, platform } = context;
  const options = { signal, platform, pull: context.options.pull };
  switch (base.kind) {
    case 'image':
      return openImageBase(workshop, parseReference(base.reference), options);
    case 'layout':
      return openLayoutBase(workshop, base, options);
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

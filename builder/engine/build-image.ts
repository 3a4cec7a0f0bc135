import {
  type CallOptions,
  type Descriptor,
  formatReference,
  limiter,
  type Reference,
  ToolError,
  withDefaultTag,
} from '../../core/index.ts';
import { FileDigests } from '../copy/file-digests.ts';
import type { Plan, PlanStage } from '../plan/plan.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { assembleImage } from './assemble.ts';
import type { BuildContext, BuildOptions } from './build-context.ts';
import { buildStage } from './build-stage.ts';
import type { StageState } from './stage-state.ts';
import { VertexLog } from './vertex-log.ts';

export interface BuildResult {
  /** The manifest in the store. */
  readonly descriptor: Descriptor;
  /** Full references that now mean it. */
  readonly names: readonly string[];
  /** Steps that came out of the cache, and all. */
  readonly cachedSteps: number;
  readonly steps: number;
}

/**
 * Carries a plan out: stages that do not wait for each other side by side, everything else in order. The first failure
 * stops the rest and is thrown once all have ended.
 * @throws StepFailedError STEP_FAILED; StepError with the code of its cause; ToolError of bases and registries
 */
export async function buildImage(
  plan: Plan,
  workshop: Workshop,
  names: readonly Reference[],
  options: BuildOptions,
): Promise<BuildResult> {
  const startedMs = workshop.options.clock.now();
  const contextKey = options.contextFolder;
  const digests = FileDigests.from(await workshop.records.read('contexts-v1', contextKey), startedMs);
  const failFast = new AbortController();
  const signal = options.signal === undefined ? failFast.signal : AbortSignal.any([options.signal, failFast.signal]);

  const log = new VertexLog(workshop.options.clock, options.onEvent);
  const stages = new StagePromises();
  const context: BuildContext = {
    workshop,
    plan,
    platform: plan.platform,
    options: { ...options, signal },
    digests,
    stageEnd: (name, call) => stages.end(name, call),
  };
  const limit = limiter(options.jobs);
  for (const stage of plan.stages) {
    stages.add(stage.name, () =>
      buildStage(context, stage, { log, limit, signal }).catch((error: unknown) => {
        failFast.abort(error);
        throw error;
      }),
    );
  }
  const ends = await stages.settle();
  options.signal?.throwIfAborted();
  // The first failure; the others only ended because of it.
  if (failFast.signal.aborted) throw failFast.signal.reason;

  const end = ends.get(plan.target);
  if (end === undefined) throw new ToolError('BUILD_NO_TARGET', `the plan has no stage ${plan.target}`);
  const descriptor = await assembleImage(context, end, targetStage(plan).image, { signal });
  const tagged = await tagAll(workshop, descriptor, names, { signal });
  if (digests.changed) await workshop.records.write('contexts-v1', contextKey, digests.toJson());
  // An image that came out of the cache was built when it was first.
  if ((await workshop.records.read('builds-v1', descriptor.digest)) === undefined) {
    await workshop.records.write('builds-v1', descriptor.digest, { digest: descriptor.digest, builtAtMs: startedMs });
  }
  options.onEvent({ type: 'result', digest: descriptor.digest, names: tagged });
  return { descriptor, names: tagged, cachedSteps: log.cached, steps: log.steps };
}

function targetStage(plan: Plan): PlanStage {
  const stage = plan.stages.find(({ name }) => name === plan.target);
  if (stage === undefined) throw new ToolError('BUILD_NO_TARGET', `the plan has no stage ${plan.target}`);
  return stage;
}

async function tagAll(
  workshop: Workshop,
  descriptor: Descriptor,
  names: readonly Reference[],
  options: CallOptions,
): Promise<string[]> {
  const tagged: string[] = [];
  for (const reference of names) {
    const name = formatReference(withDefaultTag(reference));
    await workshop.content.tag(descriptor, name, options);
    tagged.push(name);
  }
  return tagged;
}

/** Each stage's end as a promise, so that whoever needs a stage waits for that one only. */
class StagePromises {
  readonly #ends = new Map<string, Promise<StageState>>();
  readonly #waiting = Promise.withResolvers<void>();

  /** Stages are added in dependency order and begin once all are added. */
  add(name: string, build: () => Promise<StageState>): void {
    const end = this.#waiting.promise.then(build);
    end.catch(() => {});
    this.#ends.set(name, end);
  }

  end(name: string, options: CallOptions = {}): Promise<StageState> {
    options.signal?.throwIfAborted();
    const end = this.#ends.get(name);
    if (end === undefined) throw new ToolError('BUILD_NO_STAGE', `the plan has no stage ${name}`);
    return end;
  }

  async settle(): Promise<Map<string, StageState>> {
    this.#waiting.resolve();
    const ended = new Map<string, StageState>();
    for (const [name, end] of this.#ends) {
      const [outcome] = await Promise.allSettled([end]);
      if (outcome.status === 'fulfilled') ended.set(name, outcome.value);
    }
    return ended;
  }
}

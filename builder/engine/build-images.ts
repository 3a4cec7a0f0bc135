import {
  type CallOptions,
  type Descriptor,
  formatPlatform,
  formatReference,
  limiter,
  type Platform,
  type Reference,
  ToolError,
  withDefaultTag,
} from '../../core/index.ts';
import { DigestCache } from '../copy/digest-cache.ts';
import type { Plan, PlanStage } from '../plan/plan.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { writeIndex } from '../workshop/write-image.ts';
import { assembleImage, indexAnnotations } from './assemble.ts';
import type { BuildContext, BuildOptions } from './build-context.ts';
import { buildStage } from './build-stage.ts';
import { BuildTrace, traceName } from './build-trace.ts';
import { checkSources } from './check-sources.ts';
import type { StageState } from './stage-state.ts';
import { VertexLog } from './vertex-log.ts';

/** What to build, and what to call it. */
export interface BuildRequest {
  /** One for each platform; all have the same targets. */
  readonly plans: readonly Plan[];
  /** By target; one without names stays without. */
  readonly names: ReadonlyMap<string, readonly Reference[]>;
}

/** One target's result. */
export interface BuiltTarget {
  readonly target: string;
  /** In the store: an image, or an index when there are several platforms. */
  readonly descriptor: Descriptor;
  /** Full references that now mean it. */
  readonly names: readonly string[];
  readonly images: readonly {
    readonly platform: Platform;
    readonly descriptor: Descriptor;
    readonly end: StageState;
    /** Of its manifest. */
    readonly annotations: Readonly<Record<string, string>>;
  }[];
}

export interface BuildResult {
  /** In the order of the plans' targets. */
  readonly targets: readonly BuiltTarget[];
  /** Steps that came out of the cache, and all. */
  readonly cachedSteps: number;
  readonly steps: number;
  /** What was asked of the cache, in the order of its answers. */
  readonly trace: Pick<BuildTrace, 'steps' | 'merges'>;
}

/**
 * Carries plans out: stages that do not wait for each other side by side, everything else in order. The first failure
 * stops the rest and is thrown once all have ended.
 * @throws StepFailedError STEP_FAILED; StepError with the code of its cause; ToolError of bases and registries
 */
export async function buildImages(
  request: BuildRequest,
  workshop: Workshop,
  options: BuildOptions,
): Promise<BuildResult> {
  const startedMs = workshop.options.clock.now();
  const digests = new DigestCache(workshop.records, startedMs);
  const log = new VertexLog(workshop.options.clock, options.onEvent);
  const trace = new BuildTrace();
  try {
    const { contexts, ends } = await buildStages(request, workshop, { ...options, digests, log, trace });
    const targets: BuiltTarget[] = [];
    for (const target of request.plans[0]?.targets ?? []) {
      targets.push(await buildTarget(target, contexts, ends, request.names.get(target) ?? [], startedMs));
    }
    for (const { descriptor, names } of targets) options.onEvent({ type: 'result', digest: descriptor.digest, names });
    return { targets, cachedSteps: log.cached, steps: log.steps, trace };
  } finally {
    await digests.save();
    if (options.isTrial !== true)
      await trace.keep(workshop.records, traceName(options.buildfile, options.contextFolder), startedMs);
  }
}

interface StagesOptions extends BuildOptions {
  readonly digests: DigestCache;
  readonly log: VertexLog;
  readonly trace: BuildTrace;
}

interface BuiltStages {
  readonly contexts: readonly BuildContext[];
  readonly ends: ReadonlyMap<string, StageState>;
}

/** All stages of all plans at once; ends by `stageKey`. */
async function buildStages(
  { plans }: BuildRequest,
  workshop: Workshop,
  { digests, log, trace, ...options }: StagesOptions,
): Promise<BuiltStages> {
  const failFast = new AbortController();
  const signal = options.signal === undefined ? failFast.signal : AbortSignal.any([options.signal, failFast.signal]);
  const stages = new StagePromises();
  const limit = limiter(options.jobs);
  const contexts = plans.map((plan): BuildContext => {
    const context = {
      workshop,
      plan,
      platform: plan.platform,
      options: { ...options, signal, ...onFirstFailure(options, failFast) },
      digests,
      trace,
      stageEnd: (name: string, call?: CallOptions) => stages.end(stageKey(plan, name), call),
    };
    for (const stage of plan.stages) {
      stages.add(stageKey(plan, stage.name), () =>
        buildStage(context, stage, { log, limit, signal, severalPlatforms: plans.length > 1 }).catch(
          (error: unknown) => {
            failFast.abort(error);
            throw error;
          },
        ),
      );
    }
    return context;
  });
  await checkSources(contexts, { signal });
  const ends = await stages.settle();
  options.signal?.throwIfAborted();
  // The first failure; the others only ended because of it.
  if (failFast.signal.aborted) throw failFast.signal.reason;
  return { contexts, ends };
}

/** Everything else is called off before a failure is looked at, and no other one is. */
function onFirstFailure({ onStepFailed }: BuildOptions, failFast: AbortController): Pick<BuildOptions, 'onStepFailed'> {
  if (onStepFailed === undefined) return {};
  return {
    async onStepFailed(failure) {
      if (failFast.signal.aborted) return;
      failFast.abort(failure.error);
      await onStepFailed(failure);
    },
  };
}

async function buildTarget(
  target: string,
  contexts: readonly BuildContext[],
  ends: ReadonlyMap<string, StageState>,
  names: readonly Reference[],
  startedMs: number,
): Promise<BuiltTarget> {
  const images: BuiltTarget['images'][number][] = [];
  for (const context of contexts) {
    const end = ends.get(stageKey(context.plan, target));
    if (end === undefined) throw new ToolError('BUILD_NO_TARGET', `the plan has no stage ${target}`);
    const stage = targetStage(context.plan, target);
    const { descriptor, state, annotations } = await assembleImage(context, end, stage, context.options);
    images.push({ platform: context.platform, descriptor, end: state, annotations });
  }
  const [first] = contexts;
  const [only] = images;
  if (first === undefined || only === undefined) throw new ToolError('BUILD_NO_TARGET', 'there is no plan');
  const { workshop, options } = first;
  const descriptor =
    images.length === 1
      ? only.descriptor
      : await writeIndex(workshop, images, indexAnnotations(images, options), options);
  const tagged = await tagAll(workshop, descriptor, names, options);
  // An image that came out of the cache was built when it was first.
  if ((await workshop.records.read('builds-v1', descriptor.digest)) === undefined) {
    await workshop.records.write('builds-v1', descriptor.digest, { digest: descriptor.digest, builtAtMs: startedMs });
  }
  return { target, descriptor, names: tagged, images };
}

/** Stages are told apart by platform too: each platform has a plan of its own. */
function stageKey(plan: Plan, stage: string): string {
  return `${formatPlatform(plan.platform)} ${stage}`;
}

function targetStage(plan: Plan, target: string): PlanStage {
  const stage = plan.stages.find(({ name }) => name === target);
  if (stage === undefined) throw new ToolError('BUILD_NO_TARGET', `the plan has no stage ${target}`);
  return stage;
}

async function tagAll(
  workshop: Workshop,
  descriptor: Descriptor,
  names: readonly Reference[],
  { signal }: CallOptions,
): Promise<string[]> {
  const tagged: string[] = [];
  for (const reference of names) {
    const name = formatReference(withDefaultTag(reference));
    await workshop.content.tag(descriptor, name, { signal });
    tagged.push(name);
  }
  return tagged;
}

/** Each stage's end as a promise, so that whoever needs a stage waits for that one only. */
class StagePromises {
  readonly #ends = new Map<string, Promise<StageState>>();
  readonly #waiting = Promise.withResolvers<void>();

  /** Stages begin once all are added. */
  add(key: string, build: () => Promise<StageState>): void {
    const end = this.#waiting.promise.then(build);
    end.catch(() => {});
    this.#ends.set(key, end);
  }

  end(key: string, options: CallOptions = {}): Promise<StageState> {
    options.signal?.throwIfAborted();
    const end = this.#ends.get(key);
    if (end === undefined) throw new ToolError('BUILD_NO_STAGE', `the plan has no stage ${key}`);
    return end;
  }

  async settle(): Promise<Map<string, StageState>> {
    this.#waiting.resolve();
    const ended = new Map<string, StageState>();
    for (const [key, end] of this.#ends) {
      const [outcome] = await Promise.allSettled([end]);
      if (outcome.status === 'fulfilled') ended.set(key, outcome.value);
    }
    return ended;
  }
}

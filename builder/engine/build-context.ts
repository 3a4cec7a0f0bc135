import type { CallOptions, Platform } from '../../core/index.ts';
import type { IgnoreRules } from '../buildfile/ignore.ts';
import type { CacheSource } from '../cache-transfer/cache-source.ts';
import type { ContextUse } from '../copy/context-use.ts';
import type { DigestCache } from '../copy/digest-cache.ts';
import type { OnBuildEvent, Vertex } from '../events.ts';
import type { Pins } from '../lock/pins.ts';
import type { Plan, StepNetwork } from '../plan/plan.ts';
import type { Workshop } from '../workshop/workshop.ts';
import type { BuildTrace } from './build-trace.ts';
import type { OnStepFailed } from './failed-step.ts';
import type { StageState } from './stage-state.ts';

/** What the caller of a build decides. */
export interface BuildOptions extends CallOptions {
  /** Absolute path. */
  readonly contextFolder: string;
  readonly ignore: IgnoreRules;
  /** What this Buildfile is called in traces of builds: absolute path. */
  readonly buildfile: string;
  /** Runs every step again; results are still remembered. */
  readonly noCache: boolean;
  /** Its results are looked at and forgotten: later builds find those of before, and it is no last build to explain. */
  readonly isTrial?: boolean;
  /** Stages whose steps are run again. */
  readonly noCacheStages?: ReadonlySet<string>;
  /** Asks registries and package archives again for what a base is now. */
  readonly pull: boolean;
  /** Steps that run at once. */
  readonly jobs: number;
  /** Network of steps that name none. */
  readonly network: StepNetwork;
  /** HTTP_PROXY and its kin: reach `run` steps, never a key or the history. */
  readonly proxies: Readonly<Record<string, string>>;
  readonly pins: Pins;
  /** Asked, in this order, for results that the store does not have. */
  readonly cacheSources?: readonly CacheSource[];
  /** Values for secret mounts. */
  readonly secrets: SecretSource;
  /** Sockets of ssh agents by id, absolute paths. */
  readonly sshAgents: ReadonlyMap<string, string>;
  /** Keys of hosts that a fetch over ssh trusts, besides the machine's: absolute path. */
  readonly sshKnownHosts?: string;
  readonly limits: StepLimits;
  /** What is added to every result. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Of the manifest of each platform only, and of the index over them only. */
  readonly manifestAnnotations?: Readonly<Record<string, string>>;
  readonly indexAnnotations?: Readonly<Record<string, string>>;
  /** All layers of a result become one. */
  readonly squash?: boolean;
  /** Told what copies read of folders: for `--context-report`. */
  readonly contextUse?: ContextUse;
  readonly onEvent: OnBuildEvent;
  /** Called when a `run` or `test` step has failed; everything else of the build is called off first. */
  readonly onStepFailed?: OnStepFailed;
}

/** Where secrets come from; asked when a step runs, so that an unused one is never read. */
export interface SecretSource {
  /** Undefined when there is no such secret. */
  find(id: string, options?: CallOptions): Promise<Buffer | undefined>;
  /** Why a secret that was given is not there all the same: `the variable TOKEN is not set`. */
  readonly absence?: (id: string) => string | undefined;
}

/** What a step may use of the machine; an absent one is not limited. */
export interface StepLimits {
  readonly memoryBytes?: number;
  /** May be a fraction. */
  readonly cpus?: number;
  readonly pids?: number;
  readonly shmBytes?: number;
  /** By name without `RLIMIT_`, lower case; -1 is unlimited. */
  readonly ulimits?: ReadonlyMap<string, { readonly soft: number; readonly hard: number }>;
}

/** One plan of a build under way: what every step of it may use. */
export interface BuildContext {
  readonly workshop: Workshop;
  readonly plan: Plan;
  readonly platform: Platform;
  readonly options: BuildOptions;
  readonly digests: DigestCache;
  readonly trace: BuildTrace;
  /** Another stage's end; a copy from it waits here. */
  stageEnd(name: string, options?: CallOptions): Promise<StageState>;
}

/** A step's own place to speak from, with the build's first-failure signal. */
export interface StepScope extends CallOptions {
  readonly vertex: Vertex;
  readonly stage: string;
}

import type { CallOptions, Platform } from '../../core/index.ts';
import type { IgnoreRules } from '../buildfile/ignore.ts';
import type { FileDigests } from '../copy/file-digests.ts';
import type { OnBuildEvent, Vertex } from '../events.ts';
import type { Plan } from '../plan/plan.ts';
import type { Workshop } from '../workshop/workshop.ts';
import type { StageState } from './stage-state.ts';

/** What the caller of a build decides. */
export interface BuildOptions extends CallOptions {
  /** Absolute path. */
  readonly contextFolder: string;
  readonly ignore: IgnoreRules;
  /** Runs every step again; results are still remembered. */
  readonly noCache: boolean;
  /** Asks registries and package archives again for what a base is now. */
  readonly pull: boolean;
  /** Steps that run at once. */
  readonly jobs: number;
  /** Network of `run` steps that name none. */
  readonly network: 'none' | 'host';
  /** HTTP_PROXY and its kin: reach `run` steps, never a key or the history. */
  readonly proxies: Readonly<Record<string, string>>;
  readonly onEvent: OnBuildEvent;
}

/** One build under way: what every step of it may use. */
export interface BuildContext {
  readonly workshop: Workshop;
  readonly plan: Plan;
  readonly platform: Platform;
  readonly options: BuildOptions;
  readonly digests: FileDigests;
  /** Another stage's end; a copy from it waits here. */
  stageEnd(name: string, options?: CallOptions): Promise<StageState>;
}

/** A step's own place to speak from, with the build's first-failure signal. */
export interface StepScope extends CallOptions {
  readonly vertex: Vertex;
}

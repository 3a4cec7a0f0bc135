import type { Platform } from '../../core/index.ts';

/** Where a thing was written, for messages. Lines and columns count from 1. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** What to build, as pure data; knows nothing of TOML. Stages are in dependency order and only those the target needs. */
export interface Plan {
  readonly platform: Platform;
  readonly stages: readonly PlanStage[];
  readonly target: string;
  /** An explicit SOURCE_DATE_EPOCH, seconds; undefined means the default rule of buildfile.md. */
  readonly sourceDateEpoch?: number;
}

export interface PlanStage {
  readonly name: string;
  readonly base: BaseSource;
  readonly steps: readonly Step[];
  readonly image: ImageChanges;
  readonly position: Position;
}

export type BaseSource =
  | { readonly kind: 'scratch' }
  | { readonly kind: 'stage'; readonly stage: string }
  | { readonly kind: 'image'; readonly reference: string }
  /** An OCI layout on disk: absolute path, and the name inside it where it holds several. */
  | { readonly kind: 'layout'; readonly path: string; readonly name?: string }
  | BootstrapSource;

/** A root file system made from a distribution's own packages. */
export interface BootstrapSource {
  readonly kind: 'bootstrap';
  readonly distribution: string;
  readonly suite: string;
  readonly variant: string;
  /** Whether the suite's security archive takes part. */
  readonly security: boolean;
  readonly include: readonly string[];
}

interface StepCommon {
  readonly position: Position;
  /** What progress shows in place of the step's own text. */
  readonly title?: string;
}

/** A script for the stage's shell, or an argv that is executed as it is. */
export type Command =
  | { readonly kind: 'script'; readonly script: string }
  | { readonly kind: 'argv'; readonly argv: readonly string[] };

export interface RunStep extends StepCommon {
  readonly verb: 'run';
  readonly command: Command;
  readonly env: Readonly<Record<string, string>>;
  /** Arguments the stage sees; a script finds them in its environment. */
  readonly args: Readonly<Record<string, string>>;
  readonly user?: string;
  readonly workdir?: string;
  readonly shell?: readonly string[];
  readonly network?: 'none' | 'host';
}

export type CopySource =
  | { readonly kind: 'context' }
  | { readonly kind: 'stage'; readonly stage: string }
  | { readonly kind: 'image'; readonly reference: string };

export interface CopyStep extends StepCommon {
  readonly verb: 'copy';
  readonly from: CopySource;
  /** Patterns as the Buildfile has them, variables replaced. */
  readonly paths: readonly string[];
  readonly to: string;
  readonly exclude: readonly string[];
  /** `user[:group]`, names or numbers. */
  readonly owner?: string;
  /** Permission bits. */
  readonly mode?: number;
  readonly preserveMode: boolean;
}

export interface WorkdirStep extends StepCommon {
  readonly verb: 'workdir';
  readonly path: string;
}

export interface UserStep extends StepCommon {
  readonly verb: 'user';
  readonly user: string;
}

export interface EnvStep extends StepCommon {
  readonly verb: 'env';
  readonly env: Readonly<Record<string, string>>;
}

export interface ShellStep extends StepCommon {
  readonly verb: 'shell';
  readonly shell: readonly string[];
}

export type Step = RunStep | CopyStep | WorkdirStep | UserStep | EnvStep | ShellStep;

/** `[image]`: what the result says about itself; an absent key keeps what the base says. */
export interface ImageChanges {
  readonly entrypoint?: readonly string[];
  readonly cmd?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly user?: string;
  readonly workdir?: string;
  /** `80/tcp`. */
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly stopSignal?: string;
  readonly healthcheck?: Healthcheck;
}

export interface Healthcheck {
  readonly cmd: Command;
  readonly intervalMs?: number;
  readonly timeoutMs?: number;
  readonly startPeriodMs?: number;
  readonly retries?: number;
}

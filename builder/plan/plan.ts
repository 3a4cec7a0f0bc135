import type { Platform } from '../../core/index.ts';

/** Where a thing was written, for messages. Lines and columns count from 1. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** What to build, as pure data; knows nothing of TOML. Stages are in dependency order and only those the targets need. */
export interface Plan {
  readonly platform: Platform;
  readonly stages: readonly PlanStage[];
  /** Stages whose ends are results; one at least, each once. */
  readonly targets: readonly string[];
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
  | LayoutSource
  | BootstrapSource;

/** An OCI layout on disk: absolute path, and the name inside it where it holds several. */
export interface LayoutSource {
  readonly kind: 'layout';
  readonly path: string;
  readonly name?: string;
}

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
  /** Neighbours with the same name share one layer. */
  readonly layer?: string;
}

/** A script for the stage's shell, or an argv that is executed as it is. */
export type Command =
  | { readonly kind: 'script'; readonly script: string }
  | { readonly kind: 'argv'; readonly argv: readonly string[] };

/** `default` is a network of the step's own that reaches the outside; `host` is the machine's. */
export type StepNetwork = 'none' | 'host' | 'default';

interface CommandStep extends StepCommon {
  readonly command: Command;
  readonly env: Readonly<Record<string, string>>;
  /** Arguments the stage sees; a script finds them in its environment. */
  readonly args: Readonly<Record<string, string>>;
  readonly user?: string;
  readonly workdir?: string;
  readonly shell?: readonly string[];
  readonly network?: StepNetwork;
  readonly mounts: readonly Mount[];
}

export interface RunStep extends CommandStep {
  readonly verb: 'run';
}

/** Runs against the result so far and leaves no layer; a failure fails the build. */
export interface TestStep extends CommandStep {
  readonly verb: 'test';
}

/** What a step sees besides its root file system. No mount leaves a trace in the layer. Folders may be relative to the workdir. */
export type Mount =
  | {
      readonly kind: 'cache';
      readonly folder: string;
      /** The folder, made absolute, unless given. */
      readonly id?: string;
      readonly sharing: 'shared' | 'private' | 'locked';
    }
  | {
      readonly kind: 'secret';
      readonly id: string;
      /** File in the sandbox; `/run/secrets/ID` unless given or `env` is. */
      readonly to?: string;
      /** Environment variable that holds it. */
      readonly env?: string;
      readonly required: boolean;
    }
  | {
      readonly kind: 'bind';
      readonly from: CopySource;
      /** In what `from` names. */
      readonly source: string;
      readonly to: string;
      /** Writes are possible, and thrown away. */
      readonly writable: boolean;
    }
  | { readonly kind: 'tmpfs'; readonly folder: string; readonly sizeBytes?: number }
  | { readonly kind: 'ssh'; readonly id: string };

export type CopySource =
  | { readonly kind: 'context' }
  /** Another folder of this machine: `--build-context NAME=PATH`. Absolute path. */
  | { readonly kind: 'folder'; readonly name: string; readonly path: string }
  | { readonly kind: 'stage'; readonly stage: string }
  | { readonly kind: 'image'; readonly reference: string }
  | LayoutSource;

/** What of a source's metadata a copy keeps besides what it always keeps. */
export type Preserved = 'mode' | 'owner' | 'time' | 'xattrs';

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
  readonly preserve: readonly Preserved[];
  /** Sources keep their folders below `to`; what is before `/./` in a path is left away. */
  readonly parents: boolean;
  /** Nothing that matches is no failure. */
  readonly optional: boolean;
}

export type FetchSource =
  | { readonly kind: 'http'; readonly url: string }
  | {
      readonly kind: 'git';
      /** Without fragment. */
      readonly url: string;
      /** Branch, tag or commit; the remote's HEAD unless given. */
      readonly ref?: string;
      readonly subdir?: string;
    };

export interface FetchStep extends StepCommon {
  readonly verb: 'fetch';
  readonly source: FetchSource;
  readonly to: string;
  /** `sha256:…` of the file; of a git source, its commit in hexadecimal. */
  readonly checksum?: string;
  /** The file is an archive whose content goes to `to`. */
  readonly unpack: boolean;
  readonly owner?: string;
  readonly mode?: number;
}

export type PackageManager = 'apt' | 'apk' | 'dnf';

export interface PackagesStep extends StepCommon {
  readonly verb: 'packages';
  /** `name` or `name=version`. */
  readonly packages: readonly string[];
  /** What the base's os-release says unless given. */
  readonly manager?: PackageManager;
  readonly recommends: boolean;
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

export type Step =
  | RunStep
  | TestStep
  | CopyStep
  | FetchStep
  | PackagesStep
  | WorkdirStep
  | UserStep
  | EnvStep
  | ShellStep;

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

import type { CallOptions } from '../../core/index.ts';
import type { StepFailedError } from './errors.ts';

/** A command that failed, while its container is still as it was. */
export interface FailedStep {
  readonly error: StepFailedError;
  /**
   * Opens a shell in that container, on this process's terminal: the same files, mounts, variables, user and folder.
   * Resolves to its exit code when it has ended.
   */
  openShell(options: ShellOptions): Promise<number>;
}

export interface ShellOptions extends CallOptions {
  /** Variables that only an interactive shell needs, such as TERM. */
  readonly env: Readonly<Record<string, string>>;
}

/** Who looks at a failure before the build goes on to fail. */
export type OnStepFailed = (failure: FailedStep) => Promise<void>;

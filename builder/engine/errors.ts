import { ToolError } from '../../core/index.ts';
import type { Position } from '../plan/plan.ts';

/** A step ran and failed; carries what a person needs to see why. */
export class StepFailedError extends ToolError {
  /** Of the step, as progress shows it. */
  readonly title: string;
  readonly position: Position;
  readonly command: string;
  readonly exitCode: number;
  /** The last of what it printed, both streams, raw bytes. */
  readonly output: Buffer;

  constructor(details: {
    readonly title: string;
    readonly position: Position;
    readonly command: string;
    readonly exitCode: number;
    readonly output: Buffer;
  }) {
    super('STEP_FAILED', `${details.title} ended with exit code ${details.exitCode}`);
    this.name = 'StepFailedError';
    this.title = details.title;
    this.position = details.position;
    this.command = details.command;
    this.exitCode = details.exitCode;
    this.output = details.output;
  }
}

/** A step could not be carried out for another reason; says where it is written. */
export class StepError extends ToolError {
  readonly position: Position;

  constructor(position: Position, cause: ToolError) {
    super(cause.code, cause.message, { cause, ...(cause.hint === undefined ? {} : { hint: cause.hint }) });
    this.name = 'StepError';
    this.position = position;
  }
}

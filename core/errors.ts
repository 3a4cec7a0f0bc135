/** What every thrown error of Kiln carries besides its sentence. */
export interface ToolErrorOptions {
  readonly cause?: unknown;
  /** What the user can do next: one imperative sentence. */
  readonly hint?: string;
}

/**
 * An error a user can act on. `code` is stable and is what callers branch on; the part of it before the first
 * underscore names the area (BLOB, BUILDFILE, STEP, REGISTRY, …) and decides the exit code of the CLI.
 */
export class ToolError extends Error {
  readonly code: string;
  readonly hint: string | undefined;

  constructor(code: string, message: string, options: ToolErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ToolError';
    this.code = code;
    this.hint = options.hint;
  }
}

/** Bytes are not what their descriptor says they are. */
export class IntegrityError extends ToolError {
  override name = 'IntegrityError';
}

/** Something that was asked for by name or digest is not there. */
export class NotFoundError extends ToolError {
  override name = 'NotFoundError';
}

/** The `code` of a ToolError or of a Node system error; undefined for anything else. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** For the default branch of an exhaustive switch. */
export function unreachable(value: never): Error {
  return new TypeError(`unexpected value: ${JSON.stringify(value)}`);
}

import { setTimeout as delay } from 'node:timers/promises';

/** Last parameter of every function that waits. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

/** @throws the signal's reason when aborted first */
export async function sleep(ms: number, options: CallOptions = {}): Promise<void> {
  options.signal?.throwIfAborted();
  try {
    await delay(ms, undefined, { signal: options.signal });
  } catch (error) {
    options.signal?.throwIfAborted();
    throw error;
  }
}

/** True for what an aborted AbortSignal throws. */
export function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError');
}

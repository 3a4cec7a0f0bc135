import { type CallOptions, errorCode, ToolError } from '../core/index.ts';
import type { Trouble } from './decision.ts';

/** Codes of what can go wrong between Kiln and a registry, by their area. */
const registryAreas: ReadonlySet<string> = new Set(['REGISTRY', 'NETWORK', 'CREDENTIALS']);
const registryCodes: ReadonlySet<string> = new Set([
  'REFERENCE_NOT_FOUND',
  'PLATFORM_NOT_FOUND',
  'BLOB_NOT_FOUND',
  'BLOB_DIGEST_MISMATCH',
  'BLOB_SIZE_MISMATCH',
  'BLOB_TOO_LARGE',
]);

export function isRegistryTrouble({ code }: Pick<Trouble, 'code'>): boolean {
  return registryCodes.has(code) || registryAreas.has(code.split('_', 1)[0] ?? code);
}

/**
 * What went wrong with one image, so that the others can go on.
 * @throws the error itself when it is an abort, or a mistake in the program
 */
export function troubleOf(error: unknown, { signal }: CallOptions): Trouble {
  signal?.throwIfAborted();
  const code = errorCode(error);
  // Assertions of Node and the like carry a code as well, but they are mistakes.
  if (code === undefined || !(error instanceof Error) || error instanceof TypeError) throw error;
  const hint = error instanceof ToolError ? error.hint : undefined;
  return { code, message: error.message, ...(hint === undefined ? {} : { hint }) };
}

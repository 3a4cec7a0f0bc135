import { errorCode, ToolError } from '../../core/index.ts';
import type { HttpRequest } from './http.ts';
import { showUrl } from './shown.ts';
import type { StallWatch } from './stall-watch.ts';

const retryableErrors = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN', 'ECONNABORTED']);

/**
 * What is thrown when there is no answer, or no whole one: the signal's reason, or an error that holds no trace of
 * axios, whose own errors carry the request with its credentials.
 */
export function transportError(error: unknown, request: HttpRequest, stall: StallWatch): Error {
  if (request.signal?.aborted) return asError(request.signal.reason);
  if (stall.failure !== undefined) {
    return new ToolError('REGISTRY_STALLED', `${request.method} ${showUrl(request.url)}: ${stall.failure}`, {
      hint: 'check the network and try again',
    });
  }
  if (error instanceof ToolError) return error;
  const code = transportCode(error);
  return new UnreachableError(code, `${request.method} ${showUrl(request.url)} failed: ${explain(code)}`);
}

class UnreachableError extends ToolError {
  override name = 'UnreachableError';
  readonly transport: string;

  constructor(transport: string, message: string) {
    super('REGISTRY_UNREACHABLE', message, { hint: 'check the host name, the network, and that the registry runs' });
    this.transport = transport;
  }
}

function transportCode(error: unknown): string {
  const code = errorCode(error) ?? 'unknown error';
  // A body that ends early has no code of the system's.
  return code === 'ERR_STREAM_PREMATURE_CLOSE' || code === 'ERR_BAD_RESPONSE' ? 'ECONNRESET' : code;
}

function explain(code: string): string {
  const sentences: Record<string, string> = {
    ECONNRESET: 'the connection broke off (ECONNRESET)',
    ECONNREFUSED: 'nothing listens there (ECONNREFUSED)',
    ENOTFOUND: 'there is no such host (ENOTFOUND)',
    EAI_AGAIN: 'the host name could not be looked up (EAI_AGAIN)',
    EPROTO: 'it does not speak HTTPS as expected (EPROTO)',
  };
  return sentences[code] ?? code;
}

/** Worth trying again at once. */
export function isTransient(error: unknown): boolean {
  return error instanceof UnreachableError && retryableErrors.has(error.transport);
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new TypeError(String(reason));
}

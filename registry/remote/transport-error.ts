import { errorCode, ToolError } from '../../core/index.ts';
import type { HttpRequest } from './http.ts';
import { showUrl } from './shown.ts';
import type { StallWatch } from './stall-watch.ts';

/** Stands for a code of the system's where its own waiting would have been too long. */
const noConnection = 'no connection';
const retryableErrors = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN', 'ECONNABORTED', noConnection]);
const certificateErrors =
  /^(?:CERT_|DEPTH_|SELF_SIGNED|UNABLE_TO_|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH|HOSTNAME_MISMATCH|ERR_TLS_CERT|ERR_SSL_.*(?:CERTIFICATE|UNKNOWN_CA))/;

/**
 * What is thrown when there is no answer, or no whole one: the signal's reason, or an error that holds no trace of
 * axios, whose own errors carry the request with its credentials.
 * @param proxy what the request was sent through; its password is not shown
 */
export function transportError(error: unknown, request: HttpRequest, stall: StallWatch, proxy?: URL): Error {
  if (request.signal?.aborted) return asError(request.signal.reason);
  const through = proxy === undefined ? '' : ` through the proxy ${proxy.host}`;
  const what = `${request.method} ${showUrl(request.url)}${through}`;
  if (stall.failure?.waiting === 'connection') {
    return new UnreachableError(noConnection, `${what} failed: ${stall.failure.sentence}`);
  }
  if (stall.failure !== undefined) {
    const hint = 'check the network and try again';
    return new ToolError('REGISTRY_STALLED', `${what}: ${stall.failure.sentence}`, { hint });
  }
  if (error instanceof ToolError) return error;
  const code = transportCode(error);
  if (certificateErrors.test(code)) {
    return new ToolError(
      'REGISTRY_TLS',
      `${what} failed: the certificate of ${request.url.host} is not accepted (${code})`,
      {
        hint: `put the authority's certificate at /etc/containers/certs.d/${request.url.host}/ca.crt`,
      },
    );
  }
  return new UnreachableError(code, `${what} failed: ${explain(code)}`);
}

/** The other side listens, and does not answer the first words of TLS as TLS does. */
export function isNoTls(error: unknown): boolean {
  if (!(error instanceof UnreachableError)) return false;
  return ['EPROTO', 'ECONNRESET', 'ECONNREFUSED'].includes(error.transport) || error.transport.startsWith('ERR_SSL_');
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
    EHOSTUNREACH: 'no way leads there (EHOSTUNREACH)',
    ENETUNREACH: 'no way leads there (ENETUNREACH)',
    ENOTFOUND: 'there is no such host (ENOTFOUND)',
    ETIMEDOUT: 'no connection came about (ETIMEDOUT)',
    EAI_AGAIN: 'the host name could not be looked up (EAI_AGAIN)',
    EPROTO: 'it does not speak HTTPS as expected (EPROTO)',
    ERR_PROXY_TUNNEL: 'the proxy did not let it through (ERR_PROXY_TUNNEL)',
  };
  if (code.startsWith('HPE_')) return `it does not speak HTTP as expected (${code})`;
  return sentences[code] ?? code;
}

/** Worth trying again at once. */
export function isTransient(error: unknown): boolean {
  return error instanceof UnreachableError && retryableErrors.has(error.transport);
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new TypeError(String(reason));
}

import { IntegrityError, NotFoundError, ToolError } from '../../core/index.ts';
import { type HttpResponse, isLoopback, readCapped } from './http.ts';
import { retryAfterMs } from './http-timing.ts';
import { plainText, showUrl } from './shown.ts';

/** What the failed request was about, for the sentence of its error. */
export interface Asked {
  readonly method: string;
  readonly registry: string;
  /** What a 404 means; REGISTRY_NOT_FOUND unless said. */
  readonly notFound?: { readonly code: string; readonly message: string };
  /** Takes passwords and tokens out of what the registry sent. */
  readonly redact?: (text: string) => string;
}

const maxErrorBytes = 64 * 1024;

/** Turns an answer that is no success into an error; consumes its body. distribution-spec, #error-codes */
export async function responseError(response: HttpResponse, asked: Asked): Promise<ToolError> {
  const redact = asked.redact ?? ((text) => text);
  const detail = describeErrors(await bodyText(response));
  const told = detail === '' ? '' : `: ${detail}`;
  const message = redact(`${asked.method} ${showUrl(response.url)} was answered with ${response.status}${told}`);
  switch (response.status) {
    case 401:
      return new ToolError('REGISTRY_UNAUTHORIZED', message, { hint: `log in: kiln login ${asked.registry}` });
    case 403:
      return new ToolError('REGISTRY_DENIED', message, {
        hint: `check that the account used for ${asked.registry} may do this, and the spelling of the repository`,
      });
    case 404:
      return asked.notFound === undefined
        ? new NotFoundError('REGISTRY_NOT_FOUND', message)
        : new NotFoundError(asked.notFound.code, `${asked.notFound.message}: ${message}`);
    case 407:
      return new ToolError('PROXY_DENIED', message, {
        hint: 'put the user and the password of the proxy into HTTP_PROXY and HTTPS_PROXY',
      });
    case 429:
      return new ToolError('REGISTRY_RATE_LIMITED', `${message}${restText(response)}`, {
        hint: `wait, or log in for a higher limit: kiln login ${asked.registry}`,
      });
    default:
      if (response.status >= 500)
        return new ToolError('REGISTRY_UNAVAILABLE', message, { hint: 'try again later; the registry has a problem' });
      if (/\bDIGEST_INVALID\b|\bSIZE_INVALID\b/.test(detail))
        return new IntegrityError('BLOB_DIGEST_MISMATCH', message);
      if (response.status === 400 && response.url.protocol === 'http:' && isLoopback(response.url)) {
        // What a server of TLS says to who speaks plain http.
        return new ToolError('REGISTRY_UNEXPECTED_ANSWER', message, {
          hint: 'if this registry speaks TLS, say so: --tls-verify, or --insecure; certificates: docs/registries.md',
        });
      }
      return new ToolError('REGISTRY_UNEXPECTED_ANSWER', message);
  }
}

function restText(response: HttpResponse): string {
  const restMs = retryAfterMs(response);
  return restMs === undefined ? '' : `, with the wish to be asked again in ${Math.ceil(restMs / 1000)} seconds`;
}

async function bodyText(response: HttpResponse): Promise<string> {
  try {
    return (await readCapped(response.body, maxErrorBytes)).bytes.toString('utf8');
  } catch {
    // The status alone is still the answer; a body that breaks off adds nothing to it.
    return '';
  }
}

function describeErrors(body: string): string {
  let document: unknown;
  try {
    document = JSON.parse(body);
  } catch {
    return '';
  }
  if (typeof document !== 'object' || document === null) return '';
  if ('errors' in document && Array.isArray(document.errors)) {
    return document.errors.slice(0, 3).map(describeError).filter(Boolean).join('; ');
  }
  // What token servers and some proxies send instead.
  const { error_description: description, details, message, error } = document as Record<string, unknown>;
  const text = [description, details, message, error].find((candidate) => typeof candidate === 'string');
  return typeof text === 'string' ? plainText(text) : '';
}

function describeError(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '';
  const { code, message } = error as Record<string, unknown>;
  const name = typeof code === 'string' ? plainText(code, 64) : '';
  const text = typeof message === 'string' ? plainText(message) : '';
  return name !== '' && text !== '' ? `${name}, ${text}` : name || text;
}

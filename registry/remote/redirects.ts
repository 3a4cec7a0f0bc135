import { ToolError } from '../../core/index.ts';
import type { HttpRequest, HttpResponse } from './http.ts';
import { showUrl } from './shown.ts';

/** Where a redirecting answer points; undefined for any other answer. */
export function redirectTarget(response: HttpResponse): string | undefined {
  return [301, 302, 303, 307, 308].includes(response.status) ? response.headers.get('location') : undefined;
}

/**
 * The request as it is to be repeated there. Authorization does not follow to another host or port, nor anything to a
 * place without encryption when there was some.
 * @throws ToolError REGISTRY_REDIRECT_REFUSED
 */
export function redirected(request: HttpRequest, response: HttpResponse, location: string): HttpRequest {
  if (!URL.canParse(location, request.url.href))
    throw refused(request, 'it was redirected to something that is no URL');
  const url = new URL(location, request.url);
  const to = `it was redirected to ${showUrl(url)}`;
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refused(request, `${to}, which is not HTTP`);
  if (request.url.protocol === 'https:' && url.protocol === 'http:')
    throw refused(request, `${to}, without encryption`);
  if (request.redirects === 'refuse') throw refused(request, `${to}, and what it sends is secret`);
  if (request.body !== undefined && 'stream' in request.body) throw refused(request, `${to} while it was sending`);
  const reads = request.method === 'GET' || request.method === 'HEAD';
  if (!reads && response.status !== 307 && response.status !== 308)
    throw refused(request, `${to} with ${response.status}`);
  return { ...request, url, headers: url.origin === request.url.origin ? request.headers : withoutSecrets(request) };
}

function withoutSecrets(request: HttpRequest): Record<string, string> {
  return Object.fromEntries(
    Object.entries(request.headers ?? {}).filter(([name]) => !['authorization', 'cookie'].includes(name.toLowerCase())),
  );
}

export function refused(request: HttpRequest, why: string): ToolError {
  return new ToolError(
    'REGISTRY_REDIRECT_REFUSED',
    `${request.method} ${showUrl(request.url)} was not carried out: ${why}`,
  );
}

import { ToolError } from '../../core/index.ts';
import type { HttpRequest, HttpResponse } from './http.ts';
import { showUrl } from './shown.ts';

/** What another host may learn of a request; all else was meant for the host it was sent to. */
const harmlessHeaders: ReadonlySet<string> = new Set(['accept', 'content-type', 'range', 'if-range']);

/** Where a redirecting answer points; undefined for any other answer. */
export function redirectTarget(response: HttpResponse): string | undefined {
  return [301, 302, 303, 307, 308].includes(response.status) ? response.headers.get('location') : undefined;
}

/**
 * The request as it is to be repeated there. Neither Authorization nor other headers that may be secret follow to another
 * host or port, nor does a client's certificate, nor anything to a place without encryption when there was some.
 * @throws ToolError REGISTRY_REDIRECT_REFUSED
 */
export function redirected(request: HttpRequest, response: HttpResponse, location: string): HttpRequest {
  if (!URL.canParse(location, request.url.href))
    throw refused(request, 'it was redirected to something that is no URL');
  const url = new URL(location, request.url);
  const to = `it was redirected to ${showUrl(url)}`;
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refused(request, `${to}, which is not HTTP`);
  if (url.username !== '' || url.password !== '') throw refused(request, `${to} with a user name in it`);
  if (request.url.protocol === 'https:' && url.protocol === 'http:')
    throw refused(request, `${to}, without encryption`);
  if (request.redirects === 'refuse') throw refused(request, `${to}, and what it sends is secret`);
  if (request.body !== undefined && 'stream' in request.body) throw refused(request, `${to} while it was sending`);
  const reads = request.method === 'GET' || request.method === 'HEAD';
  if (!reads && response.status !== 307 && response.status !== 308)
    throw refused(request, `${to} with ${response.status}`);
  return url.origin === request.url.origin ? { ...request, url } : { ...request, url, ...fitForStrangers(request) };
}

function fitForStrangers({ headers = {}, tls }: HttpRequest): Pick<HttpRequest, 'headers' | 'tls'> {
  const { client: _client, ...rest } = tls ?? {};
  return {
    headers: Object.fromEntries(Object.entries(headers).filter(([name]) => harmlessHeaders.has(name.toLowerCase()))),
    ...(tls === undefined ? {} : { tls: rest }),
  };
}

export function refused(request: HttpRequest, why: string): ToolError {
  return new ToolError(
    'REGISTRY_REDIRECT_REFUSED',
    `${request.method} ${showUrl(request.url)} was not carried out: ${why}`,
  );
}

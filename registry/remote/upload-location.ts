import { ToolError } from '../../core/index.ts';
import { discard, type HttpResponse } from './http.ts';
import { showUrl } from './shown.ts';

/**
 * Where an upload goes on: absolute or relative, with a query that must be kept. Consumes the answer.
 * @throws ToolError REGISTRY_UNEXPECTED_ANSWER, REGISTRY_REDIRECT_REFUSED
 */
export async function uploadLocation(response: HttpResponse): Promise<URL> {
  await discard(response);
  const text = response.headers.get('location') ?? '';
  if (text === '' || !URL.canParse(text, response.url.href)) {
    throw new ToolError('REGISTRY_UNEXPECTED_ANSWER', `${showUrl(response.url)} began an upload and did not say where`);
  }
  const location = new URL(text, response.url);
  // A registry behind a proxy that ends TLS may not know that it is spoken to by https.
  if (response.url.protocol === 'https:' && location.host === response.url.host) location.protocol = 'https:';
  const secure = location.protocol === 'https:' || (location.protocol === 'http:' && response.url.protocol === 'http:');
  if (!secure) {
    throw new ToolError(
      'REGISTRY_REDIRECT_REFUSED',
      `${showUrl(response.url)} wants the upload sent to ${showUrl(location)}, without encryption`,
    );
  }
  return location;
}

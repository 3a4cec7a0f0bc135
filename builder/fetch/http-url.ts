import { ToolError } from '../../core/index.ts';

/** What a file from the network may be called in an image: NAME_MAX of Linux. */
const maxNameBytes = 255;

/**
 * The URL of a file to download. A name and a password have no place in it: they would reach the lock file and the
 * history of the image.
 * @throws ToolError FETCH_URL_INVALID, FETCH_URL_CREDENTIALS
 */
export function parseHttpUrl(text: string): URL {
  if (/[\u0000-\u0020\u007f\\]/.test(text) || !URL.canParse(text)) throw invalid(text, 'it is not a URL');
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw invalid(text, 'only https:// and http:// are fetched');
  if (url.username !== '' || url.password !== '') {
    throw new ToolError('FETCH_URL_CREDENTIALS', `${showUrl(url)}: a URL to fetch may hold no user name and password`, {
      hint: `give --secret id=HTTP_AUTH_TOKEN_${url.hostname} or --secret id=HTTP_AUTH_HEADER_${url.hostname}`,
    });
  }
  url.hash = '';
  return url;
}

/** For messages: without credentials, and without a query, which redirects fill with signatures. */
export function showUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

/** The last part of the path, as the name of a file; undefined when it is none. */
export function fileNameOf(url: URL): string | undefined {
  const last = url.pathname.slice(url.pathname.lastIndexOf('/') + 1);
  const name = decoded(last);
  const isUsable = name !== '' && name !== '.' && name !== '..' && !/[\u0000-\u001f\u007f/]/.test(name);
  return isUsable && Buffer.byteLength(name) <= maxNameBytes ? name : undefined;
}

export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function invalid(text: string, why: string): ToolError {
  return new ToolError('FETCH_URL_INVALID', `${JSON.stringify(text.slice(0, 200))} cannot be fetched: ${why}`);
}

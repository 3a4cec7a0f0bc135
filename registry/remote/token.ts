import { type CallOptions, ToolError } from '../../core/index.ts';
import type { Credential } from '../credentials.ts';
import { responseError } from './errors.ts';
import { discard, type HttpClient, type HttpResponse, isLoopback, readCapped } from './http.ts';
import { showUrl } from './shown.ts';

/** Where and for what a bearer token is to be had, as the registry's challenge says. */
export interface TokenService {
  readonly realm: URL;
  readonly service: string | undefined;
}

export interface TokenRequest {
  readonly service: TokenService;
  /** Such as `repository:web:pull,push`; none for a login. */
  readonly scopes: readonly string[];
  readonly credential: Credential | undefined;
  readonly registry: string;
}

const maxTokenAnswerBytes = 1024 * 1024;

/**
 * Checks the realm out of a challenge: credentials go there, so it is https, or loopback, or the plain-http registry
 * the user asked for by itself.
 * @throws ToolError REGISTRY_REALM_REFUSED
 */
export function parseTokenService(realm: string | undefined, service: string | undefined, registry: URL): TokenService {
  if (realm === undefined || !URL.canParse(realm)) throw refused(registry, 'names no usable token server');
  const url = new URL(realm);
  const trusted =
    url.protocol === 'https:' ||
    (url.protocol === 'http:' && registry.protocol === 'http:' && (isLoopback(url) || url.host === registry.host));
  if (!trusted) throw refused(registry, `sends for a token to ${showUrl(url)}, which is not https`);
  if (url.username !== '' || url.password !== '') throw refused(registry, 'names a token server with a password in it');
  url.hash = '';
  return { realm: url, service };
}

/**
 * Fetches a bearer token: GET with basic authentication (or none), POST when the credential is an identity token.
 * https://distribution.github.io/distribution/spec/auth/token/ and …/oauth/
 * @throws ToolError REGISTRY_UNAUTHORIZED and the other codes of `responseError`
 */
export async function fetchToken(http: HttpClient, request: TokenRequest, options: CallOptions = {}): Promise<string> {
  const { credential, registry } = request;
  const identity = credential !== undefined && 'identityToken' in credential ? credential.identityToken : undefined;
  const response =
    identity === undefined ? await getToken(http, request, options) : await postToken(http, request, identity, options);
  if (response.status !== 200) {
    const method = identity === undefined ? 'GET' : 'POST';
    throw await responseError(response, { method, registry, redact: (text) => withoutSecret(text, credential) });
  }
  return parseTokenAnswer(response);
}

/** Text without the password or token of a credential, in plain or as it is sent. */
export function withoutSecret(text: string, credential: Credential | undefined): string {
  if (credential === undefined) return text;
  const secrets =
    'identityToken' in credential
      ? [credential.identityToken]
      : [basicAuthorization(credential).slice('Basic '.length), credential.secret];
  return secrets.reduce((rest, secret) => (secret === '' ? rest : rest.replaceAll(secret, '…')), text);
}

export function basicAuthorization(credential: { readonly username: string; readonly secret: string }): string {
  return `Basic ${Buffer.from(`${credential.username}:${credential.secret}`, 'utf8').toString('base64')}`;
}

function getToken(http: HttpClient, request: TokenRequest, options: CallOptions): Promise<HttpResponse> {
  const { credential, scopes, service } = request;
  const url = new URL(service.realm);
  if (service.service !== undefined) url.searchParams.set('service', service.service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  const headers: Record<string, string> = {};
  if (credential !== undefined && 'secret' in credential) {
    url.searchParams.set('account', credential.username);
    headers.Authorization = basicAuthorization(credential);
  }
  return http.request({ method: 'GET', url, headers, signal: options.signal });
}

function postToken(
  http: HttpClient,
  request: TokenRequest,
  identityToken: string,
  options: CallOptions,
): Promise<HttpResponse> {
  const { scopes, service } = request;
  const form = new URLSearchParams({ grant_type: 'refresh_token', client_id: 'kiln', refresh_token: identityToken });
  if (service.service !== undefined) form.set('service', service.service);
  if (scopes.length > 0) form.set('scope', scopes.join(' '));
  return http.request({
    method: 'POST',
    url: service.realm,
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: Buffer.from(form.toString()),
    redirects: 'refuse',
    signal: options.signal,
  });
}

async function parseTokenAnswer(response: HttpResponse): Promise<string> {
  const { bytes, whole } = await readCapped(response.body, maxTokenAnswerBytes);
  await discard(response);
  let answer: unknown;
  try {
    answer = whole ? JSON.parse(bytes.toString('utf8')) : undefined;
  } catch {
    answer = undefined;
  }
  if (typeof answer === 'object' && answer !== null) {
    const { token, access_token: accessToken } = answer as Record<string, unknown>;
    for (const candidate of [token, accessToken]) {
      // It becomes a header: no spaces, no line ends.
      if (typeof candidate === 'string' && /^[\x21-\x7e]+$/.test(candidate)) return candidate;
    }
  }
  throw new ToolError('REGISTRY_UNEXPECTED_ANSWER', `the token server ${showUrl(response.url)} gave no usable token`);
}

function refused(registry: URL, why: string): ToolError {
  return new ToolError('REGISTRY_REALM_REFUSED', `the registry ${registry.host} ${why}; no credentials were sent`);
}

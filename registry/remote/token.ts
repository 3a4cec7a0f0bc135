import { type CallOptions, ToolError } from '../../core/index.ts';
import type { Credential } from '../credentials/credentials.ts';
import type { TlsSettings } from '../hosts/endpoint.ts';
import { responseError } from './errors.ts';
import { discard, type HttpClient, type HttpRequest, type HttpResponse, isLoopback, readCapped } from './http.ts';
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
  /** Of the registry; what is meant for it alone goes no further. */
  readonly tls?: TlsSettings;
  readonly onExchange?: HttpRequest['onExchange'];
}

export interface Token {
  readonly value: string;
  readonly lifetimeMs: number;
}

const maxTokenAnswerBytes = 1024 * 1024;
const maxTokenBytes = 64 * 1024;
/** What holds where the server does not say: the token specification, `expires_in`. */
const defaultLifetimeMs = 60_000;
/** Token servers that know no POST, and those that take the identity token for a password. */
const postRefusals: ReadonlySet<number> = new Set([400, 401, 403, 404, 405, 501]);

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
 * Fetches a bearer token: GET with basic authentication (or none); POST when the credential is an identity token, and GET
 * where the server does not take that.
 * https://distribution.github.io/distribution/spec/auth/token/ and …/oauth/
 * @throws ToolError REGISTRY_UNAUTHORIZED and the other codes of `responseError`
 */
export async function fetchToken(http: HttpClient, request: TokenRequest, options: CallOptions = {}): Promise<Token> {
  const { credential, registry } = request;
  const redact = (text: string) => withoutSecret(text, credential);
  if (credential === undefined || 'secret' in credential) {
    const response = await getToken(http, request, credential, options);
    if (response.status === 200) return parseTokenAnswer(response);
    throw await responseError(response, { method: 'GET', registry, redact });
  }
  const response = await postToken(http, request, credential.identityToken, options);
  if (response.status === 200) return parseTokenAnswer(response);
  const error = await responseError(response, { method: 'POST', registry, redact });
  if (!postRefusals.has(response.status)) throw error;
  const { username = '<token>', identityToken: secret } = credential;
  const second = await getToken(http, request, { username, secret }, options);
  if (second.status === 200) return parseTokenAnswer(second);
  await discard(second);
  throw error;
}

/** Text without the password or token of a credential, in plain or as it is sent. */
export function withoutSecret(text: string, credential: Credential | undefined): string {
  if (credential === undefined) return text;
  const secrets =
    'identityToken' in credential
      ? [credential.identityToken]
      : [basicAuthorization(credential).slice('Basic '.length), credential.secret];
  return withoutAny(text, secrets);
}

/** Text without these, as they are and as they look in a URL. */
export function withoutAny(text: string, secrets: Iterable<string>): string {
  let rest = text;
  for (const secret of secrets) {
    if (secret === '') continue;
    for (const form of [secret, encodeURIComponent(secret)]) rest = rest.replaceAll(form, '…');
  }
  return rest;
}

export function basicAuthorization(credential: { readonly username: string; readonly secret: string }): string {
  return `Basic ${Buffer.from(`${credential.username}:${credential.secret}`, 'utf8').toString('base64')}`;
}

function getToken(
  http: HttpClient,
  request: TokenRequest,
  credential: { readonly username: string; readonly secret: string } | undefined,
  options: CallOptions,
): Promise<HttpResponse> {
  const { scopes, service } = request;
  const url = new URL(service.realm);
  if (service.service !== undefined) url.searchParams.set('service', service.service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  const headers: Record<string, string> = {};
  if (credential !== undefined) {
    url.searchParams.set('account', credential.username);
    headers.Authorization = basicAuthorization(credential);
  }
  return http.request({ method: 'GET', url, headers, ...onWay(request), signal: options.signal });
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
    ...onWay(request),
    signal: options.signal,
  });
}

function onWay({ tls, onExchange }: TokenRequest): Pick<HttpRequest, 'tls' | 'onExchange'> {
  return { ...(tls === undefined ? {} : { tls }), ...(onExchange === undefined ? {} : { onExchange }) };
}

async function parseTokenAnswer(response: HttpResponse): Promise<Token> {
  const { bytes, whole } = await readCapped(response.body, maxTokenAnswerBytes);
  let answer: unknown;
  try {
    answer = whole ? JSON.parse(bytes.toString('utf8')) : undefined;
  } catch {
    answer = undefined;
  }
  if (typeof answer === 'object' && answer !== null) {
    const { token, access_token: accessToken, expires_in: seconds } = answer as Record<string, unknown>;
    const says = typeof seconds === 'number' && Number.isFinite(seconds) && seconds > 0;
    for (const value of [token, accessToken]) {
      // It becomes a header: no spaces, no line ends.
      if (typeof value === 'string' && value.length <= maxTokenBytes && /^[\x21-\x7e]+$/.test(value))
        return { value, lifetimeMs: says ? seconds * 1000 : defaultLifetimeMs };
    }
  }
  throw new ToolError('REGISTRY_UNEXPECTED_ANSWER', `the token server ${showUrl(response.url)} gave no usable token`);
}

function refused(registry: URL, why: string): ToolError {
  return new ToolError('REGISTRY_REALM_REFUSED', `the registry ${registry.host} ${why}; no credentials were sent`);
}

import { type CallOptions, InFlight, ToolError } from '../../core/index.ts';
import type { Credential, CredentialSource } from '../credentials.ts';
import type { HostConfiguration } from '../hosts/endpoint.ts';
import { parseChallenges } from './challenge.ts';
import { responseError } from './errors.ts';
import { discard, HttpClient, type HttpRequest, type HttpResponse, isLoopback } from './http.ts';
import { plainText } from './shown.ts';
import { basicAuthorization, fetchToken, parseTokenService, type TokenService, withoutSecret } from './token.ts';

export interface RemoteOptions {
  readonly credentials: CredentialSource;
  readonly userAgent?: string;
  /** Mirrors, blocked places, certificates; without it each registry is its own only endpoint. */
  readonly hosts?: HostConfiguration;
  /** http instead of https. Loopback hosts are always spoken to by http. */
  readonly plainHttp?: boolean;
  /** What the registry wants its users to read (`Warning` headers). distribution-spec, #warnings */
  readonly onWarning?: (text: string) => void;
}

export interface SessionRequest extends Omit<HttpRequest, 'url'> {
  /** A URL, or a path after `/v2/`. */
  readonly to: URL | string;
  /** What a token must allow, such as `repository:web:pull`. */
  readonly scopes: readonly string[];
}

type Scheme = { readonly kind: 'basic' } | { readonly kind: 'bearer'; readonly service: TokenService };

/** Speaks to one registry, and authenticates when it is asked to. */
export class RegistrySession {
  readonly registry: string;
  readonly base: URL;
  readonly #http: HttpClient;
  readonly #options: RemoteOptions;
  readonly #tokens = new Map<string, string>();
  /** Every token there was, also those that expired: none may show in a message. */
  readonly #secrets = new Set<string>();
  readonly #fetching = new InFlight<string>();
  readonly #warned = new Set<string>();
  #scheme: Scheme | undefined;
  #credential: Promise<Credential | undefined> | undefined;
  #known: Credential | undefined;

  constructor(registry: string, options: RemoteOptions) {
    this.registry = registry;
    this.base = baseUrl(registry, options.plainHttp ?? false);
    this.#options = options;
    this.#http = new HttpClient({ userAgent: options.userAgent ?? 'kiln' });
  }

  /** The answer, whatever its status; a 401 has been answered with credentials once, where there were any to try. */
  async send(request: SessionRequest): Promise<HttpResponse> {
    const url = typeof request.to === 'string' ? new URL(request.to, this.base) : request.to;
    // Upload locations may lie on other hosts: those get no credentials of this one.
    const ours = url.origin === this.base.origin;
    const used = ours ? await this.#authorization(request) : undefined;
    const first = await this.#request(request, url, used);
    if (first.status !== 401 || !ours) return first;
    this.#forget(request.scopes, used);
    if (request.body !== undefined && 'stream' in request.body) return first;
    if (!this.#learn(first)) return first;
    const authorization = await this.#authorization(request);
    if (authorization === undefined || authorization === used) return first;
    await discard(first);
    const second = await this.#request(request, url, authorization);
    if (second.status === 401) this.#forget(request.scopes, authorization);
    return second;
  }

  /** Text without what this session authenticated with. */
  redact(text: string): string {
    const withoutTokens = [...this.#secrets].reduce((rest, token) => rest.replaceAll(token, '…'), text);
    return withoutSecret(withoutTokens, this.#known);
  }

  async #request(request: SessionRequest, url: URL, authorization: string | undefined): Promise<HttpResponse> {
    const { to: _to, scopes: _scopes, ...rest } = request;
    const headers = { ...request.headers, ...(authorization === undefined ? {} : { Authorization: authorization }) };
    const response = await this.#http.request({ ...rest, url, headers });
    this.#passWarning(response);
    return response;
  }

  async #authorization(request: SessionRequest): Promise<string | undefined> {
    const scheme = this.#scheme;
    if (scheme === undefined) return undefined;
    const credential = await this.#findCredential(request);
    if (scheme.kind === 'bearer') return `Bearer ${await this.#token(scheme.service, request, credential)}`;
    return credential !== undefined && 'secret' in credential ? basicAuthorization(credential) : undefined;
  }

  #token(service: TokenService, request: SessionRequest, credential: Credential | undefined): Promise<string> {
    const key = request.scopes.join(' ');
    const cached = this.#tokens.get(key);
    if (cached !== undefined) return Promise.resolve(cached);
    return this.#fetching.run(key, async () => {
      const asked = { service, scopes: request.scopes, credential, registry: this.registry };
      const token = await fetchToken(this.#http, asked, { signal: request.signal });
      this.#tokens.set(key, token);
      this.#secrets.add(token);
      return token;
    });
  }

  /** Looked up once, and only for a registry that asks: helpers are slow, and anonymous registries many. */
  async #findCredential(options: CallOptions): Promise<Credential | undefined> {
    this.#credential ??= this.#options.credentials.find(this.registry, { signal: options.signal });
    try {
      this.#known = await this.#credential;
      return this.#known;
    } catch (error) {
      this.#credential = undefined;
      throw error;
    }
  }

  /** True when the answer said how to authenticate. */
  #learn(response: HttpResponse): boolean {
    const challenges = parseChallenges(response.headers.get('www-authenticate') ?? '');
    const bearer = challenges.find((challenge) => challenge.scheme === 'bearer');
    if (bearer !== undefined) {
      const { parameters } = bearer;
      const service = parseTokenService(parameters.get('realm'), parameters.get('service'), this.base);
      this.#scheme = { kind: 'bearer', service };
      return true;
    }
    if (!challenges.some((challenge) => challenge.scheme === 'basic')) return false;
    this.#scheme = { kind: 'basic' };
    return true;
  }

  #forget(scopes: readonly string[], authorization: string | undefined): void {
    const key = scopes.join(' ');
    if (`Bearer ${this.#tokens.get(key)}` === authorization) this.#tokens.delete(key);
  }

  #passWarning(response: HttpResponse): void {
    for (const [, quoted] of (response.headers.get('warning') ?? '').matchAll(/299 - "((?:[^"\\]|\\.){1,2000})"/g)) {
      const text = plainText(this.redact((quoted ?? '').replace(/\\(.)/g, '$1')));
      if (text === '' || this.#warned.has(text) || this.#warned.size >= 10) continue;
      this.#warned.add(text);
      this.#options.onWarning?.(`${this.registry}: ${text}`);
    }
  }
}

/**
 * Answers GET /v2/ with the credential.
 * @throws ToolError REGISTRY_UNAUTHORIZED when the registry does not accept it
 */
export async function verifyLogin(
  registry: string,
  credential: Credential,
  options: RemoteOptions & CallOptions,
): Promise<void> {
  const session = new RegistrySession(registry, { ...options, credentials: { find: async () => credential } });
  const response = await session.send({ method: 'GET', to: '', scopes: [], signal: options.signal });
  if (response.status === 200) return discard(response);
  throw await responseError(response, { method: 'GET', registry, redact: (text) => session.redact(text) });
}

/** Docker's own registry answers under another name than images are written with. */
function baseUrl(registry: string, plainHttp: boolean): URL {
  const host = registry === 'docker.io' ? 'registry-1.docker.io' : registry;
  const text = `https://${host}/v2/`;
  if (!URL.canParse(text) || new URL(text).pathname !== '/v2/') {
    throw new ToolError('REFERENCE_INVALID', `${JSON.stringify(registry)} is not a registry host`);
  }
  const url = new URL(text);
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new ToolError('REFERENCE_INVALID', `${JSON.stringify(url.host)} is not a registry host and nothing else`);
  }
  return plainHttp || isLoopback(url) ? new URL(`http://${host}/v2/`) : url;
}

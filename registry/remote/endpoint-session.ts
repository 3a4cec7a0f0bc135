import { type CallOptions, InFlight, ToolError } from '../../core/index.ts';
import type { Credential, CredentialSource } from '../credentials/credentials.ts';
import type { RegistryEndpoint } from '../hosts/endpoint.ts';
import { BearerTokens, joined } from './bearer-tokens.ts';
import { parseChallenges } from './challenge.ts';
import { discard, type HttpClient, type HttpExchange, type HttpRequest, type HttpResponse } from './http.ts';
import { withWanted } from './scopes.ts';
import { plainText } from './shown.ts';
import {
  basicAuthorization,
  fetchToken,
  parseTokenService,
  type TokenService,
  withoutAny,
  withoutSecret,
} from './token.ts';
import { isNoTls } from './transport-error.ts';

/** What is asked of one endpoint. */
export interface EndpointRequest extends Omit<HttpRequest, 'url' | 'tls' | 'onExchange'> {
  readonly url: URL;
  /** What a token must allow, such as `repository:web:pull`. */
  readonly scopes: readonly string[];
}

export interface EndpointSessionOptions {
  readonly credentials: CredentialSource;
  readonly onWarning?: (text: string) => void;
  readonly onExchange?: (exchange: HttpExchange) => void;
}

type Scheme = { readonly kind: 'basic' } | { readonly kind: 'bearer'; readonly service: TokenService };

const maxWarnings = 10;

/** Speaks to one address of a registry, and authenticates when it is asked to. */
export class EndpointSession {
  readonly endpoint: RegistryEndpoint;
  readonly #registry: string;
  readonly #http: HttpClient;
  readonly #options: EndpointSessionOptions;
  readonly #tokens = new BearerTokens();
  readonly #finding = new InFlight<Credential | undefined>();
  readonly #warned = new Set<string>();
  /** What the registry wanted beyond the scopes it was asked for with, by these. */
  readonly #wanted = new Map<string, readonly string[]>();
  #base: URL;
  #scheme: Scheme | undefined;
  #credential: { readonly found: Credential | undefined } | undefined;

  constructor(endpoint: RegistryEndpoint, registry: string, http: HttpClient, options: EndpointSessionOptions) {
    this.endpoint = endpoint;
    this.#registry = registry;
    this.#http = http;
    this.#options = options;
    this.#base = endpoint.base;
  }

  /** Up to the repository's name. */
  get base(): URL {
    return this.#base;
  }

  /** Whether the URL is answered by this endpoint's server: only there its credentials go. */
  owns(url: URL): boolean {
    return url.origin === this.#base.origin;
  }

  /** The answer, whatever its status; a 401 has been answered with credentials once, where there were any to try. */
  async send(request: EndpointRequest): Promise<HttpResponse> {
    try {
      return await this.#send(request);
    } catch (error) {
      throw this.#harmless(error);
    }
  }

  /** Asks by plain http from now on, if that is allowed and nothing answered by TLS. */
  giveUpTls(error: unknown): boolean {
    if (this.endpoint.orPlainHttp !== true || this.#base.protocol !== 'https:' || !isNoTls(error)) return false;
    const base = new URL(this.#base);
    base.protocol = 'http:';
    this.#base = base;
    return true;
  }

  /** Text without what this session authenticated with. */
  redact(text: string): string {
    return withoutSecret(withoutAny(text, this.#tokens.secrets), this.#credential?.found);
  }

  async #send(request: EndpointRequest): Promise<HttpResponse> {
    // Upload locations may lie on other hosts: those get no credentials of this one.
    if (!this.owns(request.url)) return this.#request(request, undefined);
    const isStream = request.body !== undefined && 'stream' in request.body;
    for (let refusals = 0, used = await this.#authorization(request); ; refusals++) {
      const response = await this.#request(request, used);
      if (response.status !== 401) return response;
      this.#forget(used);
      const learned = this.#learn(response, request.scopes);
      // The first refusal says how to authenticate; after that only a token for more is worth another request.
      if (isStream || learned === 'nothing' || (refusals > 0 && learned !== 'scopes') || refusals > 1) return response;
      const next = await this.#authorization(request);
      if (next === undefined || next === used) return response;
      await discard(response);
      used = next;
    }
  }

  async #request(request: EndpointRequest, authorization: string | undefined): Promise<HttpResponse> {
    const { scopes: _scopes, headers, ...rest } = request;
    const isOurs = this.owns(request.url);
    const response = await this.#http.request({
      ...rest,
      headers: {
        ...headers,
        ...(isOurs ? this.endpoint.headers : {}),
        ...(authorization === undefined ? {} : { Authorization: authorization }),
      },
      tls: isOurs ? this.endpoint.tls : this.#tlsOfStrangers(),
      ...this.#telling(),
    });
    this.#passWarning(response);
    return response;
  }

  async #authorization(request: EndpointRequest): Promise<string | undefined> {
    const scheme = this.#scheme;
    if (scheme === undefined) return undefined;
    const credential = await this.#findCredential(request);
    if (scheme.kind === 'basic') {
      return credential !== undefined && 'secret' in credential ? basicAuthorization(credential) : undefined;
    }
    const scopes = this.#wanted.get(request.scopes.join(' ')) ?? request.scopes;
    const fetch = (options: CallOptions) => this.#fetchToken(scheme.service, scopes, credential, options);
    return `Bearer ${await this.#tokens.find(scopes, fetch, request)}`;
  }

  #fetchToken(
    service: TokenService,
    scopes: readonly string[],
    credential: Credential | undefined,
    options: CallOptions,
  ) {
    const tls = this.owns(service.realm) ? this.endpoint.tls : this.#tlsOfStrangers();
    const asked = { service, scopes, credential, registry: this.#registry, tls, ...this.#telling() };
    return fetchToken(this.#http, asked, options);
  }

  /** Looked up once, and only for a registry that asks: helpers are slow, and anonymous registries many. */
  async #findCredential(options: CallOptions): Promise<Credential | undefined> {
    if (this.#credential !== undefined) return this.#credential.found;
    const { credentialsOf, repository } = this.endpoint;
    const find = () =>
      this.#options.credentials.find(credentialsOf, {
        signal: options.signal,
        ...(repository === '' ? {} : { repository }),
      });
    const found = await joined(this.#finding, credentialsOf, find, options);
    this.#credential = { found };
    return found;
  }

  /** What the answer said of how to authenticate: by which scheme, perhaps with scopes that were not asked for. */
  #learn(response: HttpResponse, scopes: readonly string[]): 'nothing' | 'scheme' | 'scopes' {
    const challenges = parseChallenges(response.headers.get('www-authenticate') ?? '');
    const bearer = challenges.find((challenge) => challenge.scheme === 'bearer');
    if (bearer !== undefined) {
      const { parameters } = bearer;
      const service = parseTokenService(parameters.get('realm'), parameters.get('service'), this.#base);
      this.#scheme = { kind: 'bearer', service };
      const key = scopes.join(' ');
      const known = this.#wanted.get(key) ?? scopes;
      const wanted = withWanted(known, parameters.get('scope') ?? '');
      if (wanted === known) return 'scheme';
      this.#wanted.set(key, wanted);
      return 'scopes';
    }
    if (!challenges.some((challenge) => challenge.scheme === 'basic')) return 'nothing';
    this.#scheme = { kind: 'basic' };
    return 'scheme';
  }

  #forget(authorization: string | undefined): void {
    this.#tokens.forget(authorization?.replace(/^Bearer /, ''));
  }

  /** A private authority speaks for the whole site, its storage included; the client's certificate is for one host. */
  #tlsOfStrangers() {
    const { client: _client, ...rest } = this.endpoint.tls;
    return rest;
  }

  #telling(): Pick<HttpRequest, 'onExchange'> {
    const { onExchange } = this.#options;
    if (onExchange === undefined) return {};
    return { onExchange: (exchange) => onExchange({ ...exchange, url: this.redact(exchange.url) }) };
  }

  /** Addresses are in messages, and a server that was sent a token can redirect to one that holds it. */
  #harmless(error: unknown): unknown {
    if (!(error instanceof ToolError)) return error;
    const message = this.redact(error.message);
    const { hint } = error;
    return message === error.message ? error : new ToolError(error.code, message, hint === undefined ? {} : { hint });
  }

  #passWarning(response: HttpResponse): void {
    for (const [, quoted] of (response.headers.get('warning') ?? '').matchAll(/299 - "((?:[^"\\]|\\.){1,2000})"/g)) {
      const text = plainText(this.redact((quoted ?? '').replace(/\\(.)/g, '$1')));
      if (text === '' || this.#warned.has(text) || this.#warned.size >= maxWarnings) continue;
      this.#warned.add(text);
      this.#options.onWarning?.(`${this.#registry}: ${text}`);
    }
  }
}

import { type CallOptions, isDigest, ToolError } from '../../core/index.ts';
import type { Credential, CredentialSource } from '../credentials/credentials.ts';
import type { HostConfiguration, RegistryEndpoint } from '../hosts/endpoint.ts';
import {
  chosenEndpoints,
  isAnswer,
  isPageForPeople,
  mirrorFailure,
  type Purpose,
  type Wanted,
} from './endpoint-choice.ts';
import { EndpointSession } from './endpoint-session.ts';
import { responseError } from './errors.ts';
import { discard, HttpClient, type HttpExchange, type HttpRequest, type HttpResponse, isLoopback } from './http.ts';
import type { HttpTiming } from './http-timing.ts';
import { showUrl } from './shown.ts';
import type { UploadMemory } from './upload-memory.ts';

export type RegistryExchange = HttpExchange;

export interface RemoteOptions {
  readonly credentials: CredentialSource;
  readonly userAgent?: string;
  /** Mirrors, blocked places, certificates; without it each registry is its own only endpoint. */
  readonly hosts?: HostConfiguration;
  /** http instead of https, where `hosts` does not decide. Loopback hosts are always spoken to by http then. */
  readonly plainHttp?: boolean;
  /** Takes any TLS certificate, and http where nothing answers by TLS; where `hosts` does not decide. */
  readonly insecure?: boolean;
  /** HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, in either case; without it none is used. */
  readonly proxies?: Readonly<Record<string, string>>;
  /** Downloads at once from one host, and as many other exchanges; 6 unless said. */
  readonly concurrencyPerHost?: number;
  readonly timing?: Partial<HttpTiming>;
  /** From 0 to 1, the latter excluded: how much of a wait before a retry is left out. */
  readonly random?: () => number;
  /** Told of each exchange once it has ended: for `--debug`. */
  readonly onExchange?: (exchange: RegistryExchange) => void;
  /** Remembers uploads that broke off, beyond this process. */
  readonly uploads?: UploadMemory;
  /** What the registry wants its users to read (`Warning` headers). distribution-spec, #warnings */
  readonly onWarning?: (text: string) => void;
}

export interface SessionRequest extends Omit<HttpRequest, 'url' | 'tls' | 'onExchange'> {
  /** A URL, or a path after `/v2/`. */
  readonly to: URL | string;
  /** What a token must allow, such as `repository:web:pull`. */
  readonly scopes: readonly string[];
  /** Which endpoints may answer; told by method, path and scopes unless said. */
  readonly purpose?: Purpose;
}

/** All that is opened with the same options shares connections, and what hosts asked to be spared. */
const clients = new WeakMap<RemoteOptions, HttpClient>();

/** Speaks to one registry, through mirrors of it where there are some. */
export class RegistrySession {
  readonly registry: string;
  /** Of the registry itself, as its name says. */
  readonly base: URL;
  readonly #repository: string | undefined;
  readonly #options: RemoteOptions;
  readonly #http: HttpClient;
  #endpoints: readonly EndpointSession[] | undefined;
  /** Mirrors that are of no use in this session. */
  readonly #dead = new Set<EndpointSession>();
  /** Mirrors that knew a tag: they have what it names. */
  readonly #resolved = new Set<EndpointSession>();

  /** @param repository the one that paths and scopes name; mirrors may have it under another name */
  constructor(registry: string, options: RemoteOptions, repository?: string) {
    this.registry = registry;
    this.base = baseUrl(registry, options.plainHttp ?? false);
    this.#repository = repository;
    this.#options = options;
    this.#http = clients.get(options) ?? new HttpClient({ ...options, userAgent: options.userAgent ?? 'kiln' });
    clients.set(options, this.#http);
  }

  /**
   * The answer, whatever its status; a 401 has been answered with credentials once, where there were any to try. What a
   * mirror cannot answer is asked of the next, and of the registry itself in the end.
   * @throws ToolError REGISTRY_UNREACHABLE, REGISTRY_STALLED, REGISTRY_TLS and others of the last that was asked
   */
  async send(request: SessionRequest): Promise<HttpResponse> {
    const all = await this.#open(request);
    const { to } = request;
    if (to instanceof URL) return this.#sendTo(ownerOf(all, to), request, to);
    const wanted = this.#wantedOf(request, to);
    const chosen = this.#choose(all, wanted);
    for (const [index, endpoint] of chosen.entries()) {
      const response = await this.#try(endpoint, request, to, { isLast: index === chosen.length - 1 });
      if (response === undefined) continue;
      if (wanted.purpose === 'resolve' && response.status === 200) this.#resolved.add(endpoint);
      return response;
    }
    throw new TypeError('there is always an endpoint');
  }

  /** Waits before something is tried once more. */
  backoffMs(failures: number): number {
    return this.#http.backoffMs(failures);
  }

  /** Text without what this session authenticated with. */
  redact(text: string): string {
    return (this.#endpoints ?? []).reduce((rest, endpoint) => endpoint.redact(rest), text);
  }

  /** Undefined when it is of no use here and another may be: whether it is asked again depends on why. */
  async #try(
    endpoint: EndpointSession,
    request: SessionRequest,
    path: string,
    { isLast }: { readonly isLast: boolean },
  ): Promise<HttpResponse | undefined> {
    try {
      const few = isLast || !endpoint.endpoint.isMirror ? {} : { attempts: 2 };
      const response = await this.#sendTo(endpoint, { ...few, ...request }, this.#urlAt(endpoint, path));
      if (isAnswer(response) || (isLast && !isPageForPeople(response))) return response;
      if (isLast) throw pageForPeople(response);
      await discard(response);
      const failure = mirrorFailure(endpoint.endpoint, response);
      if (failure !== undefined) this.#leaveOut(endpoint, failure);
      return undefined;
    } catch (error) {
      if (isLast || request.signal?.aborted || !(error instanceof ToolError)) throw error;
      this.#leaveOut(endpoint, error.message);
      return undefined;
    }
  }

  async #sendTo(endpoint: EndpointSession, request: SessionRequest, url: URL): Promise<HttpResponse> {
    const { to, purpose: _purpose, scopes, ...rest } = request;
    const asked = { ...rest, scopes: scopes.map((scope) => this.#scopeAt(endpoint, scope)) };
    try {
      return await endpoint.send({ ...asked, url });
    } catch (error) {
      if (typeof to !== 'string' || !endpoint.giveUpTls(error)) throw error;
      return endpoint.send({ ...asked, url: this.#urlAt(endpoint, to) });
    }
  }

  #leaveOut(endpoint: EndpointSession, why: string): void {
    if (this.#dead.has(endpoint)) return;
    this.#dead.add(endpoint);
    const { host } = endpoint.base;
    this.#options.onWarning?.(`${this.registry}: its mirror ${host} is left out: ${why}`);
  }

  #choose(all: readonly EndpointSession[], wanted: Wanted): readonly EndpointSession[] {
    const chosen = chosenEndpoints(all, wanted, {
      registry: this.registry,
      resolved: this.#resolved,
    });
    const alive = chosen.filter((endpoint) => !this.#dead.has(endpoint));
    // The last is the registry itself, which is asked whatever it answered before.
    return alive.length > 0 ? alive : chosen.slice(-1);
  }

  #wantedOf(request: SessionRequest, path: string): Wanted {
    const [, kind, reference = ''] = /\/(manifests|blobs)\/([^/?]+)$/.exec(path) ?? [];
    const byDigest = isDigest(reference);
    const reads = request.method === 'GET' || request.method === 'HEAD';
    const pushes = !reads || request.scopes.some((scope) => /:(?:.*,)?(?:push|delete)\b/.test(scope));
    const told = pushes ? 'push' : kind === undefined ? 'registry' : byDigest ? 'pull' : 'resolve';
    return { purpose: request.purpose ?? told, byDigest };
  }

  #urlAt(endpoint: EndpointSession, path: string): URL {
    const ours = `${this.#repository}/`;
    const { repository, query } = endpoint.endpoint;
    const there = path.startsWith(ours) ? `${repository}/${path.slice(ours.length)}` : path;
    const url = new URL(there, endpoint.base);
    for (const [name, value] of Object.entries(query ?? {})) url.searchParams.set(name, value);
    return url;
  }

  #scopeAt(endpoint: EndpointSession, scope: string): string {
    const ours = `repository:${this.#repository}:`;
    return scope.startsWith(ours) ? `repository:${endpoint.endpoint.repository}:${scope.slice(ours.length)}` : scope;
  }

  async #open(options: CallOptions): Promise<readonly EndpointSession[]> {
    if (this.#endpoints !== undefined) return this.#endpoints;
    const found = await this.#findEndpoints(options);
    // Another call may have been faster: credentials and tokens are to be had once.
    this.#endpoints ??= found.map(
      (endpoint) => new EndpointSession(endpoint, this.registry, this.#http, this.#options),
    );
    return this.#endpoints;
  }

  async #findEndpoints({ signal }: CallOptions): Promise<readonly RegistryEndpoint[]> {
    const { hosts, insecure = false } = this.#options;
    // A path that only a rule for the whole registry holds for.
    const repository = this.#repository ?? '_';
    const found = await hosts?.endpoints({ registry: this.registry, repository }, { signal });
    if (found !== undefined && found.length > 0) return found;
    return [
      {
        base: this.base,
        repository: this.#repository ?? '',
        credentialsOf: this.registry,
        capabilities: new Set(['pull', 'resolve', 'push'] as const),
        tls: insecure ? { skipVerify: true } : {},
        orPlainHttp: insecure,
        isMirror: false,
      },
    ];
  }
}

function pageForPeople(response: HttpResponse): ToolError {
  response.body.destroy();
  return new ToolError('REGISTRY_UNEXPECTED_ANSWER', `${showUrl(response.url)} was answered with a page for people`, {
    hint: 'check that this is a registry, and that the network does not want a login',
  });
}

/** Uploads go on where they were begun; a location elsewhere is asked without any credentials. */
function ownerOf(all: readonly EndpointSession[], url: URL): EndpointSession {
  const owners = all.filter((endpoint) => endpoint.owns(url));
  const mayPush = ({ endpoint }: EndpointSession) => endpoint.capabilities.has('push');
  const owner = owners.find(mayPush) ?? owners[0] ?? all.find(mayPush) ?? all.at(-1);
  if (owner === undefined) throw new TypeError('there is always an endpoint');
  return owner;
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
  const response = await session.send({ method: 'GET', to: '', scopes: [], purpose: 'login', signal: options.signal });
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

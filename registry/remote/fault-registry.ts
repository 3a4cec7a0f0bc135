import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { registryUser } from '../../test/docker-registry.ts';
import { answerWrongly, type Content, sendContent } from './fault-answers.ts';
import { type Fault, FaultPlan, type Occasion } from './fault-plan.ts';

export type FaultRegistryAuth = 'none' | 'basic' | 'token';

/** What a server that is no part of the registry was sent. */
export interface StrangersRequest {
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
}

export interface FaultRegistry extends AsyncDisposable {
  readonly host: string;
  /** What went wrong so far. */
  readonly happened: readonly Fault[];
  /** Requests to the storage on another port, to which some redirects and upload locations lead. */
  readonly atStorage: readonly StrangersRequest[];
  /** Whatever may be in no message: passwords, tokens, signatures. */
  readonly secrets: ReadonlySet<string>;
  /** By `repository/digest` and, of manifests, `repository:tag`. */
  readonly contents: Map<string, Content>;
}

/**
 * A correct registry in memory, which by its seed misbehaves: everything that a client can be sent, and nothing that
 * depends on the time. Pull, push, cross-repository mount.
 */
export async function startFaultRegistry(seed: number, auth: FaultRegistryAuth): Promise<FaultRegistry> {
  const registry = new Registry(seed, auth);
  const [own, storage] = [registry.listen('registry'), registry.listen('storage')];
  registry.host = await placeOf(own);
  registry.storageHost = await placeOf(storage);
  return Object.assign(registry, {
    async [Symbol.asyncDispose]() {
      for (const server of [own, storage]) {
        server.close();
        server.closeAllConnections();
      }
    },
  });
}

interface GrantedToken {
  readonly scopes: readonly string[];
  readonly mayPush: boolean;
}

class Registry {
  host = '';
  storageHost = '';
  readonly contents = new Map<string, Content>();
  readonly atStorage: StrangersRequest[] = [];
  readonly secrets = new Set<string>([registryUser.secret]);
  readonly #auth: FaultRegistryAuth;
  readonly #plan: FaultPlan;
  readonly #tokens = new Map<string, GrantedToken>();
  readonly #signature = `signature-${randomBytes(9).toString('hex')}`;
  readonly #basic = `Basic ${Buffer.from(`${registryUser.username}:${registryUser.secret}`).toString('base64')}`;

  constructor(seed: number, auth: FaultRegistryAuth) {
    this.#auth = auth;
    this.#plan = new FaultPlan(seed);
    this.secrets.add(this.#signature).add(this.#basic.slice('Basic '.length));
  }

  get happened(): readonly Fault[] {
    return this.#plan.happened;
  }

  listen(which: 'registry' | 'storage'): Server {
    const server = createServer((request, response) => {
      const url = new URL(request.url ?? '', 'http://127.0.0.1');
      const answering =
        which === 'registry' ? this.#answer(request, response, url) : this.#answerAtStorage(request, response, url);
      // Connections end when they should not: that is what this is for.
      answering.catch(() => response.destroy());
    });
    return server.listen(0, '127.0.0.1');
  }

  async #answer(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const { method = '' } = request;
    const [, repository = '', kind = '', rest = ''] = /^\/v2\/(.+?)\/(blobs|manifests)\/(.+)$/.exec(url.pathname) ?? [];
    const occasion = occasionOf(method, url.pathname, kind, rest);
    const fault = this.#plan.next(occasion, { isRanged: request.headers.range !== undefined });
    if (fault === 'drop-upload') return dropUpload(request);
    const body = await buffer(request);
    // Where redirects lead whose address repeats what was sent.
    if (url.pathname.startsWith('/gone/'))
      return void (fault === undefined ? request.socket.destroy() : response.end());
    if (await answerWrongly(fault, request, response)) return;
    if (occasion === 'token') return this.#grant(request, response, url, fault);
    if (!this.#isAllowed(request, repository, method)) return this.#challenge(response, repository, method);
    if (fault === 'late-error') return void response.writeHead(500).end();
    const at = `${repository}${rest.includes(':') ? '/' : ':'}${rest}`;
    switch (occasion) {
      case 'start':
        return this.#start(response, repository, url, fault);
      case 'upload':
        return this.#store(response, repository, url.searchParams.get('digest') ?? '', body, fault);
      case 'publish':
        return this.#publish(request, response, { repository, at, body }, fault);
      case 'ping':
        return void response.end('{}');
      default:
        return this.#read(request, response, at, fault);
    }
  }

  async #read(request: IncomingMessage, response: ServerResponse, at: string, fault: Fault | undefined): Promise<void> {
    const content = this.contents.get(at);
    if (content === undefined) return void response.writeHead(404).end();
    if (fault === 'elsewhere') {
      const location = `http://${this.storageHost}/data/${at}?X-Signature=${this.#signature}`;
      return void response.writeHead(307, { location }).end();
    }
    await sendContent(content, fault, this.#plan, request, response);
  }

  #start(response: ServerResponse, repository: string, url: URL, fault: Fault | undefined): void {
    const mounted = this.contents.get(`${url.searchParams.get('from')}/${url.searchParams.get('mount')}`);
    if (mounted !== undefined) {
      this.contents.set(`${repository}/${mounted.digest}`, mounted);
      return void response.writeHead(201).end();
    }
    const own = `/v2/${repository}/blobs/uploads/1?_state=${this.#signature}`;
    const elsewhere = `http://${this.storageHost}/upload/${repository}?X-Signature=${this.#signature}`;
    const location = fault === 'upload-elsewhere' ? elsewhere : fault === 'bad-location' ? 'http://[' : own;
    response.writeHead(202, fault === 'no-location' ? {} : { location }).end();
  }

  #store(response: ServerResponse, repository: string, digest: string, body: Buffer, fault?: Fault): void {
    if (digestOf(body) !== digest) {
      const errors = [{ code: 'DIGEST_INVALID', message: `these bytes are not ${digest}` }];
      return void response.writeHead(400).end(JSON.stringify({ errors }));
    }
    if (fault !== 'lost-upload') {
      this.contents.set(`${repository}/${digest}`, { bytes: body, mediaType: 'application/octet-stream', digest });
    }
    this.#stored(response, digest, fault);
  }

  #publish(
    { headers }: IncomingMessage,
    response: ServerResponse,
    { repository, at, body }: { readonly repository: string; readonly at: string; readonly body: Buffer },
    fault: Fault | undefined,
  ): void {
    const digest = digestOf(body);
    const parsed = JSON.parse(body.toString()) as { config: { digest: string }; layers: { digest: string }[] };
    const missing = [parsed.config, ...parsed.layers].filter(
      (blob) => !this.contents.has(`${repository}/${blob.digest}`),
    );
    if (missing.length > 0) {
      const errors = [{ code: 'MANIFEST_BLOB_UNKNOWN', message: missing.map((blob) => blob.digest).join() }];
      return void response.writeHead(400).end(JSON.stringify({ errors }));
    }
    const content = { bytes: body, mediaType: headers['content-type'] ?? '', digest };
    this.contents.set(at, content);
    this.contents.set(`${repository}/${digest}`, content);
    this.#stored(response, digest, fault);
  }

  #stored(response: ServerResponse, digest: string, fault: Fault | undefined): void {
    const told = fault === 'wrong-stored-digest' ? `sha256:${'0'.repeat(64)}` : digest;
    response.writeHead(201, { 'docker-content-digest': told }).end();
  }

  /** Knows no credentials, and serves whoever has the signature. */
  async #answerAtStorage(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    this.atStorage.push({ url: request.url ?? '', headers: request.headers });
    const body = await buffer(request);
    if (url.searchParams.get('X-Signature') !== this.#signature) return void response.writeHead(403).end();
    const [, kind, at = ''] = /^\/(data|upload)\/(.+)$/.exec(url.pathname) ?? [];
    if (kind === 'upload') return this.#store(response, at, url.searchParams.get('digest') ?? '', body);
    const content = this.contents.get(at);
    if (content === undefined) return void response.writeHead(404).end();
    await sendContent(content, undefined, this.#plan, request, response);
  }

  #isAllowed({ headers: { authorization = '' } }: IncomingMessage, repository: string, method: string): boolean {
    if (this.#auth === 'none') return true;
    if (this.#auth === 'basic') return authorization === this.#basic;
    const granted = this.#tokens.get(authorization.replace(/^Bearer /, ''));
    const action = method === 'GET' || method === 'HEAD' ? 'pull' : 'push';
    const isInScope = granted?.scopes.some((scope) => {
      const [, name, actions = ''] = scope.split(':');
      return name === repository && actions.split(',').includes(action);
    });
    return isInScope === true && (action === 'pull' || granted?.mayPush === true);
  }

  #challenge(response: ServerResponse, repository: string, method: string): void {
    const actions = method === 'GET' || method === 'HEAD' ? 'pull' : 'pull,push';
    const bearer = `Bearer realm="http://${this.host}/token",service="faults",scope="repository:${repository}:${actions}"`;
    response.writeHead(401, { 'www-authenticate': this.#auth === 'basic' ? 'Basic realm="faults"' : bearer }).end();
  }

  #grant(request: IncomingMessage, response: ServerResponse, url: URL, fault: Fault | undefined): void {
    const { authorization } = request.headers;
    if (authorization !== undefined && authorization !== this.#basic) return void response.writeHead(401).end();
    const token = `token-${randomBytes(12).toString('hex')}`;
    this.secrets.add(token);
    const mayPush = authorization !== undefined;
    if (fault !== 'useless-token') this.#tokens.set(token, { scopes: url.searchParams.getAll('scope'), mayPush });
    const answers: Partial<Record<Fault, string>> = {
      'no-token': '{}',
      'unusable-token': JSON.stringify({ token: `${token}\r\nX-Injected: yes` }),
      'token-page': '<html>log in to the hotel network</html>',
    };
    const answer = fault === undefined ? undefined : answers[fault];
    const lifetime = fault === 'short-lived-token' ? { expires_in: 0.01 } : { expires_in: 300 };
    response.end(answer ?? JSON.stringify({ token, ...lifetime }));
    if (fault === 'short-lived-token') this.#tokens.delete(token);
  }
}

function occasionOf(method: string, path: string, kind: string, rest: string): Occasion {
  if (path === '/token') return 'token';
  if (method === 'POST') return 'start';
  if (method === 'PUT') return kind === 'manifests' ? 'publish' : 'upload';
  if (method === 'DELETE' || rest.startsWith('uploads/')) return 'ask';
  if (kind === 'manifests') return 'manifest';
  if (kind === 'blobs') return method === 'HEAD' ? 'ask' : 'blob';
  return 'ping';
}

async function dropUpload(request: IncomingMessage): Promise<void> {
  if (request.headers['content-length'] !== '0') await once(request, 'data');
  request.socket.destroy();
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

async function placeOf(server: Server): Promise<string> {
  if (!server.listening) await once(server, 'listening');
  const address = server.address();
  return `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
}

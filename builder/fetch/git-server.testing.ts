import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** Repositories on disk, served over HTTP by git itself. */
export interface GitServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly origin: string;
  /** Requests so far. */
  readonly requests: readonly { readonly url: string; readonly authorization: string | undefined }[];
  /** A new, empty repository; pushed to the server by each `commit`. */
  repository(name: string): Promise<TestRepository>;
}

export interface TestRepository {
  readonly folder: string;
  readonly url: string;
  git(...args: readonly string[]): string;
  /** Writes files and commits all that is there; the commit. */
  commit(files: Readonly<Record<string, string>>): Promise<string>;
  /** Commits what is staged; the commit. */
  commitStaged(): string;
}

export async function startGitServer(
  options: { readonly authorization?: string; readonly config?: readonly (readonly [string, string])[] } = {},
): Promise<GitServer> {
  const root = await mkdtemp(path.join(tmpdir(), 'kiln-git-'));
  const requests: { url: string; authorization: string | undefined }[] = [];
  const server = createServer((request, response) => {
    requests.push({ url: request.url ?? '', authorization: request.headers.authorization });
    if (options.authorization !== undefined && request.headers.authorization !== options.authorization) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
    } else runBackend(root, request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const origin = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  return {
    origin,
    requests,
    repository: (name) => makeRepository(root, name, origin, options.config ?? []),
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await rm(root, { recursive: true, force: true });
    },
  };
}

async function makeRepository(
  root: string,
  name: string,
  origin: string,
  config: readonly (readonly [string, string])[],
): Promise<TestRepository> {
  const folder = path.join(root, 'work', name);
  const bare = path.join(root, 'served', name);
  await mkdir(folder, { recursive: true });
  const git = (...args: readonly string[]): string => {
    const ended = spawnSync('git', args, { cwd: folder, env: environment, encoding: 'utf8' });
    if (ended.status !== 0) throw new Error(`git ${args.join(' ')}: ${ended.stderr}`);
    return ended.stdout.trim();
  };
  git('init', '--quiet', '--initial-branch=main');
  git('init', '--quiet', '--bare', '--initial-branch=main', bare);
  for (const [key, value] of config) git('--git-dir', bare, 'config', key, value);
  const commitStaged = (): string => {
    git('commit', '--quiet', '--allow-empty', '--message', 'a change');
    git('push', '--quiet', '--force', '--all', bare);
    git('push', '--quiet', '--force', '--tags', bare);
    return git('rev-parse', 'HEAD');
  };
  return {
    folder,
    url: `${origin}/${name}`,
    git,
    commitStaged,
    async commit(files) {
      for (const [file, text] of Object.entries(files)) {
        await mkdir(path.dirname(path.join(folder, file)), { recursive: true });
        await writeFile(path.join(folder, file), text);
      }
      git('add', '--all');
      return commitStaged();
    },
  };
}

const environment = {
  PATH: '/usr/local/bin:/usr/bin:/bin',
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_AUTHOR_NAME: 'a',
  GIT_AUTHOR_EMAIL: 'a@example.org',
  GIT_COMMITTER_NAME: 'a',
  GIT_COMMITTER_EMAIL: 'a@example.org',
};

/** CGI, as git-http-backend(1) wants it. */
function runBackend(root: string, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '', 'http://localhost');
  const backend = spawn('git', ['http-backend'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {
      ...environment,
      GIT_PROJECT_ROOT: path.join(root, 'served'),
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      REMOTE_ADDR: '127.0.0.1',
    },
  });
  request.pipe(backend.stdin);
  backend.stdin.on('error', () => {});
  let head = Buffer.alloc(0);
  backend.stdout.on('data', (chunk: Buffer) => {
    if (response.headersSent) return void response.write(chunk);
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end === -1) return;
    const headers = head
      .toString('latin1', 0, end)
      .split('\r\n')
      .map((line) => line.split(': '));
    const status = headers.find(([name]) => name === 'Status')?.[1] ?? '200';
    for (const [name = '', value = ''] of headers) if (name !== 'Status') response.setHeader(name, value);
    response.writeHead(Number.parseInt(status, 10));
    response.write(head.subarray(end + 4));
  });
  backend.stdout.on('end', () => response.end());
}

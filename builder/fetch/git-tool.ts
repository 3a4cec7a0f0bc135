import type { Readable } from 'node:stream';
import { type CallOptions, sleep, ToolError } from '../../core/index.ts';
import { type FetchAccess, findAuthorization } from './fetch-access.ts';
import { type GitUrl, gitProtocols } from './git-url.ts';
import { isLoopback } from './http-url.ts';
import { type RunningTool, startTool } from './tool.ts';

export interface GitOptions {
  /** Empty folder: git's home, and where it works. */
  readonly folder: string;
  /** The repository; none for ls-remote. */
  readonly repository?: string;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

const maxOutputBytes = 256 * 1024 * 1024;
const maxAttempts = 3;
const keptLines = 12;
/** Without progress: a large repository is counted in silence. */
const defaultStallMs = 300_000;

/** Settings that nothing on this machine, and nothing in a repository, can change. */
const settings: readonly (readonly [string, string])[] = [
  ['core.hooksPath', '/dev/null'],
  ['core.fsmonitor', 'false'],
  ['credential.helper', ''],
  ['gc.auto', '0'],
  ['maintenance.auto', 'false'],
  ['fetch.recurseSubmodules', 'false'],
  ['http.followRedirects', 'initial'],
  ['http.lowSpeedLimit', '100'],
  ['advice.detachedHead', 'false'],
];

/**
 * Starts git, told nothing by this machine's configuration. The arguments are ours; what comes from others is in them
 * only behind `--` and after it was parsed.
 * @throws ToolError ENVIRONMENT_MISSING_TOOL
 */
export function startGit(
  args: readonly string[],
  options: GitOptions & CallOptions,
  stdin: 'ignore' | 'pipe' = 'ignore',
): Promise<RunningTool> {
  return startTool(['git', ...args], {
    signal: options.signal,
    purpose: 'fetching a git repository',
    packageName: 'git',
    cwd: options.folder,
    env: { ...environment(options), ...options.env },
    stdio: [stdin, 'pipe', 'pipe'],
  });
}

/**
 * Runs git to its end and gives what it printed.
 * @throws ToolError FETCH_GIT_*
 */
export async function runGit(
  args: readonly string[],
  options: GitOptions &
    CallOptions & { readonly stallMs?: number | undefined; readonly onProgress?: (line: string) => void },
): Promise<Buffer> {
  await using git = await startGit(args, options);
  const { stdout, stderr } = git.child;
  if (stdout === null || stderr === null) throw new TypeError('there is no output to read');
  let isStalled = false;
  const stallMs = options.stallMs ?? defaultStallMs;
  const stalled = () => {
    isStalled = true;
    git.kill();
  };
  let timer = setTimeout(stalled, stallMs);
  try {
    const [output, lines, status] = await Promise.all([
      wholeOutput(stdout, git),
      lastLines(stderr, (line) => {
        clearTimeout(timer);
        timer = setTimeout(stalled, stallMs);
        options.onProgress?.(line);
      }),
      git.ended(),
    ]);
    options.signal?.throwIfAborted();
    if (isStalled)
      throw new ToolError('FETCH_STALLED', `git ${args[0]}: nothing came for ${Math.round(stallMs / 1000)} seconds`);
    if (status !== 0) throw gitError(args[0] ?? '', lines);
    return output;
  } finally {
    clearTimeout(timer);
  }
}

/** What git needs to speak with a host: protocols, proxies, ssh, and a secret when there is one. */
export async function remoteEnvironment(url: GitUrl, access: FetchAccess): Promise<Record<string, string>> {
  const allowed = gitProtocols.slice(0, Math.max(gitProtocols.indexOf(url.protocol), 1) + 1);
  const proxies = Object.entries(access.proxies).flatMap(([name, value]) => [
    [name.toLowerCase(), value],
    [name.toUpperCase(), value],
  ]);
  const authorization = await authorizationFor(url, access);
  return {
    ...Object.fromEntries(proxies),
    // Redirects of HTTP are held to it as well.
    GIT_ALLOW_PROTOCOL: allowed.join(':'),
    ...configured([
      ...settings,
      ['http.lowSpeedTime', String(Math.ceil((access.stallMs ?? 60_000) / 1000))],
      ...(authorization === undefined
        ? []
        : ([
            [`http.${url.protocol}://${url.host}/.extraHeader`, `Authorization: ${authorization}`],
            // git would send the header wherever a redirect leads.
            ['http.followRedirects', 'false'],
          ] as const)),
    ]),
    ...(url.protocol === 'ssh' ? sshEnvironment(url, access) : {}),
  };
}

/** Tries again what a network may cause. */
export async function withRetries<T>(access: FetchAccess, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      const mayPass =
        error instanceof ToolError && (error.code === 'FETCH_GIT_FAILED' || error.code === 'FETCH_STALLED');
      if (!mayPass || attempt >= maxAttempts) throw error;
      await sleep((access.retryDelayMs ?? 500) * 2 ** attempt, access);
    }
  }
}

function environment({ folder, repository }: GitOptions): Record<string, string> {
  return {
    HOME: folder,
    XDG_CONFIG_HOME: folder,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_SYSTEM: '/dev/null',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_ATTR_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_NO_REPLACE_OBJECTS: '1',
    GIT_ALLOW_PROTOCOL: '',
    // Nothing above the empty folder is taken for a repository whose configuration counts.
    GIT_CEILING_DIRECTORIES: folder.slice(0, folder.lastIndexOf('/')),
    ...(repository === undefined ? {} : { GIT_DIR: repository }),
    ...configured(settings),
  };
}

/** Settings on git's command line without being on it, where other users would see them. git-config(1), ENVIRONMENT */
function configured(pairs: readonly (readonly [string, string])[]): Record<string, string> {
  const variables = pairs.flatMap(([key, value], index) => [
    [`GIT_CONFIG_KEY_${index}`, key],
    [`GIT_CONFIG_VALUE_${index}`, value],
  ]);
  return { GIT_CONFIG_COUNT: String(pairs.length), ...Object.fromEntries(variables) };
}

async function authorizationFor(url: GitUrl, access: FetchAccess): Promise<string | undefined> {
  if (url.protocol !== 'https' && !(url.protocol === 'http' && isLoopback(url.hostname))) return undefined;
  const token = (text: string) => `Basic ${Buffer.from(`x-access-token:${text}`).toString('base64')}`;
  return findAuthorization(url, { prefix: 'GIT', token }, access);
}

/** The agent that was given and no key file, hosts that are known already and no question. */
function sshEnvironment(url: GitUrl, access: FetchAccess): Record<string, string> {
  const agent = access.sshAgents.get('default');
  if (agent === undefined) {
    throw new ToolError('FETCH_SSH_AGENT', `${url.text} is fetched over ssh, and no agent was given`, {
      hint: 'kiln build --ssh default gives the agent of SSH_AUTH_SOCK',
    });
  }
  const options = [
    'BatchMode=yes',
    'StrictHostKeyChecking=yes',
    `UserKnownHostsFile=${access.sshKnownHosts === undefined ? '/dev/null' : quoted(access.sshKnownHosts)}`,
    'IdentityFile=none',
    'IdentityAgent=SSH_AUTH_SOCK',
    'PermitLocalCommand=no',
    'ForwardAgent=no',
    'ConnectTimeout=30',
    'ServerAliveInterval=15',
    'ServerAliveCountMax=4',
  ];
  return {
    SSH_AUTH_SOCK: agent,
    GIT_SSH_COMMAND: `ssh -F none ${options.map((option) => `-o ${shellQuoted(option)}`).join(' ')}`,
    GIT_SSH_VARIANT: 'ssh',
  };
}

/** ssh_config(5) takes a path with blanks in double quotes. */
function quoted(file: string): string {
  return `"${file.replaceAll('%', '%%').replaceAll('"', '')}"`;
}

function shellQuoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

async function wholeOutput(stdout: Readable, git: RunningTool): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stdout as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxOutputBytes) {
      git.kill();
      throw new ToolError('FETCH_GIT_TOO_LARGE', `git printed more than ${maxOutputBytes} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Progress ends its lines with a carriage return. */
async function lastLines(stderr: Readable, onLine: (line: string) => void): Promise<string[]> {
  const last: string[] = [];
  let rest = '';
  for await (const chunk of stderr as AsyncIterable<Buffer>) {
    const lines = (rest + chunk.toString('utf8')).split(/[\r\n]+/);
    rest = (lines.pop() ?? '').slice(-4096);
    for (const line of lines) note(line);
  }
  note(rest);
  return last;

  function note(line: string): void {
    if (line.trim() === '') return;
    onLine(line);
    last.push(line.slice(0, 400));
    if (last.length > keptLines) last.shift();
  }
}

function gitError(verb: string, lines: readonly string[]): ToolError {
  const text = lines.join('\n');
  const said = complaints(lines).slice(-3);
  const shown = (said.length > 0 ? said : lines.slice(-2)).join('; ');
  const message = `git ${verb}: ${shown === '' ? 'it ended without a word' : shown}`;
  if (/Host key verification failed/.test(text)) {
    return new ToolError('FETCH_GIT_HOST_KEY', message, {
      hint: 'add the key of the host to ~/.ssh/known_hosts, having compared it',
    });
  }
  if (
    /could not read Username|Authentication failed|Permission denied|terminal prompts disabled|error: 40[13]/.test(text)
  ) {
    return new ToolError('FETCH_GIT_DENIED', message, {
      hint: 'give --secret id=GIT_AUTH_TOKEN.HOST for https, or --ssh default; or check the address',
    });
  }
  if (/unadvertised object|not our ref|does not support shallow|does not allow request|dumb http/i.test(text)) {
    return new ToolError('FETCH_GIT_REFUSED', message);
  }
  if (/not found|does not appear to be a git repository|not exported|no such repository/i.test(text)) {
    return new ToolError('FETCH_GIT_NOT_FOUND', message, { hint: 'check the address' });
  }
  const isUnreachable =
    /connect to|not resolve|unable to look up|errno=|connection refused|timed out|unreachable|no route to host/i.test(
      text,
    );
  return new ToolError(
    'FETCH_GIT_FAILED',
    message,
    isUnreachable
      ? { hint: 'check the host and port of the address, and the network and proxies of this machine' }
      : {},
  );
}

/** What git complains of; a line that ends with a colon goes on in the next ones. */
function complaints(lines: readonly string[]): string[] {
  const found: string[] = [];
  for (const line of lines) {
    const last = found.at(-1);
    if (/^(?:fatal|error|remote|ssh|ERROR|Host key|Permission)\b/.test(line)) found.push(line);
    else if (last !== undefined && (last.endsWith(':') || /\berrno=/.test(line)))
      found[found.length - 1] = `${last} ${line.trim()}`;
  }
  return found;
}

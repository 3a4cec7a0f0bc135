import type { ChildProcess } from 'node:child_process';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isRoot } from './requirements.ts';
import { unprivilegedIds, unprivilegedName } from './unprivileged.ts';

/** What a command gave: exit status, or 128 + n when signal n ended it, and all it wrote. */
export interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  /** Beside HOME, PATH, TMPDIR, USER and XDG_RUNTIME_DIR, which are always set; nothing else of the caller's environment is passed. */
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/**
 * Somebody who runs commands, with a clean environment and an own home folder, which disappears on dispose together
 * with all that subordinate ids own in it.
 */
export interface Account extends AsyncDisposable {
  readonly kind: 'root' | 'unprivileged';
  readonly uid: number;
  readonly home: string;
  /** Makes a folder below home, owned by the account. */
  folder(name: string): string;
  run(argv: readonly string[], options?: RunOptions): Promise<Outcome>;
  /** The process leads an own group, as a shell's foreground job does. */
  start(argv: readonly string[], options?: RunOptions): ChildProcess;
}

/** Everyone whom the person running the tests can be: both as root, else only the ordinary user. */
export function accountKinds(): readonly Account['kind'][] {
  return isRoot() ? ['root', 'unprivileged'] : ['unprivileged'];
}

export function openAccount(kind: Account['kind']): Account {
  if (kind === 'root' && !isRoot()) throw new TypeError('only root can test as root');
  const home = mkdtempSync(path.join(tmpdir(), `${kind}-`));
  chmodSync(home, 0o755);
  const switchesUser = kind === 'unprivileged' && isRoot();
  const ids = switchesUser ? unprivilegedIds() : { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const user = switchesUser ? unprivilegedName : kind === 'root' ? 'root' : (process.env.USER ?? String(ids.uid));
  const prefix = switchesUser
    ? [...tunForEveryone(home), 'setpriv', `--reuid=${ids.uid}`, `--regid=${ids.gid}`, '--init-groups', '--']
    : [];
  const folder = (name: string): string => {
    const made = path.join(home, name);
    mkdirSync(made, { recursive: true });
    chownSync(made, ids.uid, ids.gid);
    return made;
  };
  chownSync(home, ids.uid, ids.gid);
  const base = {
    HOME: home,
    USER: user,
    LOGNAME: user,
    TMPDIR: folder('tmp'),
    // Without it, peers look for credentials in a folder of root's.
    XDG_RUNTIME_DIR: folder('run'),
    PATH: searchPath(kind),
    ...proxies(),
  };
  const start: Account['start'] = (argv, options = {}) => {
    const [file = '', ...args] = [...prefix, ...argv];
    const env = { ...base, ...options.env };
    return spawn(file, args, { cwd: options.cwd ?? home, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  };
  return {
    kind,
    uid: ids.uid,
    home,
    folder,
    start,
    run: (argv, options) => outcomeOf(start(argv, options), argv, options?.timeoutMs ?? 300_000),
    [Symbol.asyncDispose]: async () => removeTree(home),
  };
}

/**
 * A command that runs the rest where everyone may open /dev/net/tun, as on machines with udev: in a mount namespace of
 * its own, this machine's stays as it is.
 */
function tunForEveryone(home: string): readonly string[] {
  const tun = '/dev/net/tun';
  const found = statSync(tun, { throwIfNoEntry: false });
  if (found === undefined || (found.mode & 0o006) === 0o006) return [];
  const node = path.join(home, 'tun');
  spawnSync('mknod', ['-m', '666', node, 'c', '10', '200']);
  return ['unshare', '--mount', 'sh', '-c', `mount --bind ${node} ${tun} && exec "$@"`, 'sh'];
}

/** Waits for the end of `child`, which is killed, with its group, after `timeoutMs`. */
export async function outcomeOf(child: ChildProcess, argv: readonly string[], timeoutMs = 300_000): Promise<Outcome> {
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  const timer = setTimeout(() => signalGroup(child, 'SIGKILL'), timeoutMs);
  try {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? 128 + signalNumber(signal)));
    const status = await promise;
    return { status, stdout: await stdout, stderr: await stderr };
  } catch (cause) {
    throw new Error(`${argv.join(' ')} did not run`, { cause });
  } finally {
    clearTimeout(timer);
  }
}

export function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  process.kill(-child.pid, signal);
}

function signalNumber(signal: NodeJS.Signals | null): number {
  const numbers: Partial<Record<NodeJS.Signals, number>> = { SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };
  return signal === null ? 0 : (numbers[signal] ?? 0);
}

async function collect(stream: NodeJS.ReadableStream | null): Promise<string> {
  const chunks: Buffer[] = [];
  if (stream !== null) for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString();
}

function searchPath(kind: Account['kind']): string {
  return kind === 'root'
    ? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
    : '/usr/local/bin:/usr/bin:/bin';
}

/** Some machines reach their package archive through a proxy only. */
function proxies(): Record<string, string> {
  const entries = Object.entries(process.env).filter(([name]) => /^(https?|no)_proxy$/i.test(name));
  return Object.fromEntries(entries.map(([name, value]) => [name, value ?? '']));
}

function removeTree(folder: string): void {
  // Files of subordinate ids can be removed only from inside a user namespace that maps them.
  if (!isRoot()) spawnSync('unshare', ['--map-root-user', '--map-auto', 'rm', '-rf', folder]);
  rmSync(folder, { recursive: true, force: true });
}

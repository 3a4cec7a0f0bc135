import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, copyFileSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { type Account, openAccount } from '../../test/account.ts';
import { findProgram } from '../../test/requirements.ts';
import type { OutsideWay } from '../network/outside-network.ts';
import type { LimitHit, SandboxSpec } from './sandbox.ts';

const packageRoot = path.resolve(import.meta.dirname, '../..');
const node = path.join(packageRoot, 'node_modules', '.bin', 'node');
const applets = ['sh', 'awk', 'cat', 'chmod', 'echo', 'grep', 'head', 'hostname', 'id', 'kill', 'ls', 'mkdir', 'mknod'];
const moreApplets = [
  'dd',
  'df',
  'ip',
  'nslookup',
  'stat',
  'tail',
  'mount',
  'ps',
  'pwd',
  'rm',
  'seq',
  'sleep',
  'sort',
  'stty',
  'timeout',
  'touch',
  'tr',
  'true',
  'tty',
  'unshare',
  'wget',
];

/** What the driver is asked, in a file whose path is its argument. */
export interface SandboxRequest {
  readonly spec: SandboxSpec;
  readonly stdio: 'inherit' | 'output';
  readonly scratch: string;
  readonly forwardSignals?: boolean;
  readonly abortAfterMs?: number;
  /** In place of what is found out about the machine. */
  readonly outsideWay?: OutsideWay;
  /** Mounts the overlay as kernels before 6.5 need it. */
  readonly oldMountApi?: boolean;
}

export interface SandboxResult {
  readonly exitCode?: number;
  readonly limitHits?: readonly LimitHit[];
  readonly stdout: string;
  readonly stderr: string;
  readonly error?: { readonly name: string; readonly code?: string; readonly message: string; readonly hint?: string };
  readonly elapsedMs: number;
}

/** Runs in a process of its own: signals, namespaces and kills must not reach the process of the tests. */
const driver = `
  const root = ${JSON.stringify(packageRoot)};
  const { readFileSync, writeFileSync } = await import('node:fs');
  const { openLauncher } = await import(root + '/runtime/launcher.ts');
  const { describePrivilege, enterUserNamespace } = await import(root + '/runtime/privilege.ts');
  const { runSandbox } = await import(root + '/runtime/sandbox/sandbox.ts');
  async function runByOldMountApi(launcher, spec, io, options) {
    const { mkdir } = await import('node:fs/promises');
    const { isInUserNamespace } = await import(root + '/runtime/privilege.ts');
    const { launch } = await import(root + '/runtime/sandbox/launch.ts');
    const { encodeOperations } = await import(root + '/runtime/sandbox/operations.ts');
    const { planSandbox } = await import(root + '/runtime/sandbox/plan.ts');
    const { defaultMountPoints, makeSkeleton } = await import(root + '/runtime/sandbox/skeleton.ts');
    const place = {
      parentPid: process.pid,
      userNamespace: await isInUserNamespace(),
      skeletons: [await makeSkeleton(options.scratch, defaultMountPoints)],
      root: file + '.root',
      seccomp: new Uint8Array(),
      generatedMounts: [],
      networkCommand: [],
      cgroups: [],
      staging: [],
      overlaySkeletons: new Map(),
    };
    await mkdir(place.root, { recursive: true });
    const operations = planSandbox(spec, place).filter(([name]) => name !== 'seccomp');
    return launch(launcher, encodeOperations([['old-mount-api'], ...operations]), io, options);
  }
  const file = process.argv[1];
  const launcher = await openLauncher();
  if ((await describePrivilege()).kind === 'unprivileged') {
    enterUserNamespace(launcher, [process.execPath, ...process.execArgv, file], process.env);
  }
  const request = JSON.parse(readFileSync(file, 'utf8'));
  const { limits } = request.spec;
  if (limits?.ulimits !== undefined) limits.ulimits = new Map(Object.entries(limits.ulimits));
  if (request.outsideWay !== undefined) launcher.outside.way = async () => request.outsideWay;
  const signal = request.abortAfterMs === undefined ? undefined : AbortSignal.timeout(request.abortAfterMs);
  const parts = { stdout: [], stderr: [] };
  const io = { stdio: request.stdio, onOutput: (stream, bytes) => parts[stream].push(bytes) };
  const started = performance.now();
  let outcome;
  try {
    const run = request.oldMountApi ? runByOldMountApi : runSandbox;
    outcome = await run(launcher, request.spec, io, { ...request, signal });
  } catch (error) {
    outcome = { error: { name: error.name, code: error.code, message: error.message, hint: error.hint } };
  }
  const text = (stream) => Buffer.concat(parts[stream]).toString('latin1');
  const result = { ...outcome, stdout: text('stdout'), stderr: text('stderr'), elapsedMs: performance.now() - started };
  writeFileSync(file + '.result', JSON.stringify(result));
`;

/** Layers and folders for sandboxes of one account; everything disappears on dispose. */
export class SandboxHarness implements AsyncDisposable {
  readonly account: Account;
  #count = 0;

  constructor(kind: Account['kind']) {
    this.account = openAccount(kind);
    const bin = path.join(this.folder('busybox'), 'bin');
    this.#make(bin);
    copyFileSync(findProgram('busybox') ?? '', path.join(bin, 'busybox'));
    for (const applet of [...applets, ...moreApplets]) symlinkSync('busybox', path.join(bin, applet));
  }

  /** A folder of the account, made when missing. */
  folder(...parts: readonly string[]): string {
    let folder = this.account.home;
    for (const part of parts.join('/').split('/')) {
      folder = path.join(folder, part);
      this.#make(folder);
    }
    return folder;
  }

  file(folder: string, name: string, text: string, mode = 0o644): string {
    const file = path.join(folder, name);
    writeFileSync(file, text, { mode });
    chownSync(file, this.account.uid, this.account.uid);
    return file;
  }

  /** The command sees /bin with busybox, and an upper folder of its own unless `changes` says otherwise. */
  spec(argv: readonly string[], changes: Partial<SandboxSpec> = {}): SandboxSpec {
    const number = ++this.#count;
    return {
      layers: [path.join(this.account.home, 'busybox')],
      writable: { upper: this.folder(`upper-${number}`), work: this.folder(`work-${number}`) },
      argv,
      env: { PATH: '/bin' },
      cwd: '/',
      user: { uid: 0, gid: 0, additionalGids: [] },
      hostname: 'box',
      network: 'none',
      mounts: [],
      terminal: false,
      volatile: true,
      ...changes,
    };
  }

  async run(spec: SandboxSpec, request: Partial<SandboxRequest> = {}): Promise<SandboxResult> {
    const { argv, result } = this.command(spec, request);
    const outcome = await this.account.run(argv);
    expect({ status: outcome.status, stderr: outcome.stderr }).toEqual({ status: 0, stderr: '' });
    return result();
  }

  /** Runs a shell script and gives what it wrote to standard output, which must be all that happened. */
  async output(script: string, changes: Partial<SandboxSpec> = {}): Promise<string> {
    const result = await this.run(this.spec(['sh', '-ec', script], changes));
    expect({ ...result, stdout: '', elapsedMs: 0 }).toEqual({
      exitCode: 0,
      limitHits: [],
      stdout: '',
      stderr: '',
      elapsedMs: 0,
    });
    return result.stdout.trim();
  }

  start(
    spec: SandboxSpec,
    request: Partial<SandboxRequest> = {},
  ): { child: ChildProcess; result: () => SandboxResult } {
    const { argv, result } = this.command(spec, request);
    return { child: this.account.start(argv), result };
  }

  /** The driver's command line, and how to read what it found. */
  command(spec: SandboxSpec, request: Partial<SandboxRequest> = {}): { argv: string[]; result: () => SandboxResult } {
    const whole: SandboxRequest = { spec, stdio: 'output', scratch: this.folder('scratch'), ...request };
    const file = this.file(
      this.folder('requests'),
      `request-${++this.#count}.json`,
      JSON.stringify(whole, mapsAsObjects),
    );
    const argv = [node, '--disable-warning=ExperimentalWarning', '--input-type=module', '-e', driver, file];
    return { argv, result: () => JSON.parse(readFileSync(`${file}.result`, 'utf8')) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.account[Symbol.asyncDispose]();
  }

  #make(folder: string): void {
    mkdirSync(folder, { recursive: true });
    chownSync(folder, this.account.uid, this.account.uid);
  }
}

function mapsAsObjects(_key: string, value: unknown): unknown {
  return value instanceof Map ? Object.fromEntries(value) : value;
}

/** Waits until a line of the process's standard output is `text`. */
export async function waitForLine(child: ChildProcess, text: string): Promise<void> {
  let all = '';
  while (!all.split('\n').includes(text)) {
    if (child.stdout === null) throw new Error('the output is not piped');
    const [bytes] = await once(child.stdout, 'data', { signal: AbortSignal.timeout(10_000) });
    all += String(bytes);
  }
}

/** Process ids on this machine with `marker` among their arguments. */
export function processesWith(marker: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => readIfThere(`/proc/${name}/cmdline`).split('\0').includes(marker))
    .map(Number);
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

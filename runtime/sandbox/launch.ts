import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { Readable, Writable } from 'node:stream';
import { type CallOptions, ToolError } from '../../core/index.ts';
import type { Launcher } from '../launcher.ts';
import { parseReport } from './report.ts';

/** Where the payload's standard streams lead. */
export interface SandboxIo {
  /**
   * `inherit`: to this process's own. `inherit-output`: the same, but standard input is empty. `output`: standard
   * input is empty, and `onOutput` gets what is written.
   */
  readonly stdio: 'inherit' | 'inherit-output' | 'output';
  readonly onOutput?: (stream: 'stdout' | 'stderr', bytes: Buffer) => void;
}

export interface LaunchExit {
  /** 128 + n when signal n ended the payload. */
  readonly exitCode: number;
}

interface LaunchOptions extends CallOptions {
  readonly forwardSignals?: boolean;
}

const forwardedSignals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGWINCH'] as const;

const standardStreams = {
  inherit: ['inherit', 'inherit', 'inherit'],
  'inherit-output': ['ignore', 'inherit', 'inherit'],
  output: ['ignore', 'pipe', 'pipe'],
} as const;

/** How long the launcher may take to restore the terminal, and to see everything inside die. */
const graceMs = 500;

/**
 * Has the launcher carry out a list of operations, and waits for its end.
 * @throws ToolError as `parseReport` gives, LAUNCHER_MISSING; the signal's reason when aborted
 */
export async function launch(
  launcher: Launcher,
  operations: Uint8Array,
  io: SandboxIo,
  options: LaunchOptions,
): Promise<LaunchExit> {
  options.signal?.throwIfAborted();
  const stdio: StdioOptions = [...standardStreams[io.stdio], 'pipe', 'pipe'];
  const child = spawn(launcher.file, ['run'], { stdio, env: {}, cwd: '/' });
  const [, stdout, stderr, control, status] = child.stdio;
  using _forwarding = forwardSignals(child, options.forwardSignals === true);
  using _aborting = endOnAbort(child, control, options.signal);

  // A launcher that ends before it has read everything says why in its report.
  control?.on('error', () => undefined);
  if (control instanceof Writable) control.write(operations);
  const [closed, reported, ...handed] = await Promise.allSettled([
    once(child, 'close'),
    collect(status),
    handOver(stdout, (bytes) => io.onOutput?.('stdout', bytes)),
    handOver(stderr, (bytes) => io.onOutput?.('stderr', bytes)),
  ]);
  control?.destroy();
  options.signal?.throwIfAborted();
  if (closed.status === 'rejected') throw cannotStart(launcher, closed.reason);
  if (reported.status === 'rejected') throw reported.reason;
  const report = parseReport(reported.value);
  if (report !== undefined) throw report;
  for (const outcome of handed) if (outcome.status === 'rejected') throw outcome.reason;
  return { exitCode: exitCodeOf(child) };
}

type ChildStream = Readable | Writable | null | undefined;

async function handOver(stream: ChildStream, consume: (bytes: Buffer) => void): Promise<void> {
  if (stream instanceof Readable) for await (const bytes of stream) consume(bytes);
}

async function collect(stream: ChildStream): Promise<Buffer> {
  const parts: Buffer[] = [];
  await handOver(stream, (bytes) => parts.push(bytes));
  return Buffer.concat(parts);
}

/** Closing the control stream tells the launcher to kill everything inside, and to restore the terminal. */
function endOnAbort(child: ChildProcess, control: ChildStream, signal: AbortSignal | undefined): Disposable {
  let timer: NodeJS.Timeout | undefined;
  const end = (): void => {
    control?.destroy();
    timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  };
  signal?.addEventListener('abort', end, { once: true });
  return {
    [Symbol.dispose]() {
      signal?.removeEventListener('abort', end);
      clearTimeout(timer);
    },
  };
}

function forwardSignals(child: ChildProcess, isWanted: boolean): Disposable {
  const forward = (name: NodeJS.Signals): void => void child.kill(name);
  if (isWanted) for (const name of forwardedSignals) process.on(name, forward);
  return {
    [Symbol.dispose]() {
      for (const name of forwardedSignals) process.off(name, forward);
    },
  };
}

function exitCodeOf(child: ChildProcess): number {
  if (child.exitCode !== null) return child.exitCode;
  return 128 + (child.signalCode === null ? 0 : constants.signals[child.signalCode]);
}

function cannotStart(launcher: Launcher, cause: unknown): ToolError {
  return new ToolError('LAUNCHER_MISSING', `the native launcher ${launcher.file} cannot be started`, {
    cause,
    hint: 'build it again: node scripts/build-native.mjs',
  });
}

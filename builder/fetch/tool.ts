import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { CallOptions } from '../../core/index.ts';
import { requireTool, searchPath } from '../bootstrap/tool-process.ts';

export interface RunningTool extends AsyncDisposable {
  readonly child: ChildProcess;
  /** Its status once it has ended by itself; -1 when a signal ended it. */
  ended(): Promise<number>;
  /** Ends it and all it started. */
  kill(): void;
}

/**
 * Starts a program of the system in a process group of its own and with the given environment only. It is gone, with
 * what it started, when the signal is aborted, when it is disposed, and when this process dies.
 * @throws ToolError ENVIRONMENT_MISSING_TOOL
 */
export async function startTool(
  argv: readonly [string, ...string[]],
  options: CallOptions & {
    readonly purpose: string;
    readonly packageName: string;
    readonly env?: Readonly<Record<string, string>>;
    readonly cwd?: string;
    readonly stdio: SpawnOptions['stdio'];
  },
): Promise<RunningTool> {
  await requireTool(argv[0], options.packageName, options.purpose);
  // No later: an abort between here and the listener below would not be heard.
  options.signal?.throwIfAborted();
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...argv], {
    stdio: options.stdio,
    detached: true,
    env: { PATH: searchPath.join(':'), LC_ALL: 'C.UTF-8', TZ: 'UTC', ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const closed = once(child, 'close');
  // Whoever disposes without waiting does not want to hear of it.
  closed.catch(() => {});
  const kill = () => killGroup(child);
  options.signal?.addEventListener('abort', kill);
  const ended = async () => {
    await closed;
    options.signal?.removeEventListener('abort', kill);
    return child.exitCode ?? -1;
  };
  return {
    child,
    ended,
    kill,
    async [Symbol.asyncDispose]() {
      kill();
      // Unread output would keep it from being closed.
      for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy();
      await ended().catch(() => {});
    },
  };
}

function killGroup({ pid, exitCode, signalCode }: ChildProcess): void {
  if (pid === undefined || exitCode !== null || signalCode !== null) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended meanwhile.
  }
}

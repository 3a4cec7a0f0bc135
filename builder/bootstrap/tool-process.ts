import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, constants } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { type CallOptions, ToolError } from '../../core/index.ts';

export interface ToolOptions extends CallOptions {
  readonly cwd?: string;
  /** Added to the fixed environment that every tool gets. */
  readonly env?: Readonly<Record<string, string>>;
  readonly onOutput?: ((line: string) => void) | undefined;
}

/** Where programs of the system are looked for, whatever the caller's PATH. */
export const searchPath = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** The same for every user and machine, so that nothing of it reaches a maintainer script. */
const environment = {
  PATH: searchPath.join(':'),
  LC_ALL: 'C.UTF-8',
  HOME: '/root',
  TZ: 'UTC',
  DEBIAN_FRONTEND: 'noninteractive',
  DEBCONF_NONINTERACTIVE_SEEN: 'true',
  // Not 0: shadow counts in days, and day 0 of /etc/shadow means that the password must be changed. shadow(5)
  SOURCE_DATE_EPOCH: '86400',
};

/**
 * Runs a tool to its end and gives the lines of its stdout. It dies with the signal, and with this process.
 * @throws ToolFailure when it ends with another status than 0; the signal's reason
 */
export async function runTool(argv: readonly string[], options: ToolOptions = {}): Promise<string[]> {
  options.signal?.throwIfAborted();
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...argv], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...environment, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const kill = () => child.kill('SIGKILL');
  options.signal?.addEventListener('abort', kill);
  try {
    const closed = once(child, 'close');
    const last: string[] = [];
    const [, stdout] = await Promise.all([
      closed,
      readLines(child.stdout, (line) => note(line, last, options)),
      readLines(child.stderr, (line) => note(line, last, options)),
    ]);
    options.signal?.throwIfAborted();
    if (child.exitCode !== 0) throw new ToolFailure(argv[0] ?? '', child.exitCode, child.signalCode, last);
    return stdout;
  } finally {
    options.signal?.removeEventListener('abort', kill);
  }
}

/** A tool that ended badly, with the last lines it printed. For those who call tools; users get a ToolError. */
export class ToolFailure extends Error {
  readonly lines: readonly string[];

  constructor(tool: string, status: number | null, signal: string | null, lines: readonly string[]) {
    super(`${tool} ended with ${signal === null ? `status ${status}` : `signal ${signal}`}`);
    this.name = 'ToolFailure';
    this.lines = lines;
  }
}

/** @throws ToolError ENVIRONMENT_MISSING_TOOL */
export async function requireTool(name: string, packageName: string, purpose = 'a bootstrap'): Promise<void> {
  for (const folder of searchPath) {
    const found = await access(path.join(folder, name), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return;
  }
  throw new ToolError('ENVIRONMENT_MISSING_TOOL', `${purpose} needs ${name}, which this machine does not have`, {
    hint: `apt-get install -y ${packageName}`,
  });
}

const keptLines = 20;

function note(line: string, last: string[], options: ToolOptions): void {
  if (line.trim() === '') return;
  last.push(line);
  if (last.length > keptLines) last.shift();
  options.onOutput?.(line);
}

async function readLines(stream: Readable, onLine: (line: string) => void): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
    lines.push(line);
    onLine(line);
  }
  return lines;
}

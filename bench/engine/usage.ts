import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Command } from '../tool.ts';

/** What a command took. */
export interface Usage {
  readonly wallMs: number;
  /** Of the command and its children, and of its daemon while it ran. */
  readonly cpuMs: number;
  /** Of its largest process, not of a daemon. */
  readonly peakBytes: number;
}

/** Runs a command under time(1). @throws Error with the last lines it wrote when the command fails */
export async function usageOf({ argv, env }: Command, daemonCpuMs: () => number = () => 0): Promise<Usage> {
  const folder = mkdtempSync(path.join(tmpdir(), 'kiln-usage-'));
  const report = path.join(folder, 'usage');
  try {
    const daemonBefore = daemonCpuMs();
    const startedMs = performance.now();
    const child = spawn('/usr/bin/time', ['-q', '-f', '%U %S %M', '-o', report, '--', ...argv], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const lines: Buffer[] = [];
    child.stderr?.on('data', (chunk: Buffer) => lines.push(chunk));
    const [status] = await once(child, 'close');
    const wallMs = performance.now() - startedMs;
    if (status !== 0) {
      throw new Error(`${argv.join(' ')} ended with ${status}:\n${Buffer.concat(lines).toString().slice(-2000)}`);
    }
    const [user = 0, system = 0, peakKib = 0] = readFileSync(report, 'utf8').trim().split(' ').map(Number);
    const cpuMs = (user + system) * 1000 + daemonCpuMs() - daemonBefore;
    return { wallMs, cpuMs, peakBytes: peakKib * 1024 };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Processor time of a process, of all its living descendants, and of those it has waited for, in milliseconds. */
export function processTreeCpuMs(pid: number): number {
  let ticks = 0;
  const waiting = [pid];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    try {
      const fields = readFileSync(`/proc/${next}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ');
      // proc(5): utime, stime, cutime, cstime are fields 14 to 17; the state is the third.
      ticks += fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
      waiting.push(
        ...readFileSync(`/proc/${next}/task/${next}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number),
      );
    } catch {
      // It ended meanwhile; its parent has its time now.
    }
  }
  return ticks * 10;
}

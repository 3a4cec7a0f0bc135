import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Command } from './tool.ts';

/** Milliseconds from start to end. @throws Error with the last lines it wrote when the command fails */
export async function timed({ argv, env }: Command): Promise<number> {
  const [program = '', ...args] = argv;
  const startedMs = performance.now();
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'pipe'] });
  const lines: Buffer[] = [];
  child.stderr?.on('data', (chunk: Buffer) => lines.push(chunk));
  const [status] = await once(child, 'close');
  const tookMs = performance.now() - startedMs;
  if (status === 0) return tookMs;
  throw new Error(`${argv.join(' ')} ended with ${status}:\n${Buffer.concat(lines).toString().slice(-2_000)}`);
}

/** Standard output of a command, trimmed; undefined when it cannot be run. */
export async function output(...[program = '', ...args]: readonly string[]): Promise<string | undefined> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const chunks: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ended = await once(child, 'close').catch(() => [1]);
  return ended[0] === 0 ? Buffer.concat(chunks).toString().trim() : undefined;
}

/** Starts a server; disposing ends it and waits until it is gone. */
export function serve(argv: readonly string[], env: Readonly<Record<string, string>> = {}): AsyncDisposable {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: 'ignore' });
  child.on('error', () => undefined); // Whoever waits for its port says that nothing answers.
  return { [Symbol.asyncDispose]: () => end(child) };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { type CallOptions, ToolError } from '../../core/index.ts';
import type { Launcher } from '../launcher.ts';

/** The most that is kept of what a launcher says on standard error. */
const maxMessageBytes = 8192;

/** A verb of the launcher at work. Disposing it ends the process, if it has not ended by itself, and waits for that. */
export class NativeProcess implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #verb: string;
  readonly #exited: Promise<{ readonly code: number | null } | { readonly error: unknown }>;
  readonly #message: Promise<string>;
  readonly #signal: AbortSignal | undefined;
  readonly #kill = (): void => {
    this.#child.kill('SIGKILL');
  };

  constructor(launcher: Launcher, args: readonly string[], options: CallOptions = {}) {
    options.signal?.throwIfAborted();
    this.#verb = args[0] ?? '';
    this.#child = spawn(launcher.file, args, { stdio: ['pipe', 'pipe', 'pipe'], env: {} });
    this.#exited = once(this.#child, 'close').then(
      ([code]: unknown[]) => ({ code: typeof code === 'number' ? code : null }),
      (error: unknown) => ({ error }),
    );
    this.#message = readText(this.#child.stderr);
    // A process that ends early is noticed by its exit status; the broken pipe says nothing more.
    this.#child.stdin.on('error', () => undefined);
    this.#signal = options.signal;
    this.#signal?.addEventListener('abort', this.#kill, { once: true });
  }

  get output(): Readable {
    return this.#child.stdout;
  }

  /** False when the process takes no more input because it has ended. */
  async write(bytes: Buffer): Promise<boolean> {
    const { stdin } = this.#child;
    if (stdin.destroyed) return false;
    if (stdin.write(bytes)) return true;
    try {
      const stop = new AbortController();
      const ended = once(stdin, 'close', { signal: stop.signal });
      const drained = once(stdin, 'drain', { signal: stop.signal });
      const outcomes = [ended.then(() => false), drained.then(() => true)];
      return await Promise.race(outcomes).finally(() => {
        stop.abort();
        return Promise.allSettled(outcomes);
      });
    } catch {
      return false;
    }
  }

  end(): void {
    this.#child.stdin.end();
  }

  /** The exit status and what was said on standard error. @throws ToolError LAUNCHER_FAILED when it never ran */
  async exit(): Promise<{ readonly code: number | null; readonly message: string }> {
    const exited = await this.#exited;
    this.#signal?.throwIfAborted();
    const message = (await this.#message).trim();
    if ('code' in exited) return { code: exited.code, message };
    throw new ToolError('LAUNCHER_FAILED', `the native launcher could not be started for ${this.#verb}`, {
      cause: exited.error,
      hint: 'build it with: npm run build',
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#kill);
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#kill();
    this.#child.stdin.destroy();
    this.#child.stdout.destroy();
    await this.#exited;
  }
}

async function readText(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      if (size < maxMessageBytes) chunks.push(chunk);
      size += chunk.length;
    }
  } catch {
    // The message is an extra; the exit status tells of the failure.
  }
  return Buffer.concat(chunks).subarray(0, maxMessageBytes).toString('utf8');
}

import { rmSync } from 'node:fs';
import { mkdir, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type CallOptions, sleep } from './cancellation.ts';
import { ToolError } from './errors.ts';

export type LockMode = 'shared' | 'exclusive';

/**
 * Named locks between processes in one folder. Each is an SQLite file whose transaction is held open: the kernel drops
 * it when the process dies, however it dies. Never open the lock file by other means in the same process.
 */
export class LockFolder {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Waits until the lock is free. Disposing releases it. */
  async acquire(name: string, mode: LockMode, options: CallOptions = {}): Promise<AsyncDisposable> {
    for (let waitMs = 1; ; waitMs = Math.min(waitMs * 2, 50)) {
      options.signal?.throwIfAborted();
      const held = await this.tryAcquire(name, mode);
      if (held !== undefined) return held;
      await sleep(waitMs, options);
    }
  }

  /** Removes the file of a lock that nobody will ask for again; only its holder may. */
  forget(name: string): void {
    rmSync(this.#file(name), { force: true });
  }

  /** Names of locks that were asked for and not forgotten since, and when each was first asked for. */
  async *begunWith(prefix: string): AsyncGenerator<{ readonly name: string; readonly sinceMs: number }> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    for (const file of await readdir(this.#folder)) {
      if (!file.startsWith(prefix) || !file.endsWith('.lock')) continue;
      const found = await stat(path.join(this.#folder, file)).catch(() => undefined);
      if (found !== undefined) yield { name: file.slice(0, -'.lock'.length), sinceMs: found.mtimeMs };
    }
  }

  /** The lock, or undefined when another holds it. */
  async tryAcquire(name: string, mode: LockMode): Promise<AsyncDisposable | undefined> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const database = this.#open(name);
    try {
      if (mode === 'exclusive') database.exec('BEGIN EXCLUSIVE');
      else database.exec('BEGIN; SELECT 1 FROM sqlite_master');
    } catch (error) {
      database.close();
      if (isBusy(error)) return undefined;
      throw error;
    }
    return {
      async [Symbol.asyncDispose]() {
        if (database.isOpen) database.close();
      },
    };
  }

  #open(name: string): DatabaseSync {
    try {
      return new DatabaseSync(this.#file(name), { timeout: 0 });
    } catch (cause) {
      throw new ToolError('ENVIRONMENT_LOCK', `the lock file ${this.#file(name)} cannot be opened`, {
        cause,
        hint: 'the store must be yours to write, and its path shorter than about 500 characters',
      });
    }
  }

  #file(name: string): string {
    return path.join(this.#folder, `${name}.lock`);
  }
}

function isBusy(error: unknown): boolean {
  // SQLITE_BUSY, https://www.sqlite.org/rescode.html#busy
  return typeof error === 'object' && error !== null && 'errcode' in error && error.errcode === 5;
}

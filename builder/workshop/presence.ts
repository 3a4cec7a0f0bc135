import { randomBytes } from 'node:crypto';
import type { CallOptions, LockFolder } from '../../core/index.ts';

const prefix = 'present-';
/** Held alone by who removes things, and for a moment by who begins to work. */
const doorLock = 'door';

/** The mark of one process. */
export interface Presence extends AsyncDisposable {
  readonly name: string;
}

/**
 * That a process works with the store. What it uses counts as used from its beginning on, so whoever removes things
 * only has to know when the oldest of the others began.
 */
export async function enterStore(locks: LockFolder, options: CallOptions): Promise<Presence> {
  await using _door = await locks.acquire(doorLock, 'shared', options);
  const name = `${prefix}${randomBytes(6).toString('hex')}`;
  const present = await locks.acquire(name, 'exclusive', options);
  return {
    name,
    async [Symbol.asyncDispose]() {
      locks.forget(name);
      await present[Symbol.asyncDispose]();
    },
  };
}

/** Keeps others from beginning; those that have begun go on. */
export function closeDoor(locks: LockFolder, options: CallOptions): Promise<AsyncDisposable> {
  return locks.acquire(doorLock, 'exclusive', options);
}

/** When the oldest of the others began, milliseconds since the epoch; undefined when there is none. */
export async function oldestPresence(locks: LockFolder, own: Presence): Promise<number | undefined> {
  let oldest: number | undefined;
  for await (const { name, sinceMs } of locks.begunWith(prefix)) {
    if (name === own.name) continue;
    await using dead = await locks.tryAcquire(name, 'exclusive');
    if (dead === undefined) oldest = Math.min(oldest ?? sinceMs, sinceMs);
    else locks.forget(name);
  }
  return oldest;
}

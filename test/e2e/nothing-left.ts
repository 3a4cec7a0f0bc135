import { readdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { mountsOf, processesOf } from '../leftovers.ts';
import type { Kiln } from './kiln.ts';

/** Killed processes are gone when the kernel has reaped them: not at once, but soon. */
const graceMs = 5_000;

/** Mounts and processes that still belong to `kiln`'s account, once there has been time to end; empty is good. */
export async function stillRunning(kiln: Kiln): Promise<readonly string[]> {
  const { home } = kiln.account;
  for (let waitedMs = 0; waitedMs < graceMs; waitedMs += 50) {
    if (alive(home).length === 0) return [];
    await delay(50);
  }
  return alive(home);
}

/** What lies in the store's folder for unfinished work. */
export function unfinished(kiln: Kiln): readonly string[] {
  return readdirSync(path.join(kiln.store, 'tmp'));
}

function alive(home: string): readonly string[] {
  return [...mountsOf('self', home), ...processesOf(home)];
}

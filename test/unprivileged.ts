import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { hasSubordinateIds } from './requirements.ts';

/** The ordinary user that tests started by root run commands as. It is made once, and stays. */
export const unprivilegedName = 'kiln-test';

const rangeSize = 65_536;

let known: { readonly uid: number; readonly gid: number } | undefined;

/** Ids of the unprivileged user, who is made first when there is none. Only root may call it. */
export function unprivilegedIds(): { readonly uid: number; readonly gid: number } {
  known ??= makeUser();
  return known;
}

function makeUser(): { readonly uid: number; readonly gid: number } {
  if (lookUp() === undefined) {
    for (const file of ['/etc/subuid', '/etc/subgid']) if (!existsSync(file)) writeFileSync(file, '');
    const made = spawnSync('useradd', ['--no-create-home', '--home-dir', '/nonexistent', unprivilegedName]);
    const madeByAnother = made.status === 9;
    if (made.status !== 0 && !madeByAnother) throw new Error(`useradd failed: ${String(made.stderr)}`);
  }
  const ids = lookUp();
  if (ids === undefined) throw new Error(`the user ${unprivilegedName} could not be made`);
  if (!hasSubordinateIds(unprivilegedName, ids.uid)) addSubordinateIds();
  return ids;
}

function lookUp(): { readonly uid: number; readonly gid: number } | undefined {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((text) => text.startsWith(`${unprivilegedName}:`));
  if (line === undefined) return undefined;
  const [, , uid, gid] = line.split(':');
  return { uid: Number(uid), gid: Number(gid) };
}

function addSubordinateIds(): void {
  const first = Math.max(firstFreeId('/etc/subuid'), firstFreeId('/etc/subgid'));
  const range = `${first}-${first + rangeSize - 1}`;
  const added = spawnSync('usermod', ['--add-subuids', range, '--add-subgids', range, unprivilegedName]);
  if (added.status !== 0) throw new Error(`usermod failed: ${String(added.stderr)}`);
}

function firstFreeId(file: string): number {
  const lines = readFileSync(file, 'utf8').split('\n');
  const ends = lines.map((line) => line.split(':')).map(([, start, count]) => Number(start ?? 0) + Number(count ?? 0));
  return Math.max(100_000, ...ends);
}

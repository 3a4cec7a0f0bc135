import { accessSync, constants, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import path from 'node:path';
import { ToolError } from '../core/index.ts';
import type { Launcher } from './launcher.ts';
import { readSubordinateRanges, type SubordinateRange } from './subordinate-ranges.ts';

/** What this process may do to make sandboxes. */
export type Privilege =
  | { readonly kind: 'root' }
  /** uid 0 of a user namespace. */
  | { readonly kind: 'user-namespace' }
  | {
      readonly kind: 'unprivileged';
      readonly uid: number;
      readonly gid: number;
      /** Whether there are subordinate ids, and the programs that map them. */
      readonly subordinate: boolean;
      /** What is missing to go on by `enterUserNamespace`, one sentence each. */
      readonly problems: readonly string[];
    };

interface User {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
}

/** Kernel switches that forbid user namespaces, by the value that does. */
const switches = [
  { file: '/proc/sys/user/max_user_namespaces', forbids: '0', remedy: 'sysctl -w user.max_user_namespaces=15000' },
  {
    file: '/proc/sys/kernel/unprivileged_userns_clone',
    forbids: '0',
    remedy: 'sysctl -w kernel.unprivileged_userns_clone=1',
  },
  {
    file: '/proc/sys/kernel/apparmor_restrict_unprivileged_userns',
    forbids: '1',
    remedy: 'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
  },
] as const;

export async function describePrivilege(): Promise<Privilege> {
  const user = currentUser();
  if (user.uid === 0) return { kind: (await isInUserNamespace()) ? 'user-namespace' : 'root' };
  const missing = subordinateProblems(user);
  return {
    kind: 'unprivileged',
    uid: user.uid,
    gid: user.gid,
    subordinate: missing.length === 0,
    problems: [...missing, ...kernelProblems()],
  };
}

/** False in the first one, where uid 0 is the machine's root. user_namespaces(7) */
export async function isInUserNamespace(): Promise<boolean> {
  const map = await readFile('/proc/self/uid_map', 'utf8');
  return map.trim().split(/\s+/).join(' ') !== '0 0 4294967295';
}

/**
 * Replaces this process by `argv` (the whole command, an absolute path first) inside a new user namespace: this user
 * is uid 0 there, and the subordinate ids follow from 1 on. The process id stays. What goes wrong after the
 * replacement is said on standard error, and ends the process with 125.
 * @throws ToolError ENVIRONMENT_USER_NAMESPACE
 */
export function enterUserNamespace(
  launcher: Launcher,
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
): never {
  const user = currentUser();
  const problems = [...subordinateProblems(user), ...kernelProblems()];
  if (problems.length > 0) throw cannotEnter(problems.join('; '));
  const maps = [
    ...mapArguments('--uids', user.uid, readSubordinateRanges('/etc/subuid', user.name, user.uid)),
    ...mapArguments('--gids', user.gid, readSubordinateRanges('/etc/subgid', user.name, user.uid)),
  ];
  if (process.execve === undefined) throw cannotEnter('this Node cannot replace its process; Node 24 can');
  return process.execve(launcher.file, [launcher.file, 'enter', ...maps, '--', ...argv], env);
}

/** This user as 0, and the ranges one after the other from 1 on. */
function mapArguments(option: string, id: number, ranges: readonly SubordinateRange[]): string[] {
  let inside = 1;
  return [
    ...[option, '0', String(id), '1'],
    ...ranges.flatMap(({ start, count }) => {
      const map = [option, String(inside), String(start), String(count)];
      inside += count;
      return map;
    }),
  ];
}

function currentUser(): User {
  const uid = process.getuid?.() ?? 0;
  const gid = process.getgid?.() ?? 0;
  try {
    return { uid, gid, name: userInfo().username };
  } catch {
    // A uid without an entry in /etc/passwd may have ranges by its number.
    return { uid, gid, name: String(uid) };
  }
}

function subordinateProblems(user: User): string[] {
  const problems = ['newuidmap', 'newgidmap']
    .filter((program) => !isInstalled(program))
    .map((program) => `${program} is missing (Debian: apt-get install -y uidmap)`);
  for (const file of ['/etc/subuid', '/etc/subgid']) {
    if (readSubordinateRanges(file, user.name, user.uid).length > 0) continue;
    const option = file === '/etc/subuid' ? '--add-subuids' : '--add-subgids';
    problems.push(`${file} has no range for ${user.name} (as root: usermod ${option} 100000-165535 ${user.name})`);
  }
  return problems;
}

function kernelProblems(): string[] {
  return switches
    .filter(({ file, forbids }) => readIfThere(file)?.trim() === forbids)
    .map(({ file, remedy }) => `the kernel forbids user namespaces by ${file} (as root: ${remedy})`);
}

/** The launcher runs them by name; these are the folders a PATH has them in. */
function isInstalled(program: string): boolean {
  return ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin'].some((folder) => {
    try {
      accessSync(path.join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function cannotEnter(why: string): ToolError {
  return new ToolError('ENVIRONMENT_USER_NAMESPACE', `a user namespace cannot be entered: ${why}`, {
    hint: 'repair what is named, or run as root',
  });
}

import { readFile } from 'node:fs/promises';
import { ToolError } from '../../core/index.ts';
import type { Operation } from './operations.ts';
import type { SandboxLimits } from './spec.ts';

/** What setrlimit(2) takes on x86 and ARM: the number after `RLIMIT_`, and the name in /proc/PID/limits. */
const resources = {
  as: { number: 9, title: 'Max address space' },
  core: { number: 4, title: 'Max core file size' },
  cpu: { number: 0, title: 'Max cpu time' },
  data: { number: 2, title: 'Max data size' },
  fsize: { number: 1, title: 'Max file size' },
  locks: { number: 10, title: 'Max file locks' },
  memlock: { number: 8, title: 'Max locked memory' },
  msgqueue: { number: 12, title: 'Max msgqueue size' },
  nice: { number: 13, title: 'Max nice priority' },
  nofile: { number: 7, title: 'Max open files' },
  nproc: { number: 6, title: 'Max processes' },
  rss: { number: 5, title: 'Max resident set' },
  rtprio: { number: 14, title: 'Max realtime priority' },
  rttime: { number: 15, title: 'Max realtime timeout' },
  sigpending: { number: 11, title: 'Max pending signals' },
  stack: { number: 3, title: 'Max stack size' },
} as const;

/** Names of the resources that a process can be limited in, without `RLIMIT_`, lower case. */
export const ulimitNames: readonly string[] = Object.keys(resources);

/** The soft limit that programs are made for: Node raises its own, and children inherit it. */
const defaultOpenFiles = 1024;

function resourceOf(name: string): (typeof resources)[keyof typeof resources] {
  if (Object.hasOwn(resources, name)) return resources[name as keyof typeof resources];
  throw new ToolError('SANDBOX_SPEC_INVALID', `there is no resource limit ${name}`, {
    hint: `known are ${ulimitNames.join(', ')}`,
  });
}

/** @throws ToolError SANDBOX_SPEC_INVALID */
export function rlimitOperations(limits: SandboxLimits | undefined): readonly Operation[] {
  const asked = [...(limits?.ulimits ?? [])].map(
    ([name, { soft, hard }]) => ['rlimit', String(resourceOf(name).number), limitText(soft), limitText(hard)] as const,
  );
  if (limits?.ulimits?.has('nofile')) return asked;
  return [['rlimit', String(resources.nofile.number), String(defaultOpenFiles), 'keep'], ...asked];
}

function limitText(value: number): string {
  return value === -1 ? 'unlimited' : String(value);
}

/** CAP_SYS_RESOURCE, by its number in linux/capability.h. */
const sysResource = 24n;

/**
 * Only root outside of user namespaces may raise a hard limit, and in a container not even that one. setrlimit(2)
 * @throws ToolError ENVIRONMENT_LIMITS
 */
export async function checkHardLimits(limits: SandboxLimits | undefined, machineRoot: boolean): Promise<void> {
  if (limits?.ulimits === undefined || limits.ulimits.size === 0) return;
  if (machineRoot && hasCapability(await readFile('/proc/self/status', 'utf8'), sysResource)) return;
  const own = parseHardLimits(await readFile('/proc/self/limits', 'utf8'));
  for (const [name, { hard }] of limits.ulimits) {
    const highest = own.get(resourceOf(name).title) ?? Number.POSITIVE_INFINITY;
    const wanted = hard === -1 ? Number.POSITIVE_INFINITY : hard;
    if (wanted <= highest) continue;
    throw new ToolError(
      'ENVIRONMENT_LIMITS',
      `the limit ${name} cannot be raised to ${hard === -1 ? 'unlimited' : hard}: this user may have ${highest} at most`,
      { hint: `ask for no more, raise it for this user in /etc/security/limits.conf, or build as root` },
    );
  }
}

/** By the text of /proc/PID/status. */
function hasCapability(status: string, number: bigint): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0';
  return ((BigInt(`0x${effective}`) >> number) & 1n) === 1n;
}

/** Hard limits of the text of /proc/PID/limits by title; unlimited is infinite. */
export function parseHardLimits(text: string): ReadonlyMap<string, number> {
  const lines = text
    .split('\n')
    .map((line) => /^(Max [a-z ]+?) {2,}(\S+) +(\S+)/.exec(line))
    .filter((match) => match !== null);
  return new Map(
    lines.map(([, title = '', , hard]) => [title, hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard)]),
  );
}

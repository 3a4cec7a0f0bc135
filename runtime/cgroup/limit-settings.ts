import type { SandboxLimits } from '../sandbox/spec.ts';

export type Controller = 'memory' | 'cpu' | 'pids';

/** What is written into a file of a cgroup. */
export interface Setting {
  readonly file: string;
  readonly text: string;
  /** Left out by kernels that do not account for it. */
  readonly optional?: boolean;
}

const cpuPeriodMicroseconds = 100_000;
/** sched_cfs_bandwidth: the kernel takes no less. */
const minCpuQuotaMicroseconds = 1000;

/** Controllers that it takes to enforce limits; none for those that need no cgroup. */
export function controllersFor(limits: SandboxLimits): readonly Controller[] {
  return [
    ...(limits.memoryBytes === undefined ? [] : ['memory' as const]),
    ...(limits.cpus === undefined ? [] : ['cpu' as const]),
    ...(limits.pids === undefined ? [] : ['pids' as const]),
  ];
}

/** Kernel documentation: admin-guide/cgroup-v1, cgroup-v2. */
export function settingsFor(version: 1 | 2, controller: Controller, limits: SandboxLimits): readonly Setting[] {
  switch (controller) {
    case 'memory': {
      const text = String(limits.memoryBytes);
      if (version === 2)
        return [
          { file: 'memory.max', text },
          { file: 'memory.swap.max', text: '0', optional: true },
        ];
      return [
        { file: 'memory.limit_in_bytes', text },
        { file: 'memory.memsw.limit_in_bytes', text, optional: true },
      ];
    }
    case 'cpu': {
      const quota = Math.max(minCpuQuotaMicroseconds, Math.round((limits.cpus ?? 0) * cpuPeriodMicroseconds));
      if (version === 2) return [{ file: 'cpu.max', text: `${quota} ${cpuPeriodMicroseconds}` }];
      return [
        { file: 'cpu.cfs_period_us', text: String(cpuPeriodMicroseconds) },
        { file: 'cpu.cfs_quota_us', text: String(quota) },
      ];
    }
    case 'pids':
      // The first process of a sandbox is not the command's.
      return [{ file: 'pids.max', text: String((limits.pids ?? 0) + 1) }];
  }
}

/** A limit that stood in the way. */
export type LimitHit =
  | { readonly limit: 'memory'; readonly bytes: number }
  | { readonly limit: 'pids'; readonly count: number };

/** Sizes as flags are given them. */
export function describeLimitHit(hit: LimitHit): string {
  if (hit.limit === 'pids') return `a process could not be started: the limit is ${hit.count} at once`;
  const mebibytes = hit.bytes / (1 << 20);
  const size = Number.isInteger(mebibytes) ? `${mebibytes} MiB` : `${hit.bytes} bytes`;
  return `killed: out of memory, limit ${size}`;
}

/** Where a controller counts how often its limit stood in the way: a file, and the name of the line in it. */
export function counterOf(version: 1 | 2, controller: Controller): { file: string; name: string } | undefined {
  switch (controller) {
    case 'memory':
      return { file: version === 2 ? 'memory.events' : 'memory.oom_control', name: 'oom_kill' };
    case 'pids':
      return { file: 'pids.events', name: 'max' };
    case 'cpu':
      return undefined;
  }
}

/** Lines are `name value`. */
export function readCounter(text: string, name: string): number {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1) ?? 0);
}

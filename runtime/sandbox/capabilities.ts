import type { SandboxNetwork } from './spec.ts';

/** Names of linux/capability.h without `CAP_`, in the order of their numbers. */
const names = [
  ...['CHOWN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP'],
  ...['LINUX_IMMUTABLE', 'NET_BIND_SERVICE', 'NET_BROADCAST', 'NET_ADMIN', 'NET_RAW', 'IPC_LOCK', 'IPC_OWNER'],
  ...['SYS_MODULE', 'SYS_RAWIO', 'SYS_CHROOT', 'SYS_PTRACE', 'SYS_PACCT', 'SYS_ADMIN', 'SYS_BOOT', 'SYS_NICE'],
  ...['SYS_RESOURCE', 'SYS_TIME', 'SYS_TTY_CONFIG', 'MKNOD', 'LEASE', 'AUDIT_WRITE', 'AUDIT_CONTROL', 'SETFCAP'],
  ...['MAC_OVERRIDE', 'MAC_ADMIN', 'SYSLOG', 'WAKE_ALARM', 'BLOCK_SUSPEND', 'AUDIT_READ', 'PERFMON', 'BPF'],
  ...['CHECKPOINT_RESTORE'],
] as const;

export type Capability = (typeof names)[number];

/** What Docker leaves to a container's root. */
export const defaultCapabilities: readonly Capability[] = [
  ...(['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP'] as const),
  ...(['NET_BIND_SERVICE', 'NET_RAW', 'SYS_CHROOT', 'MKNOD', 'AUDIT_WRITE', 'SETFCAP'] as const),
];

/**
 * On the host's network, raw sockets would read and forge the host's own traffic, so that capability is left out.
 */
export function capabilitiesFor(network: SandboxNetwork): readonly Capability[] {
  return network === 'host' ? defaultCapabilities.filter((name) => name !== 'NET_RAW') : defaultCapabilities;
}

/** The set as /proc/PID/status shows it: 16 hexadecimal digits. */
export function capabilityMask(capabilities: readonly Capability[]): string {
  const mask = capabilities.reduce((set, name) => set | (1n << BigInt(names.indexOf(name))), 0n);
  return mask.toString(16).padStart(16, '0');
}

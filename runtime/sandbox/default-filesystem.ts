/** OCI runtime-spec, config-linux.md#default-devices. They are the host's own nodes, bound. */
export const defaultDevices = ['null', 'zero', 'full', 'random', 'urandom', 'tty'] as const;

/** What shows the host: Docker's list. And cgroups, of which a sandbox without limits has none of its own. */
export const maskedPaths = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
  '/sys/fs/cgroup',
] as const;

/** Docker's list. */
export const readOnlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'] as const;

import { capabilitiesFor, capabilityMask } from './capabilities.ts';
import { defaultDevices, maskedPaths, readOnlyPaths } from './default-filesystem.ts';
import { mountOperations, overlayOptions } from './mount-operations.ts';
import type { Operation } from './operations.ts';
import { rlimitOperations } from './resource-limits.ts';
import type { SandboxMount, SandboxSpec } from './spec.ts';

/** What is known only where the sandbox is made. */
export interface SandboxPlace {
  /** The process the sandbox must not outlive. */
  readonly parentPid: number;
  /** Whether this is uid 0 of a user namespace, and not of the machine. */
  readonly userNamespace: boolean;
  /** Folders of mount points and nothing else, lowest first: they lie below all layers, and never in a diff. */
  readonly skeletons: readonly string[];
  /** Existing folder that the root file system is assembled on. */
  readonly root: string;
  /** Program for seccomp(2). */
  readonly seccomp: Uint8Array;
  /** Mounts that the sandbox adds to those of its spec, such as /etc/hosts. */
  readonly generatedMounts: readonly SandboxMount[];
  /** Command that connects the network `default`; empty with another. */
  readonly networkCommand: readonly string[];
  /** Files that take the processes of the cgroups made for the sandbox. */
  readonly cgroups: readonly string[];
  /** Existing empty folders, as many as `stagingFoldersFor` says, where mounts are put together before they are bound. */
  readonly staging: readonly string[];
  /** Folders of mount points for each overlay among the spec's mounts. */
  readonly overlaySkeletons: ReadonlyMap<SandboxMount, string>;
}

/** Docker's. */
const defaultShmBytes = 64 << 20;

/** Decides every step of making a sandbox. The order is the order of execution. */
export function planSandbox(spec: SandboxSpec, place: SandboxPlace): readonly Operation[] {
  return [
    ['parent', String(place.parentPid)],
    ...namespaces(spec, place),
    ...(spec.terminal ? [['terminal'] as const] : []),
    ...place.networkCommand.map((argument) => ['network-arg', argument] as const),
    ...place.cgroups.map((file) => ['cgroup', file] as const),
    ...(place.cgroups.length === 0 ? [] : [['cgroup-namespace'] as const]),
    ...overlay(spec, place),
    ...kernelFilesystems(spec, place),
    ...mountOperations(orderMounts([...place.generatedMounts, ...spec.mounts]), place),
    ...maskedPaths.map((path) => ['mask', path] as const),
    ...readOnlyPaths.map((path) => ['read-only', path] as const),
    ...(spec.readOnlyRoot || spec.writable === undefined ? [['read-only-root'] as const] : []),
    ['pivot'],
    ['hostname', spec.hostname],
    ...(spec.network === 'host' ? [] : [['loopback'] as const]),
    ...payload(spec, place),
  ];
}

function namespaces(spec: SandboxSpec, { cgroups }: SandboxPlace): Operation[] {
  const own = ['mount', 'pid', 'ipc', 'uts'] as const;
  // A cgroup beside this process's can be joined only from a namespace that shows it.
  return [
    ...own,
    ...(cgroups.length === 0 ? ['cgroup' as const] : []),
    ...(spec.network === 'host' ? [] : ['net' as const]),
  ].map((name) => ['namespace', name]);
}

function overlay(spec: SandboxSpec, place: SandboxPlace): Operation[] {
  const { writable } = spec;
  return [
    ...[...place.skeletons, ...spec.layers].map((folder) => ['layer', folder] as const),
    ...(writable === undefined ? [] : [['upper', writable.upper, writable.work] as const]),
    ...overlayOptions(place),
    ...(spec.volatile && writable !== undefined ? [['overlay-option', 'volatile', '', 'optional'] as const] : []),
    ['root', place.root],
  ];
}

/** OCI runtime-spec, config-linux.md#default-filesystems and #default-devices. */
function kernelFilesystems(spec: SandboxSpec, place: SandboxPlace): Operation[] {
  // The network of sysfs is the mounter's, and a user namespace may mount it only with a network of its own.
  const sysfs = spec.network === 'host' && place.userNamespace ? 'host' : 'own';
  return [
    ['mount', 'proc', '/proc', 'nosuid,nodev,noexec', ''],
    ['sysfs', sysfs],
    // nodev: without a device cgroup, a node that the payload makes would reach the host's devices.
    ['mount', 'tmpfs', '/dev', 'nosuid,nodev', 'mode=755,size=65536k'],
    ...defaultDevices.map((name) => ['bind', `/dev/${name}`, `/dev/${name}`, 'ro,nosuid,noexec'] as const),
    ['symlink', '/proc/self/fd', '/dev/fd'],
    ['symlink', '/proc/self/fd/0', '/dev/stdin'],
    ['symlink', '/proc/self/fd/1', '/dev/stdout'],
    ['symlink', '/proc/self/fd/2', '/dev/stderr'],
    ['symlink', '/proc/kcore', '/dev/core'],
    ['symlink', 'pts/ptmx', '/dev/ptmx'],
    ['mount', 'devpts', '/dev/pts', 'nosuid,noexec', 'ptmxmode=0666,mode=0620,?gid=5'],
    ['mount', 'tmpfs', '/dev/shm', 'nosuid,nodev,noexec', `mode=1777,size=${spec.limits?.shmBytes ?? defaultShmBytes}`],
    ['mount', 'mqueue', '/dev/mqueue', 'nosuid,nodev,noexec,optional', ''],
  ];
}

/** Outer mounts come before those inside them; otherwise the given order stays. */
function orderMounts(mounts: readonly SandboxMount[]): readonly SandboxMount[] {
  const depth = (mount: SandboxMount): number => mount.destination.split('/').filter((part) => part !== '').length;
  return mounts.toSorted((a, b) => depth(a) - depth(b));
}

function payload(spec: SandboxSpec, place: SandboxPlace): Operation[] {
  return [
    ...rlimitOperations(spec.limits),
    ['capabilities', capabilityMask(capabilitiesFor(spec.network))],
    ['seccomp', Buffer.from(place.seccomp).toString('hex')],
    ['user', String(spec.user.uid), String(spec.user.gid)],
    ...spec.user.additionalGids.map((gid) => ['group', String(gid)] as const),
    ['cwd', spec.cwd],
    ...Object.entries(spec.env).map(([name, value]) => ['env', `${name}=${value}`] as const),
    ...spec.argv.map((argument) => ['arg', argument] as const),
  ];
}

import { unreachable } from '../../core/index.ts';
import { capabilitiesFor, capabilityMask } from './capabilities.ts';
import { defaultDevices, maskedPaths, readOnlyPaths } from './default-filesystem.ts';
import type { Operation } from './operations.ts';
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
}

/** RLIMIT_NOFILE, and the soft limit that programs are made for: Node raises its own, and children inherit it. */
const openFiles = { resource: '7', soft: '1024' } as const;

/** Decides every step of making a sandbox. The order is the order of execution. */
export function planSandbox(spec: SandboxSpec, place: SandboxPlace): readonly Operation[] {
  return [
    ['parent', String(place.parentPid)],
    ...namespaces(spec),
    ...(spec.terminal ? [['terminal'] as const] : []),
    ...overlay(spec, place),
    ...kernelFilesystems(spec, place),
    ...orderMounts([...place.generatedMounts, ...spec.mounts]).map(mountOperation),
    ...maskedPaths.map((path) => ['mask', path] as const),
    ...readOnlyPaths.map((path) => ['read-only', path] as const),
    ...(spec.readOnlyRoot || spec.writable === undefined ? [['read-only-root'] as const] : []),
    ['pivot'],
    ['hostname', spec.hostname],
    ...(spec.network === 'none' ? [['loopback'] as const] : []),
    ...payload(spec, place),
  ];
}

function namespaces(spec: SandboxSpec): Operation[] {
  const own = ['mount', 'pid', 'ipc', 'uts', 'cgroup'] as const;
  return [...own, ...(spec.network === 'none' ? ['net' as const] : [])].map((name) => ['namespace', name]);
}

function overlay(spec: SandboxSpec, place: SandboxPlace): Operation[] {
  const { writable } = spec;
  return [
    ...[...place.skeletons, ...spec.layers].map((folder) => ['layer', folder] as const),
    ...(writable === undefined ? [] : [['upper', writable.upper, writable.work] as const]),
    // Without these a layer would hold references to the layers below it, which its tar could not express.
    ['overlay-option', 'redirect_dir', 'nofollow', 'optional'],
    ['overlay-option', 'metacopy', 'off', 'optional'],
    ['overlay-option', 'index', 'off', 'optional'],
    ['overlay-option', 'xino', 'off', 'optional'],
    // A user namespace cannot write trusted.* attributes.
    ...(place.userNamespace ? [['overlay-option', 'userxattr', '', 'required'] as const] : []),
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
    ['mount', 'tmpfs', '/dev/shm', 'nosuid,nodev,noexec', 'mode=1777,size=65536k'],
    ['mount', 'mqueue', '/dev/mqueue', 'nosuid,nodev,noexec,optional', ''],
  ];
}

/** Outer mounts come before those inside them; otherwise the given order stays. */
function orderMounts(mounts: readonly SandboxMount[]): readonly SandboxMount[] {
  const depth = (mount: SandboxMount): number => mount.destination.split('/').filter((part) => part !== '').length;
  return mounts.toSorted((a, b) => depth(a) - depth(b));
}

function mountOperation(mount: SandboxMount): Operation {
  switch (mount.kind) {
    case 'bind':
      return ['bind', mount.source, mount.destination, mount.readOnly ? 'ro,nodev' : 'nodev'];
    case 'tmpfs': {
      const size = mount.sizeBytes === undefined ? '' : `,size=${mount.sizeBytes}`;
      return ['mount', 'tmpfs', mount.destination, 'nosuid,nodev', `mode=1777${size}`];
    }
    default:
      throw unreachable(mount);
  }
}

function payload(spec: SandboxSpec, place: SandboxPlace): Operation[] {
  return [
    ['rlimit', openFiles.resource, openFiles.soft, 'keep'],
    ['capabilities', capabilityMask(capabilitiesFor(spec.network))],
    ['seccomp', Buffer.from(place.seccomp).toString('hex')],
    ['user', String(spec.user.uid), String(spec.user.gid)],
    ...spec.user.additionalGids.map((gid) => ['group', String(gid)] as const),
    ['cwd', spec.cwd],
    ...Object.entries(spec.env).map(([name, value]) => ['env', `${name}=${value}`] as const),
    ...spec.argv.map((argument) => ['arg', argument] as const),
  ];
}

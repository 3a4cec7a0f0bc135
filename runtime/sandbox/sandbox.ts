import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { CallOptions } from '../../core/index.ts';
import { controllersFor, type LimitHit } from '../cgroup/limit-settings.ts';
import { SandboxCgroup, thisCgroupSystem } from '../cgroup/sandbox-cgroup.ts';
import type { Launcher } from '../launcher.ts';
import { connectSandbox } from '../network/connect-sandbox.ts';
import { isInUserNamespace } from '../privilege.ts';
import { defaultCapabilities } from './capabilities.ts';
import { etcMounts } from './etc-files.ts';
import { type LaunchExit, launch, type SandboxIo } from './launch.ts';
import { stagingFoldersFor } from './mount-operations.ts';
import { encodeOperations } from './operations.ts';
import { planSandbox } from './plan.ts';
import { checkHardLimits } from './resource-limits.ts';
import { compileSeccomp, seccompArchitecture } from './seccomp-compile.ts';
import { defaultSeccompProfile } from './seccomp-profile.ts';
import { defaultMountPoints, type MountPoint, makeSkeleton } from './skeleton.ts';
import type { SandboxLimits, SandboxMount, SandboxSpec } from './spec.ts';

export type { LimitHit } from '../cgroup/limit-settings.ts';
export type { SandboxIo } from './launch.ts';
export type { SandboxLimits, SandboxMount, SandboxNetwork, SandboxSpec } from './spec.ts';

export interface SandboxExit extends LaunchExit {
  /** Limits that stood in the way: a process was killed for want of memory, or could not be started. */
  readonly limitHits: readonly LimitHit[];
}

export interface SandboxOptions extends CallOptions {
  /** Existing folder of this process, for what the sandbox needs besides its layers. */
  readonly scratch: string;
  /** Hands SIGINT, SIGTERM, SIGHUP, SIGQUIT and SIGWINCH on to the payload while it runs. */
  readonly forwardSignals?: boolean;
}

/**
 * Runs a command in a sandbox of its own and waits until nothing of it is left. As root or as uid 0 of a user
 * namespace.
 * @throws ToolError SANDBOX_SETUP_FAILED, SANDBOX_SPEC_INVALID, SANDBOX_COMMAND_NOT_FOUND,
 * SANDBOX_COMMAND_NOT_EXECUTABLE, ENVIRONMENT_UNSUPPORTED, ENVIRONMENT_LIMITS; the signal's reason when aborted, by when all inside is dead
 */
export async function runSandbox(
  launcher: Launcher,
  asked: SandboxSpec,
  io: SandboxIo,
  options: SandboxOptions,
): Promise<SandboxExit> {
  options.signal?.throwIfAborted();
  const userNamespace = await isInUserNamespace();
  await checkHardLimits(asked.limits, !userNamespace);
  const { spec, command: networkCommand, resolvConf } = await connectSandbox(launcher.outside, asked, !userNamespace);
  await using cgroup = await makeCgroup(asked.limits, options);
  const folder = await mkdtemp(path.join(options.scratch, 'sandbox-'));
  try {
    const generatedMounts = await etcMounts(spec, resolvConf, folder);
    const root = path.join(folder, 'root');
    await mkdir(root);
    const operations = planSandbox(spec, {
      parentPid: process.pid,
      userNamespace,
      skeletons: await makeSkeletons(spec, generatedMounts, options),
      root,
      seccomp: defaultSeccomp(),
      generatedMounts,
      networkCommand,
      cgroups: cgroup?.processFiles ?? [],
      staging: await stagingFolders(spec, folder),
      overlaySkeletons: await overlaySkeletons(spec, options),
    });
    const exit = await launch(launcher, encodeOperations(operations), io, options);
    return { ...exit, limitHits: (await cgroup?.hits()) ?? [] };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function makeCgroup(limits: SandboxLimits | undefined, options: CallOptions): Promise<SandboxCgroup | undefined> {
  if (limits === undefined || controllersFor(limits).length === 0) return undefined;
  return SandboxCgroup.make(limits, await thisCgroupSystem(), options);
}

/** A read-only overlay takes two folders at least. */
async function makeSkeletons(
  spec: SandboxSpec,
  generated: readonly SandboxMount[],
  options: SandboxOptions,
): Promise<readonly string[]> {
  const mountPoints = await Promise.all([...generated, ...spec.mounts].map(mountPointOf));
  const skeleton = await makeSkeleton(options.scratch, [...defaultMountPoints, ...mountPoints], options);
  const isAlone = spec.layers.length === 0 && spec.writable === undefined;
  return isAlone ? [await makeSkeleton(options.scratch, [], options), skeleton] : [skeleton];
}

async function stagingFolders(spec: SandboxSpec, folder: string): Promise<readonly string[]> {
  const folders = Array.from({ length: stagingFoldersFor(spec.mounts) }, (_, index) => path.join(folder, `m${index}`));
  for (const made of folders) await mkdir(made);
  return folders;
}

/** A mount inside of a read-only one needs its mount point there. */
async function overlaySkeletons(
  spec: SandboxSpec,
  options: SandboxOptions,
): Promise<ReadonlyMap<SandboxMount, string>> {
  const skeletons = new Map<SandboxMount, string>();
  for (const mount of spec.mounts) {
    if (mount.kind !== 'overlay') continue;
    const inner = spec.mounts.filter(({ destination }) => destination.startsWith(`${mount.destination}/`));
    const mountPoints = (await Promise.all(inner.map(mountPointOf))).map(({ destination, isFolder }) => ({
      destination: `/${mount.source}${destination.slice(mount.destination.length)}`,
      isFolder,
    }));
    skeletons.set(mount, await makeSkeleton(options.scratch, mountPoints, options));
  }
  return skeletons;
}

/** A source that is not there is reported by the launcher. */
async function mountPointOf(mount: SandboxMount): Promise<MountPoint> {
  const { destination } = mount;
  if (mount.kind === 'tmpfs') return { destination, isFolder: true };
  if (mount.kind === 'file') return { destination, isFolder: false };
  if (mount.kind === 'overlay') return { destination, isFolder: mount.isFolder };
  const isFolder = await stat(mount.source).then(
    (status) => status.isDirectory(),
    () => true,
  );
  return { destination, isFolder };
}

let compiled: Buffer | undefined;

function defaultSeccomp(): Buffer {
  compiled ??= compileSeccomp(defaultSeccompProfile, defaultCapabilities, seccompArchitecture(process.arch));
  return compiled;
}

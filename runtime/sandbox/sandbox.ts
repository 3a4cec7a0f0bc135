import { mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { CallOptions } from '../../core/index.ts';
import type { Launcher } from '../launcher.ts';
import { isInUserNamespace } from '../privilege.ts';
import { defaultCapabilities } from './capabilities.ts';
import { etcMounts } from './etc-files.ts';
import { launch, type SandboxExit, type SandboxIo } from './launch.ts';
import { encodeOperations } from './operations.ts';
import { planSandbox } from './plan.ts';
import { compileSeccomp, seccompArchitecture } from './seccomp-compile.ts';
import { defaultSeccompProfile } from './seccomp-profile.ts';
import { defaultMountPoints, type MountPoint, makeSkeleton } from './skeleton.ts';
import type { SandboxMount, SandboxSpec } from './spec.ts';

export type { SandboxExit, SandboxIo } from './launch.ts';
export type { SandboxMount, SandboxSpec } from './spec.ts';

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
 * SANDBOX_COMMAND_NOT_EXECUTABLE, ENVIRONMENT_UNSUPPORTED; the signal's reason when aborted, by when all inside is dead
 */
export async function runSandbox(
  launcher: Launcher,
  spec: SandboxSpec,
  io: SandboxIo,
  options: SandboxOptions,
): Promise<SandboxExit> {
  options.signal?.throwIfAborted();
  const folder = await mkdtemp(path.join(options.scratch, 'sandbox-'));
  try {
    const generatedMounts = await etcMounts(spec, folder);
    const root = path.join(folder, 'root');
    await mkdir(root);
    const operations = planSandbox(spec, {
      parentPid: process.pid,
      userNamespace: await isInUserNamespace(),
      skeletons: await makeSkeletons(spec, generatedMounts, options),
      root,
      seccomp: defaultSeccomp(),
      generatedMounts,
    });
    return await launch(launcher, encodeOperations(operations), io, options);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
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

/** A source that is not there is reported by the launcher. */
async function mountPointOf(mount: SandboxMount): Promise<MountPoint> {
  const { destination } = mount;
  if (mount.kind === 'tmpfs') return { destination, isFolder: true };
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

import type { CallOptions } from '../../core/index.ts';
import type { StepNetwork } from '../plan/plan.ts';
import type { Workshop } from '../workshop/workshop.ts';
import type { BuildOptions } from './build-context.ts';
import type { ShellOptions } from './failed-step.ts';
import { shellOf } from './invocation.ts';
import { openShell } from './shell.ts';
import { type StageState, stageEnv } from './stage-state.ts';
import { stepHostname, stepResources } from './step-resources.ts';
import { userIn } from './user-lookup.ts';

export interface StageShellOptions extends ShellOptions, CallOptions, Pick<BuildOptions, 'limits' | 'proxies'> {
  readonly network: StepNetwork;
}

/**
 * Opens a shell, on this process's terminal, in a container on what a stage has come to, as its next `run` step would
 * find it. What is changed there is thrown away. Resolves to the shell's exit code.
 * @throws ToolError SANDBOX_COMMAND_NOT_FOUND when there is no shell
 */
export async function openStageShell(
  workshop: Workshop,
  state: StageState,
  options: StageShellOptions,
): Promise<number> {
  const parent = await workshop.snapshotOf(state.layers, options);
  const user = await userIn({ workshop }, parent, state.config.User ?? '0', options);
  const snapshots = await workshop.snapshots();
  await using active = await snapshots.prepare(parent);
  await using scratch = await (await workshop.scratch()).make('shell');
  const spec = {
    layers: parent.layers.map((layer) => layer.directory),
    writable: { upper: active.upper, work: active.work },
    argv: [],
    env: { HOME: user.home, ...options.proxies, ...stageEnv(state) },
    cwd: state.config.WorkingDir ?? '/',
    user,
    hostname: stepHostname,
    ...stepResources(options, options.network),
    mounts: [],
    terminal: true,
    volatile: true,
  };
  return await openShell(workshop.options.launcher, spec, shellOf(state), { ...options, scratch: scratch.path });
}

import { ToolError } from '../../core/index.ts';
import {
  type ActiveSnapshot,
  describeLimitHit,
  RootView,
  runSandbox,
  type SandboxExit,
  type SandboxSpec,
} from '../../runtime/index.ts';
import type { FoundBind } from '../mounts/bind-mounts.ts';
import { removeMountTraces } from '../mounts/mount-traces.ts';
import { OutputMask } from '../mounts/output-mask.ts';
import { prepareMounts } from '../mounts/prepare-mounts.ts';
import type { RunStep, TestStep } from '../plan/plan.ts';
import type { BuildContext, StepScope } from './build-context.ts';
import { StepFailedError } from './errors.ts';
import type { ShellOptions } from './failed-step.ts';
import { commandText, deliverable, type Invocation, shellOf } from './invocation.ts';
import { OutputTail } from './output-tail.ts';
import { assertRunnable } from './runnable.ts';
import { openShell } from './shell.ts';
import type { StageState } from './stage-state.ts';
import { stepHostname, stepResources } from './step-resources.ts';
import { userIn } from './user-lookup.ts';

/** As if the limit had ended the command itself. */
const killedExitCode = 137;

/** A command of a step and what it sees. */
export interface StepCommand {
  readonly step: RunStep | TestStep;
  readonly invocation: Invocation;
  readonly binds: readonly FoundBind[];
}

/**
 * Runs a step's command in a transient container on the stage so far. When it has succeeded, `take` gets what it
 * changed, which is thrown away unless it commits it.
 * @throws StepFailedError STEP_FAILED; ToolError as prepareMounts and runSandbox
 */
export async function runCommand<T>(
  context: BuildContext,
  state: StageState,
  { step, invocation, binds }: StepCommand,
  take: (active: ActiveSnapshot) => Promise<T>,
  scope: StepScope,
): Promise<T> {
  const { workshop, options } = context;
  const { launcher } = workshop.options;
  await assertRunnable(context.platform);
  const parent = await workshop.snapshotOf(state.layers, scope);
  const user = await userIn(context, parent, invocation.user, scope);
  const view = new RootView(launcher, parent);
  const snapshots = await workshop.snapshots();
  await using active = await snapshots.prepare(parent);
  await using scratch = await (await workshop.scratch()).make('run');
  const { destinations } = await runMounted();
  await removeMountTraces(active.upper, view, destinations);
  return await take(active);

  /** Mounts are given back before what the command changed is looked at. */
  async function runMounted() {
    const { cwd } = invocation;
    const request = { mounts: step.mounts, binds, cwd, user, view, scratch: scratch.path };
    await using mounted = await prepareMounts(context, request, scope);
    const { argv, mounts } = deliverable(step.command, invocation.argv);
    const spec: SandboxSpec = {
      layers: parent.layers.map((layer) => layer.directory),
      writable: { upper: active.upper, work: active.work },
      argv,
      env: { HOME: user.home, ...options.proxies, ...invocation.env, ...mounted.env },
      cwd,
      user,
      hostname: stepHostname,
      ...stepResources(options, invocation.network),
      mounts: [...mounted.mounts, ...mounts],
      terminal: false,
      volatile: true,
    };
    const output = new StepOutput(context, scope, mounted.secrets);
    const exit = await exitOf(
      () =>
        runSandbox(
          launcher,
          spec,
          { stdio: 'output', onOutput: output.take },
          { signal: scope.signal, scratch: scratch.path },
        ),
      output,
    );
    output.end();
    // A limit is often why a step failed, and nothing it printed says so.
    for (const hit of exit.limitHits) output.note(describeLimitHit(hit));
    // Limits are in no key: what came out short because of one must not be taken for the step's result.
    const exitCode = exit.exitCode === 0 && exit.limitHits.length > 0 ? killedExitCode : exit.exitCode;
    if (exitCode !== 0) await fail(exitCode, output, spec);
    return { destinations: [...mounted.destinations, ...mounts.map(({ destination }) => destination)] };
  }

  async function fail(exitCode: number, output: StepOutput, spec: SandboxSpec): Promise<never> {
    const error = new StepFailedError({
      title: scope.vertex.title,
      position: step.position,
      command: commandText(step.command),
      exitCode,
      output: output.tail.bytes(),
    });
    await options.onStepFailed?.({
      error,
      openShell: (shell: ShellOptions) =>
        openShell(launcher, spec, shellOf(state, step), { ...shell, scratch: scratch.path }),
    });
    throw error;
  }
}

/** Shows what a command prints, without its secrets, and keeps the end of it. */
class StepOutput {
  readonly tail = new OutputTail();
  readonly #show: (stream: 'stdout' | 'stderr', bytes: Buffer) => void;
  readonly #masks: Readonly<Record<'stdout' | 'stderr', OutputMask>>;

  constructor({ options }: BuildContext, { vertex }: StepScope, secrets: readonly Buffer[]) {
    this.#masks = { stdout: new OutputMask(secrets), stderr: new OutputMask(secrets) };
    this.#show = (stream, bytes) => {
      if (bytes.length === 0) return;
      this.tail.add(bytes);
      options.onEvent({ type: 'output', vertex, stream, bytes });
    };
  }

  readonly take = (stream: 'stdout' | 'stderr', bytes: Buffer): void =>
    this.#show(stream, this.#masks[stream].push(bytes));

  /** What Kiln itself has to say, after all that the command printed. */
  note(text: string): void {
    this.#show('stderr', Buffer.from(`${text}\n`));
  }

  end(): void {
    for (const stream of ['stdout', 'stderr'] as const) this.#show(stream, this.#masks[stream].end());
  }
}

/** A command that is not there fails like one that ran: with a shell's exit code for it. */
async function exitOf(run: () => Promise<SandboxExit>, { tail }: StepOutput): Promise<SandboxExit> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    const codes: Readonly<Record<string, number>> = {
      SANDBOX_COMMAND_NOT_FOUND: 127,
      SANDBOX_COMMAND_NOT_EXECUTABLE: 126,
    };
    const exitCode = codes[error.code];
    if (exitCode === undefined) throw error;
    tail.add(Buffer.from(`${error.message}\n`));
    return { exitCode, limitHits: [] };
  }
}

import { type CallOptions, ToolError } from '../../core/index.ts';
import {
  changesOf,
  findUser,
  maxAccountFileBytes,
  RootView,
  runSandbox,
  type SandboxSpec,
  type Snapshot,
  type UserIds,
} from '../../runtime/index.ts';
import type { Command, RunStep, StepNetwork } from '../plan/plan.ts';
import { madeTimes, type WrittenLayer, writeLayer } from '../workshop/layers.ts';
import type { Preimage } from '../workshop/step-cache.ts';
import type { BuildContext, StepScope } from './build-context.ts';
import { cachedLayer, commonPreimage, type LayerOutcome } from './cached-layer.ts';
import { StepFailedError } from './errors.ts';
import { defaultShell, joinWorkdir, type StageState, stageEnv } from './stage-state.ts';

/** How much of a failed step's output is kept to be shown. */
const keptOutputBytes = 16 * 1024;
/** The same in every build, since programs write it into files. */
const hostname = 'kiln';

/** A command with everything it runs with. */
interface Invocation {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly user: string;
  readonly network: StepNetwork;
}

/** Runs a command in a transient container on the stage so far; what it changed is the layer. */
export async function runStep(
  context: BuildContext,
  state: StageState,
  step: RunStep,
  scope: StepScope,
): Promise<LayerOutcome> {
  const invocation = invocationOf(context, state, step);
  return cachedLayer(
    context,
    state,
    preimageOf(context, state, invocation),
    () => execute(context, state, step, invocation, scope),
    scope,
  );
}

/** What the history and the progress call a command. */
export function commandText(command: Command): string {
  return command.kind === 'script' ? command.script : JSON.stringify(command.argv);
}

function invocationOf(context: BuildContext, state: StageState, step: RunStep): Invocation {
  const { command } = step;
  const shell = step.shell ?? state.shell ?? defaultShell;
  return {
    argv: command.kind === 'script' ? [...shell, command.script] : command.argv,
    env: { ...step.args, ...stageEnv(state), ...step.env },
    cwd: step.workdir === undefined ? (state.config.WorkingDir ?? '/') : joinWorkdir(state.config, step.workdir),
    user: step.user ?? state.config.User ?? '0',
    network: step.network ?? context.options.network,
  };
}

function preimageOf(context: BuildContext, state: StageState, invocation: Invocation): Preimage {
  const env = Object.entries(invocation.env).map(([name, value]) => `${name}=${value}`);
  return [
    ...commonPreimage(context, state),
    ['verb', 'run'],
    ['argv', invocation.argv],
    ['env', env.sort()],
    ['workdir', invocation.cwd],
    ['user', invocation.user],
    ['network', invocation.network],
  ];
}

async function execute(
  context: BuildContext,
  state: StageState,
  step: RunStep,
  invocation: Invocation,
  scope: StepScope,
): Promise<WrittenLayer | undefined> {
  const { workshop, plan } = context;
  const { launcher, clock, userXattrs } = workshop.options;
  const parent = await workshop.snapshotOf(state.layers, scope);
  const user = await userIn(context, parent, invocation.user, scope);
  const snapshots = await workshop.snapshots();
  await using active = await snapshots.prepare(parent);
  await using scratch = await (await workshop.scratch()).make('run');

  const spec: SandboxSpec = {
    layers: parent.layers.map((layer) => layer.directory),
    writable: { upper: active.upper, work: active.work },
    argv: invocation.argv,
    env: { HOME: user.home, ...context.options.proxies, ...invocation.env },
    cwd: invocation.cwd,
    user,
    hostname,
    network: invocation.network === 'default' ? 'host' : invocation.network,
    mounts: [],
    terminal: false,
    volatile: true,
  };
  const startedMs = clock.now();
  const tail = new OutputTail();
  const onOutput = (stream: 'stdout' | 'stderr', bytes: Buffer) => {
    tail.add(bytes);
    context.options.onEvent({ type: 'output', vertex: scope.vertex, stream, bytes });
  };
  const exit = await exitOf(
    () => runSandbox(launcher, spec, { stdio: 'output', onOutput }, { signal: scope.signal, scratch: scratch.path }),
    tail,
  );
  if (exit !== 0) {
    throw new StepFailedError({
      title: scope.vertex.title,
      position: step.position,
      command: commandText(step.command),
      exitCode: exit,
      output: tail.bytes(),
    });
  }

  const clamp = madeTimes(startedMs, plan.sourceDateEpoch);
  const changes = changesOf(launcher, active.upper, {
    signal: scope.signal,
    clamp,
    marks: userXattrs ? 'user' : 'trusted',
  });
  const written = await writeLayer(workshop, changes, scope);
  if (written !== undefined) await active.commit(written.layer.diffId, written.opaques);
  return written;
}

/** A command that is not there fails like one that ran: with a shell's exit code for it. */
async function exitOf(run: () => Promise<{ readonly exitCode: number }>, tail: OutputTail): Promise<number> {
  try {
    return (await run()).exitCode;
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    const codes: Readonly<Record<string, number>> = {
      SANDBOX_COMMAND_NOT_FOUND: 127,
      SANDBOX_COMMAND_NOT_EXECUTABLE: 126,
    };
    const exitCode = codes[error.code];
    if (exitCode === undefined) throw error;
    tail.add(Buffer.from(`${error.message}\n`));
    return exitCode;
  }
}

/** Looks a user up in the image's own account files. */
export async function userIn(
  context: BuildContext,
  snapshot: Snapshot,
  user: string,
  options: CallOptions = {},
): Promise<UserIds> {
  options.signal?.throwIfAborted();
  const view = new RootView(context.workshop.options.launcher, snapshot);
  const passwd = await view.readFile('etc/passwd', maxAccountFileBytes);
  const group = await view.readFile('etc/group', maxAccountFileBytes);
  return findUser(user, { passwd, group });
}

class OutputTail {
  #chunks: Buffer[] = [];
  #size = 0;

  add(bytes: Buffer): void {
    this.#chunks.push(bytes);
    this.#size += bytes.length;
    while (this.#size - (this.#chunks[0]?.length ?? 0) > keptOutputBytes)
      this.#size -= this.#chunks.shift()?.length ?? 0;
  }

  bytes(): Buffer {
    const all = Buffer.concat(this.#chunks);
    return all.subarray(Math.max(0, all.length - keptOutputBytes));
  }
}

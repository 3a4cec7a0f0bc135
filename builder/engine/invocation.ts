import path from 'node:path';
import { ToolError } from '../../core/index.ts';
import type { SandboxMount } from '../../runtime/index.ts';
import { type KeyedBind, mountsInKey } from '../mounts/mounts-in-key.ts';
import type { Command, RunStep, StepNetwork, TestStep } from '../plan/plan.ts';
import type { Preimage } from '../workshop/step-cache.ts';
import type { BuildContext } from './build-context.ts';
import { commonPreimage } from './cached-layer.ts';
import { defaultShell, joinWorkdir, type StageState, stageEnv } from './stage-state.ts';

/** A command with everything it runs with. */
export interface Invocation {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly user: string;
  readonly network: StepNetwork;
}

/** What the history and the progress call a command. */
export function commandText(command: Command): string {
  return command.kind === 'script' ? command.script : JSON.stringify(command.argv);
}

export function invocationOf(context: BuildContext, state: StageState, step: RunStep | TestStep): Invocation {
  const { command } = step;
  return {
    argv: command.kind === 'script' ? [...shellOf(state, step), command.script] : command.argv,
    env: { ...step.args, ...stageEnv(state), ...step.env },
    cwd: step.workdir === undefined ? (state.config.WorkingDir ?? '/') : joinWorkdir(state.config, step.workdir),
    user: step.user ?? state.config.User ?? '0',
    network: step.network ?? context.options.network,
  };
}

/** What interprets the step's scripts. */
export function shellOf(state: Pick<StageState, 'shell'>, step?: Pick<RunStep, 'shell'>): readonly string[] {
  return step?.shell ?? state.shell ?? defaultShell;
}

/** All that a command's result depends on. */
export function commandPreimage(
  context: BuildContext,
  state: StageState,
  step: RunStep | TestStep,
  invocation: Invocation,
  binds: readonly KeyedBind[],
): Preimage {
  const env = Object.entries(invocation.env).map(([name, value]) => `${name}=${value}`);
  return [
    ...commonPreimage(context, state),
    ['verb', step.verb],
    ['argv', invocation.argv],
    ['env', env.sort()],
    ['workdir', invocation.cwd],
    ['user', invocation.user],
    ['network', invocation.network],
    ...mountsInKey(step.mounts, invocation.cwd, binds),
  ];
}

/** exec takes 128 KiB for one argument, its NUL included. linux/binfmts.h, MAX_ARG_STRLEN */
const longestArgumentBytes = 128 * 1024 - 1;
const scriptFile = '/run/kiln/step';
const posixShells: ReadonlySet<string> = new Set(['sh', 'bash', 'dash', 'ash', 'ksh', 'mksh', 'zsh', 'busybox']);

/**
 * The command line as it can be executed: a script that is too long for one is in a file then, which a POSIX shell
 * reads as if it were its own text, and another interpreter is given in place of `-c` and the text.
 * @throws ToolError STEP_ARGUMENT_TOO_LONG
 */
export function deliverable(
  command: Command,
  argv: readonly string[],
): { readonly argv: readonly string[]; readonly mounts: readonly SandboxMount[] } {
  const tooLong = argv.findIndex((argument) => Buffer.byteLength(argument) > longestArgumentBytes);
  if (tooLong === -1) return { argv, mounts: [] };
  const interpreter = argv.slice(0, -1);
  const text = argv.at(-1) ?? '';
  const isShell = posixShells.has(path.posix.basename(interpreter[0] ?? ''));
  if (command.kind !== 'script' || tooLong !== argv.length - 1 || (!isShell && interpreter.at(-1) !== '-c')) {
    throw new ToolError('STEP_ARGUMENT_TOO_LONG', 'an argument of the command is longer than 128 KiB', {
      hint: 'Linux takes no longer one; put it into a file and copy or bind that',
    });
  }
  return {
    argv: isShell ? [...interpreter, `. ${scriptFile}`] : [...interpreter.slice(0, -1), scriptFile],
    mounts: [{ kind: 'file', destination: scriptFile, content: Buffer.from(text), mode: 0o444, uid: 0, gid: 0 }],
  };
}

import {
  type BuildOptions,
  type BuildResult,
  type OnStepFailed,
  openStageShell,
  type ShellOptions,
  type Workshop,
} from '../builder/index.ts';
import { ToolError } from '../core/index.ts';
import type { BuildFlags } from './commands/build.ts';
import type { Context } from './context.ts';
import { reportError } from './error-report.ts';
import type { Progress } from './progress/progress.ts';
import { warn } from './warn.ts';

/**
 * Told before the build: a shell needs a terminal.
 * @throws ToolError USAGE_TERMINAL, USAGE_UNTIL
 */
export function checkShellFlags({ terminal }: Context, flags: BuildFlags): void {
  if (flags.interactive && flags.until === undefined) {
    throw new ToolError('USAGE_UNTIL', '-it needs --until: the step after which the shell is opened', {
      hint: 'write --until STEP -it, or --shell-on-failure',
    });
  }
  const flag = flags['shell-on-failure'] ? '--shell-on-failure' : flags.interactive ? '-it' : undefined;
  if (flag === undefined || (terminal.input.isTTY === true && terminal.out.isTerminal)) return;
  throw new ToolError('USAGE_TERMINAL', `${flag} opens a shell, and there is no terminal for it`, {
    hint: 'run it in a terminal, with stdin and stdout left alone',
  });
}

/** For `--shell-on-failure`: leaves the terminal to a shell in the failed step's container. */
export function shellOnFailure(context: Context, progress: Progress): OnStepFailed {
  return async ({ error, openShell }) => {
    progress.close();
    const { err } = context.terminal;
    err.write(await reportError(error, { debug: false }));
    err.write('kiln: here is a shell in its container; the build fails when it ends\n');
    try {
      using _passing = context.passSignalsOn();
      await openShell(shellOptions(context));
    } catch (problem) {
      // The build fails by the step's own error.
      context.signal.throwIfAborted();
      if (!(problem instanceof ToolError)) throw problem;
      warn(context, `there is no shell to be had: ${problem.message}`);
    }
  };
}

/** For `--until STEP -it`: a shell on what the build came to. */
export async function shellAfterBuild(
  context: Context,
  options: Pick<BuildOptions, 'limits' | 'network' | 'proxies'>,
  { targets }: BuildResult,
  workshop: Workshop,
): Promise<void> {
  const [image, other] = targets[0]?.images ?? [];
  if (image === undefined || other !== undefined) {
    throw new ToolError('USAGE_UNTIL', '-it opens one shell, and this builds for several platforms', {
      hint: 'name one --platform',
    });
  }
  using _passing = context.passSignalsOn();
  await openStageShell(workshop, image.end, { ...options, ...shellOptions(context) });
}

function shellOptions({ env, signal }: Context): ShellOptions {
  return { env: { TERM: env.TERM ?? 'xterm' }, signal };
}

import type { OnBuildEvent } from '../../builder/index.ts';
import { ToolError } from '../../core/index.ts';
import type { Context } from '../context.ts';

/** Shows what a build tells. Nothing may be written to the terminal by others until it is closed. */
export interface Progress {
  readonly onEvent: OnBuildEvent;
  /** Leaves the final state on the screen. */
  close(): void;
}

export const progressModes = ['auto', 'plain', 'tty', 'quiet'] as const;
export type ProgressMode = (typeof progressModes)[number];

/**
 * The mode by flag, else KILN_PROGRESS, else BUILDKIT_PROGRESS, else by what stderr is.
 * @throws ToolError USAGE_FLAG_VALUE when tty was asked for and there is none
 */
export function progressMode(
  flag: string | undefined,
  { env, terminal }: Pick<Context, 'env' | 'terminal'>,
): Exclude<ProgressMode, 'auto'> {
  const asked = [flag, env.KILN_PROGRESS, env.BUILDKIT_PROGRESS].find((mode) => isMode(mode)) ?? 'auto';
  if (flag === 'tty' && !terminal.err.isTerminal) {
    throw new ToolError('USAGE_FLAG_VALUE', '--progress tty needs stderr to be a terminal', {
      hint: 'leave it out, or use --progress plain',
    });
  }
  if (asked === 'plain' || asked === 'quiet') return asked;
  return terminal.animates || flag === 'tty' ? 'tty' : 'plain';
}

/** Opens the renderer of a mode; its module is loaded now. */
export async function openProgress(
  mode: Exclude<ProgressMode, 'auto'>,
  { terminal, clock }: Pick<Context, 'terminal' | 'clock'>,
): Promise<Progress> {
  switch (mode) {
    case 'quiet':
      return { onEvent: () => {}, close: () => {} };
    case 'plain': {
      const { PlainProgress } = await import('./plain.ts');
      return new PlainProgress(terminal.err, clock);
    }
    case 'tty': {
      const { openTtyProgress } = await import('./tty.ts');
      return openTtyProgress(terminal, clock);
    }
  }
}

function isMode(text: string | undefined): text is ProgressMode {
  return progressModes.some((mode) => mode === text);
}

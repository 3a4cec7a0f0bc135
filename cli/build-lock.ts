import {
  BuildPins,
  changeLock,
  frozenError,
  type LockPlace,
  lockPlace,
  type OpenedContext,
  type Pins,
  type Plan,
  questionsOf,
  readLock,
  unanswered,
  type Workshop,
} from '../builder/index.ts';
import { ToolError } from '../core/index.ts';
import type { BuildFlags } from './commands/build.ts';
import type { Context, Environment } from './context.ts';
import { warn } from './warn.ts';

/** The lock file of one build. */
export interface BuildLock {
  readonly pins: Pins;
  /**
   * Before the build: when nothing may change, all that is missing is told at once.
   * @throws ToolError LOCK_FROZEN
   */
  check(plans: readonly Plan[], workshop: Workshop): Promise<void>;
  /** After a build that succeeded: writes what it found out. */
  save(workshop: Workshop): Promise<void>;
}

export type LockFlags = Pick<BuildFlags, 'frozen' | 'no-lock' | 'quiet'>;

/**
 * Finds the lock file and decides what may be done to it: in CI one that is there is frozen, and one that is not there
 * is not made, unless --frozen says otherwise.
 * @throws ToolError USAGE_LOCK, LOCK_*; BuildfileError LOCK_INVALID
 */
export async function openBuildLock(context: Context, flags: LockFlags, opened: OpenedContext): Promise<BuildLock> {
  const { env, signal } = context;
  if (flags['no-lock']) {
    if (flags.frozen) throw new ToolError('USAGE_LOCK', '--frozen and --no-lock exclude each other');
    return { pins: new BuildPins(), check: async () => {}, save: async () => {} };
  }
  const place = lockPlace(opened.buildfile, opened.buildfileName);
  const found = await readLock(place, { signal });
  const isCi = isContinuousIntegration(env);
  const pins = new BuildPins(found, { frozen: flags.frozen ?? (isCi && found !== undefined), shownFile: place.shown });
  const writes = !isCi || flags.frozen === false;
  return {
    pins,
    check: (plans, workshop) => checkFrozen(pins, plans, workshop, place, context),
    async save(workshop) {
      if (pins.changes.length === 0) return;
      const say = (text: string) => (flags.quiet ? undefined : warn(context, text));
      if (!writes) return say(`CI is set and there is no ${place.shown}: this build took whatever the network gave`);
      try {
        const written = await changeLock(place, pins.changes, workshop.locks, { signal });
        const what = found === undefined ? 'new' : 'changed';
        if (written && !flags.quiet) context.terminal.say(`kiln: ${place.shown} is ${what}: commit it`);
      } catch (error) {
        // The image is there, and nobody asked for the file: --frozen does.
        if (!(error instanceof ToolError) || error.code !== 'LOCK_UNWRITABLE') throw error;
        say(`${error.message}: what the network gave is not locked (--no-lock says that this is fine)`);
      }
    },
  };
}

async function checkFrozen(
  pins: BuildPins,
  plans: readonly Plan[],
  workshop: Workshop,
  place: LockPlace,
  { signal }: Context,
): Promise<void> {
  if (!pins.frozen) return;
  const missing = await unanswered(workshop, questionsOf(plans), pins.content, { signal });
  if (missing.length === 0) return;
  throw frozenError(
    missing.map(({ kind, key }) => ({ kind, key, isNew: true })),
    place.shown,
  );
}

/** As CI services set it. */
export function isContinuousIntegration({ CI }: Environment): boolean {
  return CI !== undefined && CI !== '' && CI !== '0' && CI.toLowerCase() !== 'false';
}

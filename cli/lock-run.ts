import {
  changeLock,
  changesBetween,
  emptyLock,
  findOutdated,
  type LockContent,
  lockPlace,
  packagesQuestionsOf,
  questionsOf,
  type Refreshed,
  type RefreshOptions,
  readLock,
  refreshLock,
  type Workshop,
} from '../builder/index.ts';
import { ToolError } from '../core/index.ts';
import { type BuildCommandRequest, plansElsewhere, readBuildRequest } from './build-request.ts';
import type { OutdatedFlags } from './commands/outdated.ts';
import type { UpdateFlags } from './commands/update.ts';
import { openWorkshop } from './compose.ts';
import type { Context } from './context.ts';
import { exitCodeFor, exitCodes } from './exit-codes.ts';
import { questionsNamed } from './lock-names.ts';
import { movesAsJson, outdatedTable, summaryOf, troubleLines, updateTable } from './lock-report.ts';
import { withRootFileSystems } from './privilege.ts';
import { openProgress, progressMode } from './progress/progress.ts';

/** `kiln update`. */
export async function runUpdate(
  context: Context,
  flags: UpdateFlags,
  folder: string,
  names: readonly string[],
): Promise<number> {
  return withQuestions(context, flags, folder, names, async ({ place, content, options, plans, workshop }) => {
    const before = content ?? emptyLock;
    const refreshed = await shown(context, flags, (onEvent) =>
      refreshLock(plans, workshop, { ...options, onEvent, content: before }),
    );
    const { moves } = refreshed;
    const written =
      !flags.check &&
      (await changeLock(place, changesBetween(before, refreshed.content), workshop.locks, { signal: context.signal }));
    if (flags.json) context.terminal.out.write(movesAsJson(place.shown, refreshed, { written }));
    else if (!flags.quiet) {
      context.terminal.out.write(updateTable(moves));
      const verb = flags.check ? 'would be changed' : 'is changed';
      const sentence = moves.length === 0 ? 'is up to date' : `${verb}: ${summaryOf(moves)}`;
      context.terminal.err.write(`kiln: ${place.shown} ${sentence}\n`);
    }
    return flags.check && moves.length > 0 ? exitCodes.updateAvailable : exitCodes.ok;
  });
}

/** `kiln outdated`. */
export async function runOutdated(
  context: Context,
  flags: OutdatedFlags,
  folder: string,
  names: readonly string[],
): Promise<number> {
  return withQuestions(context, flags, folder, names, async ({ place, content, options, plans, workshop }) => {
    if (content === undefined) {
      throw new ToolError('LOCK_NOT_FOUND', `there is no ${place.shown}`, {
        hint: 'kiln build writes it, and so does kiln update',
      });
    }
    const found = await shown(context, flags, (onEvent) =>
      findOutdated(plans, workshop, { ...options, onEvent, content }),
    );
    const { terminal } = context;
    terminal.out.write(flags.json ? movesAsJson(place.shown, found, {}) : outdatedTable(found.moves));
    if (!flags.json) terminal.err.write(troubleLines(found.troubles));
    // What could not be found out weighs more than what was.
    const [trouble] = found.troubles;
    if (trouble !== undefined) return exitCodeFor(trouble.error);
    return found.moves.length > 0 ? exitCodes.updateAvailable : exitCodes.ok;
  });
}

interface Questioned {
  readonly place: ReturnType<typeof lockPlace>;
  readonly content: LockContent | undefined;
  readonly plans: BuildCommandRequest['request']['plans'];
  readonly options: Omit<RefreshOptions, 'content' | 'onEvent'>;
  readonly workshop: Workshop;
}

/** Reads the Buildfile and its lock file; package sets and bootstraps need root file systems to be resolved. */
async function withQuestions(
  context: Context,
  flags: OutdatedFlags,
  folder: string,
  names: readonly string[],
  task: (questioned: Questioned) => Promise<number>,
): Promise<number> {
  const isWhole = flags.target.length === 0 && flags['build-arg'].length === 0 && names.length === 0;
  const planned = { ...flags, all: flags.target.length === 0 };
  const read = await readBuildRequest(context, planned, folder);
  const { plans } = read.request;
  const place = lockPlace(read.context.buildfile, read.context.buildfileName);
  const content = await readLock(place, { signal: context.signal });
  const [questions, sets] = [questionsOf(plans), packagesQuestionsOf(plans)];
  const isWanted = questionsNamed(names, [...questions, ...sets]);
  const otherPlans = isWhole ? plansElsewhere(read.context, planned, context) : [];
  const options = { ...read.options, isWanted, prune: isWhole, otherPlans, signal: context.signal };
  const carryOut = async () => {
    await using workshop = await openWorkshop(context, flags);
    return task({ place, content, plans, options, workshop });
  };
  const needsRoots = sets.length > 0 || questions.some(({ kind }) => kind === 'bootstraps');
  return needsRoots ? withRootFileSystems(context, carryOut) : carryOut();
}

async function shown(
  context: Context,
  flags: Pick<UpdateFlags, 'progress'> & { readonly quiet?: boolean },
  work: (onEvent: RefreshOptions['onEvent']) => Promise<Refreshed>,
): Promise<Refreshed> {
  const progress = await openProgress(flags.quiet ? 'quiet' : progressMode(flags.progress, context), context);
  try {
    return await work(progress.onEvent);
  } finally {
    progress.close();
  }
}

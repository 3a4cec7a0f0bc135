import os from 'node:os';
import { platformOf, ToolError } from '../core/index.ts';
import {
  checkImages,
  everyInterval,
  type ListedImage,
  loadImages,
  parseInterval,
  type RebuildEvent,
  type RoundResult,
  rebuildImages,
  watch,
} from '../rebuild/index.ts';
import { parseEpoch } from './build-request.ts';
import type { RebuildFlags } from './commands/rebuild.ts';
import { openWorkshop, proxyVariables } from './compose.ts';
import type { Context } from './context.ts';
import { reportError, reportErrorAsJson } from './error-report.ts';
import { exitCodes } from './exit-codes.ts';
import { withRootFileSystems } from './privilege.ts';
import { openProgress, type Progress, progressMode } from './progress/progress.ts';
import { checkExitCode, decisionLine, rebuildLine, roundExitCode } from './rebuild-report.ts';
import { noSecrets } from './secret-flags.ts';
import { imageNames } from './short-names.ts';
import { harmlessLine } from './terminal-text.ts';

/** `kiln rebuild`. */
export async function runRebuild(context: Context, flags: RebuildFlags, action: string): Promise<number> {
  if (action !== 'check' && action !== 'run' && action !== 'watch') {
    const message = `kiln rebuild ${JSON.stringify(action)}: the action is check, run or watch`;
    throw new ToolError('USAGE_ARGUMENTS', message, { hint: 'see: kiln rebuild --help' });
  }
  if (flags.every !== undefined && action !== 'watch') {
    throw new ToolError('USAGE_FLAG_VALUE', `--every is for kiln rebuild watch, not for ${action}`);
  }
  const intervalMs = parseInterval(flags.every ?? '1h');
  // Mistakes in the files are told before anything is started for them.
  const images = await load(context, flags);
  // Of all that is checked only a bootstrapped root is made, which takes a root file system.
  const makesRoots = images.some(({ sources }) => sources.some(({ kind }) => kind === 'bootstrap'));
  if (action === 'check' && !makesRoots) return check(context, flags, images);
  return withRootFileSystems(context, async () => {
    switch (action) {
      case 'check':
        return check(context, flags, images);
      case 'run':
        return roundExitCode(await round(context, flags, images, { skipCurrent: false }));
      case 'watch':
        return keepWatch(context, flags, intervalMs);
    }
  });
}

async function check(context: Context, flags: RebuildFlags, images: readonly ListedImage[]): Promise<number> {
  await using workshop = await openWorkshop(context, flags);
  const decisions = await checkImages(images, workshop, { signal: context.signal });
  const width = nameWidth(images);
  for (const decision of decisions) {
    context.terminal.out.write(flags.json ? `${JSON.stringify(decision)}\n` : decisionLine(decision, width));
  }
  return checkExitCode(decisions);
}

/** kiln.toml is read again for every round, and the store is left to others in between. */
async function keepWatch(context: Context, flags: RebuildFlags, intervalMs: number): Promise<number> {
  const { clock, signal, terminal } = context;
  await watch(
    everyInterval(intervalMs, clock.now()),
    async () => {
      await round(context, flags, await load(context, flags), { skipCurrent: true });
    },
    {
      clock,
      signal,
      onRoundFailed: (error) => report(context, flags, error),
      onWaiting: (untilMs) => terminal.err.write(`kiln: next look at ${new Date(untilMs).toISOString()}\n`),
    },
  );
  return exitCodes.ok;
}

async function round(
  context: Context,
  flags: RebuildFlags,
  images: readonly ListedImage[],
  { skipCurrent }: { readonly skipCurrent: boolean },
): Promise<RoundResult> {
  const { env, signal } = context;
  await using workshop = await openWorkshop(context, flags);
  const failures: unknown[] = [];
  const progress = await openProgress(progressMode(undefined, context) === 'quiet' ? 'quiet' : 'plain', context);
  try {
    return await rebuildImages(images, workshop, {
      build: {
        jobs: os.availableParallelism(),
        network: 'default',
        proxies: proxyVariables(env),
        secrets: noSecrets,
        sshAgents: new Map(),
        limits: {},
      },
      signal,
      onEvent: (event) => {
        if (event.type === 'failed') failures.push(event.error);
        show(context, flags, event, { width: nameWidth(images), progress, skipCurrent });
      },
    });
  } finally {
    progress.close();
    for (const error of failures) await report(context, flags, error);
  }
}

interface Shown {
  readonly width: number;
  readonly progress: Progress;
  readonly skipCurrent: boolean;
}

/** Results go to stdout as soon as they are known, the builds' progress to stderr. */
function show(
  context: Context,
  { json }: RebuildFlags,
  event: RebuildEvent,
  { width, progress, skipCurrent }: Shown,
): void {
  const { out } = context.terminal;
  switch (event.type) {
    case 'decision': {
      const { decision } = event;
      if (decision.action === 'rebuild' || (decision.action === 'current' && skipCurrent)) return;
      out.write(json ? `${JSON.stringify(decision)}\n` : decisionLine(decision, width));
      return;
    }
    case 'start':
      context.terminal.err.write(`kiln: rebuilding ${event.image.name}: ${harmlessLine(event.reason)}\n`);
      return;
    case 'build':
      progress.onEvent(event.event);
      return;
    case 'rebuilt':
      out.write(
        json ? `${JSON.stringify({ action: 'rebuild', ...event.rebuild })}\n` : rebuildLine(event.rebuild, width),
      );
      return;
    case 'failed':
      return;
  }
}

/** What went wrong with one image or one round, while the command goes on. */
async function report({ env, terminal }: Context, { json }: RebuildFlags, error: unknown): Promise<void> {
  const debug = env.KILN_DEBUG === '1';
  terminal.err.write(json ? reportErrorAsJson(error) : await reportError(error, { debug }));
}

async function load(context: Context, flags: RebuildFlags): Promise<readonly ListedImage[]> {
  const { env, folder, signal } = context;
  return loadImages(flags.file ?? 'kiln.toml', {
    signal,
    platform: platformOf(process.arch),
    workingFolder: folder,
    sourceDateEpoch: parseEpoch(env.SOURCE_DATE_EPOCH),
    imageNames: await imageNames(context),
  });
}

function nameWidth(images: readonly ListedImage[]): number {
  return Math.max(...images.map(({ name }) => name.length));
}

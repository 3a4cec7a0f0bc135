import {
  type BuildResult,
  buildImages,
  ContextUse,
  cacheSource,
  contextReport,
  type FolderReport,
  type Workshop,
} from '../builder/index.ts';
import { formatPlatform } from '../core/index.ts';
import { checkExports, writeExports } from './build-exports.ts';
import { type BuildLock, openBuildLock } from './build-lock.ts';
import { type BuildCommandRequest, readBuildRequest } from './build-request.ts';
import type { BuildFlags } from './commands/build.ts';
import { openWorkshop } from './compose.ts';
import type { Context } from './context.ts';
import { formatContextReport } from './context-report.ts';
import { exitCodes } from './exit-codes.ts';
import { withRootFileSystems } from './privilege.ts';
import { PausableProgress } from './progress/pausable.ts';
import { openProgress, progressMode } from './progress/progress.ts';
import { overhear, rememberBuild } from './remember-build.ts';
import { checkShellFlags, shellAfterBuild, shellOnFailure } from './step-shell.ts';
import type { Sink } from './terminal.ts';
import { warn } from './warn.ts';

/** `kiln build`. */
export async function runBuild(given: Context, flags: BuildFlags, folder: string): Promise<number> {
  const heard = overhear(given);
  const { context } = heard;
  checkShellFlags(context, flags);
  const request = await readBuildRequest(context, flags, folder);
  warnOfUnknownStages(context, request);
  return withRootFileSystems(context, async () => {
    await checkExports(request.exports, request.request);
    await using workshop = await openWorkshop(context, flags);
    const lock = await openBuildLock(context, flags, request.context);
    await lock.check(request.request.plans, workshop);
    const use = contextUse(flags, request);
    const result = await build(context, flags, request, lock, workshop, use);
    await lock.save(workshop);
    if (flags.until !== undefined) return await afterStep(context, flags, request, result, workshop);
    await writeExports(context, flags, request.exports, request, result, workshop);
    const { out, err } = context.terminal;
    const sink = request.exports.usesStandardOutput ? err : out;
    printResult(context, sink, flags, result, use && (await contextReport(use, context)));
    await rememberBuild(process, heard, flags, request, result, workshop);
    return exitCodes.ok;
  });
}

/** A stage that is misspelt would come out of the cache, and nobody would know. */
function warnOfUnknownStages(context: Context, { request, options }: BuildCommandRequest): void {
  const stages = new Set(request.plans.flatMap((plan) => plan.stages.map(({ name }) => name)));
  for (const name of options.noCacheStages ?? []) {
    if (!stages.has(name)) warn(context, `--no-cache-filter ${name}: this build has no stage of that name`);
  }
}

/** `--until`: nothing is named or written; what there is, is shown. */
async function afterStep(
  context: Context,
  flags: BuildFlags,
  { options }: BuildCommandRequest,
  result: BuildResult,
  workshop: Workshop,
): Promise<number> {
  const { steps, cachedSteps } = result;
  if (flags.json) context.terminal.out.write(`${JSON.stringify({ until: flags.until, steps, cachedSteps })}\n`);
  else if (!flags.quiet) context.terminal.err.write(`kiln: stopped after ${flags.until}; no image is named\n`);
  if (flags.interactive) await shellAfterBuild(context, options, result, workshop);
  return exitCodes.ok;
}

/** One target gives its digest alone, as every peer; several give a line each. */
function printResult(
  { terminal }: Context,
  sink: Sink,
  flags: BuildFlags,
  { targets, steps, cachedSteps }: BuildResult,
  contexts: readonly FolderReport[] | undefined,
): void {
  if (flags.json) {
    const results = targets.map(({ target, descriptor, names, images }) => ({
      target,
      digest: descriptor.digest,
      names,
      ...(images.length === 1
        ? {}
        : {
            platforms: Object.fromEntries(
              images.map(({ platform, descriptor: image }) => [formatPlatform(platform), image.digest]),
            ),
          }),
    }));
    const [only] = results;
    const result = results.length === 1 ? only : { targets: results };
    const report = contexts === undefined ? {} : { contexts };
    sink.write(`${JSON.stringify({ ...result, steps, cachedSteps, ...report })}\n`);
    return;
  }
  if (contexts !== undefined) terminal.err.write(formatContextReport(contexts));
  for (const { target, descriptor } of targets)
    sink.write(targets.length === 1 ? `${descriptor.digest}\n` : `${descriptor.digest} ${target}\n`);
}

/** The main context is reported on even when nothing of it was copied. */
function contextUse(flags: BuildFlags, { context }: BuildCommandRequest): ContextUse | undefined {
  if (!flags['context-report']) return undefined;
  const use = new ContextUse();
  use.add({ name: 'the context', folder: context.contextFolder, ignore: context.ignore }, []);
  return use;
}

async function build(
  context: Context,
  flags: BuildFlags,
  { request, options, exports }: BuildCommandRequest,
  lock: BuildLock,
  workshop: Workshop,
  use: ContextUse | undefined,
): Promise<BuildResult> {
  const mode = flags.quiet ? 'quiet' : progressMode(flags.progress, context);
  const progress = new PausableProgress(await openProgress(mode, context));
  try {
    return await buildImages(request, workshop, {
      ...options,
      pins: lock.pins,
      cacheSources: exports.cacheFrom.map((place) => cacheSource(workshop, place)),
      ...(use === undefined ? {} : { contextUse: use }),
      onEvent: progress.onEvent,
      ...(flags['shell-on-failure'] ? { onStepFailed: shellOnFailure(context, progress) } : {}),
      signal: context.signal,
    });
  } finally {
    progress.close();
  }
}

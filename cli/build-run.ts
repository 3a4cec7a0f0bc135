import { access, constants, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import {
  type BuildResult,
  buildImage,
  type IgnoreRules,
  openBuildContext,
  type Plan,
  planBuildfile,
  pushImage,
  type Workshop,
} from '../builder/index.ts';
import { platformOf, type Reference, ToolError } from '../core/index.ts';
import type { BuildFlags } from './commands/build.ts';
import { openWorkshop, proxyVariables } from './compose.ts';
import type { Context } from './context.ts';
import { assignment } from './environment-lines.ts';
import { exitCodes } from './exit-codes.ts';
import { nameForImage } from './image-names.ts';
import { withRootFileSystems } from './privilege.ts';
import { CopyProgress } from './progress/copy.ts';
import { openProgress, progressMode } from './progress/progress.ts';

/** What a command line asks to be built. */
interface Request {
  readonly names: readonly Reference[];
  readonly contextFolder: string;
  readonly plan: Plan;
  readonly ignore: IgnoreRules;
}

/** `kiln build`. */
export async function runBuild(context: Context, flags: BuildFlags, folder: string): Promise<number> {
  const request = await readRequest(context, flags, folder);
  const iidfile = flags.iidfile === undefined ? undefined : path.resolve(context.folder, flags.iidfile);
  if (iidfile !== undefined) await requireWritableFolder(iidfile);
  return withRootFileSystems(context, async () => {
    await using workshop = await openWorkshop(context);
    const result = await build(context, flags, request, workshop);
    const { digest } = result.descriptor;
    if (iidfile !== undefined) await writeFile(iidfile, digest);
    if (flags.push) await pushAll(context, flags, request.names, workshop);
    context.terminal.out.write(
      flags.json
        ? `${JSON.stringify({ digest, names: result.names, steps: result.steps, cachedSteps: result.cachedSteps })}\n`
        : `${digest}\n`,
    );
    return exitCodes.ok;
  });
}

/** Told before the build, not after it. */
async function requireWritableFolder(file: string): Promise<void> {
  try {
    await access(path.dirname(file), constants.W_OK);
  } catch (cause) {
    throw new ToolError('USAGE_IIDFILE', `--iidfile: nothing can be written into ${path.dirname(file)}`, { cause });
  }
}

async function build(context: Context, flags: BuildFlags, request: Request, workshop: Workshop): Promise<BuildResult> {
  const progress = await openProgress(flags.quiet ? 'quiet' : progressMode(flags.progress, context), context);
  try {
    return await buildImage(request.plan, workshop, request.names, {
      contextFolder: request.contextFolder,
      ignore: request.ignore,
      noCache: flags['no-cache'],
      pull: flags.pull,
      jobs: os.availableParallelism(),
      network: flags.network === 'none' ? 'none' : 'host',
      proxies: proxyVariables(context.env),
      onEvent: progress.onEvent,
      signal: context.signal,
    });
  } finally {
    progress.close();
  }
}

async function pushAll(
  context: Context,
  flags: BuildFlags,
  names: readonly Reference[],
  workshop: Workshop,
): Promise<void> {
  for (const name of names) {
    using progress = new CopyProgress('push', context, { quiet: flags.quiet || flags.progress === 'quiet' });
    const pushed = await pushImage(workshop, name, { onEvent: progress.onEvent, signal: context.signal });
    progress.note(`${pushed.name}: digest: ${pushed.descriptor.digest} size: ${pushed.descriptor.size}`);
  }
}

async function readRequest(context: Context, flags: BuildFlags, folder: string): Promise<Request> {
  const names = flags.tag.map((name) => nameForImage(name));
  if (flags.push && names.length === 0) {
    throw new ToolError('USAGE_PUSH_WITHOUT_NAME', '--push needs a name to push to', { hint: 'add -t NAME' });
  }
  const args = new Map(
    flags['build-arg'].flatMap((text) => {
      const pair = assignment(text, '--build-arg', context.env);
      return pair === undefined ? [] : [pair];
    }),
  );
  const { buildfileText, buildfileName, buildfileFolder, contextFolder, ignore } = await openBuildContext(folder, {
    file: flags.file,
    workingFolder: context.folder,
    signal: context.signal,
  });
  const platform = platformOf(process.arch);
  const plan = planBuildfile(buildfileText, buildfileName, {
    target: flags.target,
    args,
    platform,
    buildPlatform: platform,
    sourceDateEpoch: parseEpoch(args.get('SOURCE_DATE_EPOCH') ?? context.env.SOURCE_DATE_EPOCH),
    baseFolder: buildfileFolder,
  });
  return { names, contextFolder, plan, ignore };
}

/** An explicit SOURCE_DATE_EPOCH, seconds; of a year with four digits, as RFC 3339 has it. */
export function parseEpoch(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  const seconds = Number(text);
  if (/^\d{1,11}$/.test(text)) return seconds;
  throw new ToolError(
    'USAGE_SOURCE_DATE_EPOCH',
    `SOURCE_DATE_EPOCH is ${JSON.stringify(text)}, not a number of seconds`,
  );
}

import { access, constants, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type BuildResult, buildImages, noPins, pushImage, type Workshop } from '../builder/index.ts';
import { formatPlatform, type Reference, ToolError } from '../core/index.ts';
import { type BuildCommandRequest, readBuildRequest } from './build-request.ts';
import type { BuildFlags } from './commands/build.ts';
import { openWorkshop } from './compose.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { withRootFileSystems } from './privilege.ts';
import { CopyProgress } from './progress/copy.ts';
import { openProgress, progressMode } from './progress/progress.ts';

/** `kiln build`. */
export async function runBuild(context: Context, flags: BuildFlags, folder: string): Promise<number> {
  const request = await readBuildRequest(context, flags, folder);
  const iidfile = flags.iidfile === undefined ? undefined : path.resolve(context.folder, flags.iidfile);
  if (iidfile !== undefined) await requireWritableFolder(iidfile);
  return withRootFileSystems(context, async () => {
    await using workshop = await openWorkshop(context);
    const result = await build(context, flags, request, workshop);
    if (iidfile !== undefined)
      await writeFile(iidfile, result.targets.map(({ descriptor }) => descriptor.digest).join('\n'));
    if (flags.push) await pushAll(context, flags, request.names, workshop);
    printResult(context, flags, result);
    return exitCodes.ok;
  });
}

/** One target gives its digest alone, as every peer; several give a line each. */
function printResult({ terminal }: Context, flags: BuildFlags, { targets, steps, cachedSteps }: BuildResult): void {
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
    terminal.out.write(`${JSON.stringify({ ...result, steps, cachedSteps })}\n`);
    return;
  }
  for (const { target, descriptor } of targets)
    terminal.out.write(targets.length === 1 ? `${descriptor.digest}\n` : `${descriptor.digest} ${target}\n`);
}

/** Told before the build, not after it. */
async function requireWritableFolder(file: string): Promise<void> {
  try {
    await access(path.dirname(file), constants.W_OK);
  } catch (cause) {
    throw new ToolError('USAGE_IIDFILE', `--iidfile: nothing can be written into ${path.dirname(file)}`, { cause });
  }
}

async function build(
  context: Context,
  flags: BuildFlags,
  { request, options }: BuildCommandRequest,
  workshop: Workshop,
): Promise<BuildResult> {
  const progress = await openProgress(flags.quiet ? 'quiet' : progressMode(flags.progress, context), context);
  try {
    return await buildImages(request, workshop, {
      ...options,
      pins: noPins,
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

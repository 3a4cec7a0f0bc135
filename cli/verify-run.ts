import {
  type BuildResult,
  buildImages,
  compareImages,
  type ImageDifference,
  noPins,
  openImageBase,
  type Pins,
  type Workshop,
} from '../builder/index.ts';
import { formatPlatform, type Image, openImage, type Platform, ToolError } from '../core/index.ts';
import { openBuildLock } from './build-lock.ts';
import { type BuildCommandRequest, readBuildRequest } from './build-request.ts';
import type { VerifyFlags } from './commands/verify.ts';
import { openWorkshop } from './compose.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { nameForImage } from './image-names.ts';
import { withRootFileSystems } from './privilege.ts';
import { openProgress, progressMode } from './progress/progress.ts';
import { harmlessLine } from './terminal-text.ts';

/** How one result compares. */
interface Verdict {
  readonly target: string;
  readonly platform: string;
  readonly before: Image;
  readonly after: Image;
  readonly difference: ImageDifference | undefined;
}

/** `kiln verify`. */
export async function runVerify(context: Context, flags: VerifyFlags, folder: string): Promise<number> {
  const request = await readBuildRequest(context, flags, folder);
  if (flags.image !== undefined && (request.request.plans[0]?.targets.length ?? 0) > 1) {
    throw new ToolError('USAGE_VERIFY', '--image is one image, and several targets are several', {
      hint: 'name the --target that the image was built from',
    });
  }
  return withRootFileSystems(context, async () => {
    await using workshop = await openWorkshop(context, flags);
    const lock = await openBuildLock(
      context,
      { frozen: undefined, 'no-lock': flags['no-lock'], quiet: true },
      request.context,
    );
    const verdicts = await verdictsOf(context, flags, request, lock.pins, workshop);
    for (const verdict of verdicts) print(context, flags, verdict);
    return verdicts.some(({ difference }) => difference !== undefined) ? exitCodes.verifyMismatch : exitCodes.ok;
  });
}

async function verdictsOf(
  context: Context,
  flags: VerifyFlags,
  request: BuildCommandRequest,
  pins: Pins,
  workshop: Workshop,
): Promise<Verdict[]> {
  const { signal } = context;
  const { terminal } = context;
  if (flags.image === undefined) terminal.say('kiln: building, as usual');
  const first =
    flags.image === undefined ? await build(context, flags, request, workshop, { pins, noCache: false }) : undefined;
  terminal.say('kiln: building once more, without cache');
  const again = await build(context, flags, request, workshop, { pins, noCache: true, isTrial: true });
  const verdicts: Verdict[] = [];
  for (const [index, { target, images }] of again.targets.entries()) {
    for (const { platform, descriptor } of images) {
      const known = first?.targets[index]?.images.find(
        (image) => formatPlatform(image.platform) === formatPlatform(platform),
      );
      const before =
        known === undefined
          ? await namedImage(flags.image ?? '', workshop, platform, context)
          : await openImage(workshop.content, known.descriptor, { signal, platform });
      const after = await openImage(workshop.content, descriptor, { signal, platform });
      const difference = await compareImages(workshop, before, after, { signal });
      verdicts.push({ target, platform: formatPlatform(platform), before, after, difference });
    }
  }
  return verdicts;
}

async function build(
  context: Context,
  flags: VerifyFlags,
  { request, options }: BuildCommandRequest,
  workshop: Workshop,
  how: { readonly pins: Pins; readonly noCache: boolean; readonly isTrial?: boolean },
): Promise<BuildResult> {
  const progress = await openProgress(progressMode(flags.progress, context), context);
  try {
    return await buildImages(request, workshop, {
      ...options,
      ...how,
      onEvent: progress.onEvent,
      signal: context.signal,
    });
  } finally {
    progress.close();
  }
}

async function namedImage(name: string, workshop: Workshop, platform: Platform, { signal }: Context): Promise<Image> {
  return (await openImageBase(workshop, nameForImage(name), { platform, pull: false, pins: noPins, signal })).image;
}

function print({ terminal }: Context, { json }: VerifyFlags, verdict: Verdict): void {
  const { target, platform, before, after, difference } = verdict;
  if (json) {
    const digests = { before: before.descriptor.digest, after: after.descriptor.digest };
    terminal.out.write(
      `${JSON.stringify({ target, platform, ...digests, reproduced: difference === undefined, difference })}\n`,
    );
    return;
  }
  if (difference === undefined) {
    terminal.out.write(`${target} (${platform}): the same again, ${after.descriptor.digest}\n`);
    return;
  }
  terminal.out.write(
    `${target} (${platform}): different\n${describe(difference)
      .map((line) => `  ${harmlessLine(line)}\n`)
      .join('')}`,
  );
}

function describe(difference: ImageDifference): string[] {
  switch (difference.where) {
    case 'layer':
      return [
        `layer ${difference.layer} (${difference.step})`,
        `file  /${difference.file}`,
        `${difference.attribute}: ${difference.before} → ${difference.after}`,
      ];
    case 'layers':
      return [`${difference.before} → ${difference.after}`];
    default:
      return [`${difference.where} ${difference.path}: ${difference.before} → ${difference.after}`];
  }
}

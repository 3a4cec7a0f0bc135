import { type PulledIndex, pullImage, pullIndex, type Workshop } from '../builder/index.ts';
import { formatReference, type Reference, ToolError } from '../core/index.ts';
import { type ForeignLayers, openForeignLayers } from '../registry/index.ts';
import type { PullFlags, PullWanted } from './commands/pull.ts';
import { openWorkshop } from './compose.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { withRootFileSystems } from './privilege.ts';
import { CopyProgress } from './progress/copy.ts';
import { proxyVariables } from './proxies.ts';
import { userAgent } from './registry-flags.ts';
import { checkResultFlags, printResult } from './result.ts';
import { referenceToPull } from './short-names.ts';
import { warn } from './warn.ts';

/** `kiln pull`. */
export async function runPull(context: Context, flags: PullFlags, wanted: PullWanted): Promise<number> {
  checkResultFlags(flags);
  if (!flags.unpack) return pullAll(context, flags, wanted);
  if (wanted.platforms.length !== 1) {
    throw new ToolError('USAGE_FLAG_VALUE', '--unpack is for the image of one platform');
  }
  return withRootFileSystems(context, () => pullAll(context, flags, wanted));
}

async function pullAll(context: Context, flags: PullFlags, wanted: PullWanted): Promise<number> {
  await using workshop = await openWorkshop(context, flags);
  const { remote } = workshop.options;
  for (const text of wanted.names) {
    const reference = await referenceToPull(context, text, { remote, signal: context.signal });
    await pullOne(context, flags, wanted, { workshop, reference, text });
  }
  return exitCodes.ok;
}

interface OnePull {
  readonly workshop: Workshop;
  readonly reference: Reference;
  /** As it was written. */
  readonly text: string;
}

async function pullOne(
  context: Context,
  flags: PullFlags,
  wanted: PullWanted,
  { workshop, reference, text }: OnePull,
): Promise<void> {
  using progress = new CopyProgress('pull', context, { quiet: flags.quiet });
  progress.note(`${reference.tag ?? reference.digest}: Pulling from ${reference.repository}`);
  const pulled = await pulledImage(context, flags, wanted, { workshop, reference, progress });
  const { moved, name, registryDigest, registrySize: size } = pulled;
  progress.note(moved ? `Status: Downloaded newer image for ${text}` : `Status: Image is up to date for ${text}`);
  progress[Symbol.dispose]();
  const line = flags.quiet
    ? formatReference(reference)
    : `${reference.tag ?? text}: digest: ${registryDigest} size: ${size}`;
  printResult(context, flags, { name, digest: registryDigest, size, moved }, line);
}

function pulledImage(
  context: Context,
  flags: PullFlags,
  { platforms, concurrency }: PullWanted,
  { workshop, reference, progress }: Omit<OnePull, 'text'> & { readonly progress: CopyProgress },
): Promise<PulledIndex> {
  const options = {
    signal: context.signal,
    onEvent: progress.onEvent,
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(flags['foreign-layers'] ? { foreignLayers: foreignLayers(context) } : {}),
  };
  const [platform] = platforms;
  if (platform !== undefined && platforms.length === 1) {
    return pullImage(workshop, reference, { ...options, platform, unpack: flags.unpack });
  }
  return pullIndex(workshop, reference, { ...options, ...(platforms.length === 0 ? {} : { platforms }) });
}

export function foreignLayers(context: Context): ForeignLayers {
  return openForeignLayers({
    userAgent,
    proxies: proxyVariables(context.env),
    onHost: (host) => warn(context, `a layer that may not be redistributed is fetched from ${host}`),
  });
}

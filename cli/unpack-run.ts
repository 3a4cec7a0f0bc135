import path from 'node:path';
import { type UnpackOptions, unpackImage } from '../builder/index.ts';
import { formatPlatform, openImage, parsePlatform, platformOf, samePlatform } from '../core/index.ts';
import { openSource, type Place, parsePlace, placeText } from '../registry/index.ts';
import { type ByteString, describePrivilege, displayPath } from '../runtime/index.ts';
import type { UnpackFlags } from './commands/unpack.ts';
import { openWorkshop } from './compose.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { readablePlace } from './place-files.ts';
import { withRootFileSystems } from './privilege.ts';
import { remoteOptions } from './registry-flags.ts';
import { printResult } from './result.ts';
import { harmlessLine } from './terminal-text.ts';
import { warn } from './warn.ts';

const shownPaths = 5;

/** `kiln unpack`. */
export async function runUnpack(context: Context, flags: UnpackFlags, image: string, folder: string): Promise<number> {
  const place: Place = image === '-' ? { kind: 'docker-archive', path: '-' } : parsePlace(image, 'store');
  const platform = flags.platform === undefined ? platformOf(process.arch) : parsePlatform(flags.platform);
  const task = async (): Promise<number> => {
    const { signal } = context;
    await using workshop = await openWorkshop(context, flags);
    await using readable = await readablePlace(context, workshop, place);
    const remote = remoteOptions(context, flags);
    await using source = await openSource(readable.place, { remote, store: workshop.content, signal });
    const { content } = source;
    const opened = await openImage(content, source.root, { platform, signal });
    if (!samePlatform(opened.config, platform)) {
      warn(context, `${image} is for ${formatPlatform(opened.config)}, not for ${formatPlatform(platform)}`);
    }
    const options = { content, signal, ...(await ownership(flags)) };
    const skipped = await unpackImage(workshop, opened, path.resolve(context.folder, folder), options);
    if (skipped.length > 0) warn(context, `not all could be set or made here: ${shown(skipped)}`);
    const { digest } = opened.descriptor;
    const name = image === '-' || place.kind !== 'registry' ? placeText(place) : source.name;
    const result = { source: name, digest, platform: formatPlatform(opened.config), folder };
    printResult(context, flags, { ...result, skipped: skipped.map(displayPath) }, digest);
    return exitCodes.ok;
  };
  return needsNamespace(flags, await describePrivilege()) ? withRootFileSystems(context, task) : task();
}

/** Who has no subordinate ids can still have all files as their own. */
function needsNamespace(flags: UnpackFlags, privilege: Awaited<ReturnType<typeof describePrivilege>>): boolean {
  if (privilege.kind !== 'unprivileged') return false;
  return !flags['no-same-owner'] || privilege.problems.length === 0;
}

async function ownership(flags: UnpackFlags): Promise<Pick<UnpackOptions, 'owner' | 'devices'>> {
  const { kind } = await describePrivilege();
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  return {
    devices: flags['no-devices'] ? 'omit' : kind === 'root' ? 'make' : 'refuse',
    ...(flags['no-same-owner'] ? { owner } : {}),
  };
}

function shown(paths: readonly ByteString[]): string {
  const more = paths.length - shownPaths;
  const names = paths.slice(0, shownPaths).map((name) => harmlessLine(displayPath(name)));
  return `${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

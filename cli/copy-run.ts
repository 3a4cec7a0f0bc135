import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { rememberOrigin, type Workshop } from '../builder/index.ts';
import {
  type Descriptor,
  errorCode,
  isIndexType,
  type Platform,
  parsePlatform,
  platformOf,
  ToolError,
} from '../core/index.ts';
import {
  type Compression,
  type CopyOptions,
  chosenPlatforms,
  copyImage,
  type OpenedDestination,
  type OpenedSource,
  openDestination,
  openSource,
  type Place,
  parsePlace,
  placeText,
} from '../registry/index.ts';
import type { CopyFlags } from './commands/copy.ts';
import { openWorkshop } from './compose.ts';
import { compressionOf } from './compression-flags.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { packedView } from './packed-view.ts';
import { isStandardOutput, readablePlace, requirePipe, writablePlace } from './place-files.ts';
import { CopyProgress } from './progress/copy.ts';
import { foreignLayers } from './pull-run.ts';
import { remoteOptions } from './registry-flags.ts';
import { flagsOfSide } from './registry-sides.ts';
import { printResult } from './result.ts';

interface CopyRequest {
  readonly source: Place;
  readonly destination: Place;
  /** None: all there are. */
  readonly platforms: readonly Platform[];
  /** Undefined: layers stay as they are. */
  readonly compression: Compression | undefined;
  readonly concurrency: number | undefined;
}

/** `kiln copy`. */
export async function runCopy(context: Context, flags: CopyFlags, from: string, to: string): Promise<number> {
  const request = requestOf(context, flags, from, to);
  const { signal } = context;
  await using workshop = await openWorkshop(context, flags);
  const { content: store, locks } = workshop;
  await using readable = await readablePlace(context, workshop, request.source);
  await using source = await openSource(readable.place, {
    remote: remoteOptions(context, flagsOfSide(flags, 'src')),
    store,
    signal,
  });
  await using writable = await writablePlace(context, workshop, request.destination);
  await using destination = await openDestination(writable.place, {
    remote: remoteOptions(context, flagsOfSide(flags, 'dest')),
    store,
    locks,
    signal,
  });
  const root = await move(context, workshop, flags, request, source, destination);
  await destination.finish(root, { tags: flags['additional-tag'], signal });
  await rememberMove(workshop, request, source, destination, root);
  await writable.deliver();
  await report(context, flags, request, { source: source.name, destination: destination.name, root });
  return exitCodes.ok;
}

async function move(
  context: Context,
  workshop: Workshop,
  flags: CopyFlags,
  request: CopyRequest,
  source: OpenedSource,
  destination: OpenedDestination,
): Promise<Descriptor> {
  const { signal } = context;
  using progress = new CopyProgress('copy', context, { quiet: flags.quiet });
  await using scratch = await (await workshop.scratch()).make('copy');
  // An index that may not change keeps all its entries, and only some of its images are copied.
  const isSparse = flags['preserve-digests'] && request.platforms.length > 1 && isIndexType(source.root.mediaType);
  const chosen = isSparse ? source : await chosenPlatforms(source.content, source.root, request.platforms, { signal });
  const view = await packedView(workshop, chosen.content, chosen.root, request.compression, {
    scratch: scratch.path,
    destination: destination.target,
    onEvent: progress.onEvent,
    ...(request.concurrency === undefined ? {} : { concurrency: request.concurrency }),
    signal,
  });
  requireSame(flags, chosen.root, view.root);
  return copyImage(view.content, destination.target, view.root, {
    signal,
    onEvent: progress.onEvent,
    referrers: flags.recursive || flags.referrers,
    ...(isSparse ? { platforms: request.platforms } : {}),
    ...(request.concurrency === undefined ? {} : { concurrency: request.concurrency }),
    ...(flags['foreign-layers'] ? { foreignLayers: foreignLayers(context) } : {}),
    ...mountable(request),
  });
}

/** All that can be known before anything is opened. @throws ToolError USAGE_*, PLACE_INVALID, PLATFORM_INVALID */
function requestOf(context: Context, flags: CopyFlags, from: string, to: string): CopyRequest {
  const source = parsePlace(from, 'registry');
  const destination = parsePlace(to, 'registry');
  const isWhole = flags['all-platforms'] || flags.all;
  const given = flags.platform.flatMap((text) => text.split(',')).map(parsePlatform);
  if (isWhole && given.length > 0) throw usage('--all-platforms and --platform exclude each other');
  if (source.kind === 'oci' && source.path === '-') throw usage('a folder cannot come from standard input');
  if (destination.kind === 'oci' && destination.path === '-') throw usage('a folder cannot go to standard output');
  if (isStandardOutput(destination)) requirePipe(context);
  if (destination.kind === 'docker-archive') {
    if (isWhole || given.length > 1) {
      throw usage('a docker-archive holds an image of one platform', 'copy to an oci-archive:, or name one --platform');
    }
    if (flags.recursive || flags.referrers) {
      throw usage('a docker-archive holds images alone, nothing that refers to them', 'copy to an oci-archive:');
    }
  }
  const own = destination.kind === 'docker-archive' && given.length === 0 ? [platformOf(process.arch)] : given;
  return {
    source,
    destination,
    platforms: own,
    compression: packingOf(flags, source, destination),
    concurrency: concurrencyOf(flags.concurrency),
  };
}

/** Layers are as they were built in the store alone: whoever else gets them wants them compressed. */
function packingOf(flags: CopyFlags, source: Place, destination: Place): Compression | undefined {
  const isAsked =
    flags['force-compression'] ||
    [flags.compression, flags['compression-format'], flags['compression-level']].some((value) => value !== undefined);
  const keepsDigest = flags['preserve-digests'] || flags.recursive || flags.referrers;
  const leavesStore = source.kind === 'store' && destination.kind !== 'store';
  return isAsked || (leavesStore && !keepsDigest) ? compressionOf(flags) : undefined;
}

function concurrencyOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,2}$/.test(text)) return Number(text);
  throw new ToolError('USAGE_FLAG_VALUE', `--concurrency is a number from 1 to 999, not ${JSON.stringify(text)}`);
}

/** Within one registry blobs need not travel at all. */
function mountable({ source, destination }: CopyRequest): Pick<CopyOptions, 'mountFrom'> {
  if (source.kind !== 'registry' || destination.kind !== 'registry') return {};
  const isSame = source.reference.registry === destination.reference.registry;
  return isSame ? { mountFrom: source.reference.repository } : {};
}

/** What refers to an image names its digest. */
function requireSame(flags: CopyFlags, before: Descriptor, after: Descriptor): void {
  if (before.digest === after.digest) return;
  if (flags['preserve-digests']) {
    throw usage(`compressing the layers would make another image of ${before.digest}`, 'leave --preserve-digests away');
  }
  if (flags.recursive || flags.referrers) {
    throw usage('nothing would refer to the image with its layers compressed', 'leave the compression away');
  }
}

/** So that a later pull, push or build knows what the name in the store is called at its registry. */
async function rememberMove(
  workshop: Workshop,
  request: CopyRequest,
  source: OpenedSource,
  destination: OpenedDestination,
  root: Descriptor,
): Promise<void> {
  const { source: from, destination: to } = request;
  const pulled = from.kind === 'registry' && to.kind === 'store';
  const pushed = from.kind === 'store' && to.kind === 'registry';
  if (!(pulled || pushed) || source.name !== destination.name) return;
  await rememberOrigin(workshop.records, {
    name: source.name,
    localDigest: pulled ? root.digest : source.root.digest,
    registryDigest: pulled ? source.root.digest : root.digest,
  });
}

interface Copied {
  readonly source: string;
  readonly destination: string;
  readonly root: Descriptor;
}

async function report(context: Context, flags: CopyFlags, request: CopyRequest, copied: Copied): Promise<void> {
  const { destination, root } = copied;
  // What came out of standard input lies in scratch.
  const isNamed = request.source.kind === 'registry' || request.source.kind === 'store';
  const source = isNamed ? copied.source : placeText(request.source);
  const { mediaType, digest, size } = root;
  if (flags.digestfile !== undefined) await writeDigest(context, flags.digestfile, digest);
  if (isStandardOutput(request.destination)) return;
  printResult(context, flags, { source, destination, mediaType, digest, size, tags: flags['additional-tag'] }, digest);
}

async function writeDigest({ folder }: Context, file: string, digest: string): Promise<void> {
  try {
    await writeFile(path.resolve(folder, file), digest);
  } catch (cause) {
    throw new ToolError('OUTPUT_FAILED', `${file} cannot be written (${errorCode(cause)})`, { cause });
  }
}

function usage(message: string, hint?: string): ToolError {
  return new ToolError('USAGE_ARGUMENTS', message, hint === undefined ? {} : { hint });
}

import path from 'node:path';
import { type OutputTarget, type Workshop, writeOutputFile } from '../builder/index.ts';
import {
  type Descriptor,
  type Platform,
  parsePlatform,
  platformOf,
  type ReadableContent,
  ToolError,
} from '../core/index.ts';
import {
  type Compression,
  chosenPlatforms,
  copyImage,
  folderLock,
  ImageArchive,
  type NamedImage,
  OciFolder,
  openSource,
  type Place,
  parsePlace,
} from '../registry/index.ts';
import type { SaveFlags } from './commands/save.ts';
import { openWorkshop } from './compose.ts';
import { compressionOf } from './compression-flags.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { packedView } from './packed-view.ts';
import { readablePlace, requirePipe } from './place-files.ts';
import { CopyProgress } from './progress/copy.ts';
import { remoteOptions } from './registry-flags.ts';
import { printResult } from './result.ts';
import { writeToStandardOutput } from './standard-output.ts';

/** An image on its way into the archive. */
interface Outgoing extends NamedImage {
  readonly content: ReadableContent;
}

interface SaveRequest {
  readonly places: readonly Place[];
  readonly format: 'docker-archive' | 'oci-archive' | 'oci-dir';
  /** Undefined: standard output. */
  readonly output: string | undefined;
  readonly platforms: readonly Platform[];
  readonly compression: Compression | undefined;
}

/** `kiln save`. */
export async function runSave(context: Context, flags: SaveFlags, names: readonly string[]): Promise<number> {
  const request = requestOf(context, flags, names);
  await using workshop = await openWorkshop(context);
  await using opened = new AsyncDisposableStack();
  const images = await outgoing(context, workshop, request, opened);
  using progress = new CopyProgress('copy', context, { quiet: flags.quiet });
  const { signal } = context;
  if (request.format === 'oci-dir' && request.output !== undefined) {
    const folder = path.resolve(context.folder, request.output);
    await using _alone = await workshop.locks.acquire(folderLock(folder), 'exclusive', { signal });
    await using layout = await OciFolder.open(folder, workshop);
    for (const { content, descriptor } of images) {
      await copyImage(content, layout.layout, descriptor, { signal, onEvent: progress.onEvent });
    }
    await layout.finishWith(images, { signal });
  } else {
    const docker = request.format === 'docker-archive';
    const to = targetOf(context, request);
    await writeOutputFile(workshop, to, (file) => archive(images, file, { docker, progress, signal }), { signal });
  }
  progress[Symbol.dispose]();
  if (request.output === undefined) return exitCodes.ok;
  const results = images.map(({ descriptor: { mediaType, digest, size }, names: saved }) => ({
    names: saved,
    mediaType,
    digest,
    size,
  }));
  if (flags.json) printResult(context, { json: true, format: undefined }, results, '');
  return exitCodes.ok;
}

async function archive(
  images: readonly Outgoing[],
  file: string,
  options: { readonly docker: boolean; readonly progress: CopyProgress; readonly signal: AbortSignal },
): Promise<void> {
  const { docker, progress, signal } = options;
  await using written = await ImageArchive.create(file, { docker });
  for (const { content, descriptor, names } of images) {
    // One blob after the other, so that the same images make the same bytes.
    await copyImage(content, written, descriptor, { signal, concurrency: 1, onEvent: progress.onEvent });
    await written.add(descriptor);
    for (const name of names) await written.tag(descriptor, name);
  }
  await written.finish({ signal });
}

/** The images, each once, with the names that it was asked for by. */
async function outgoing(
  context: Context,
  workshop: Workshop,
  request: SaveRequest,
  opened: AsyncDisposableStack,
): Promise<Outgoing[]> {
  const { signal } = context;
  const images = new Map<Descriptor['digest'], Outgoing>();
  const scratch = opened.use(await (await workshop.scratch()).make('save'));
  for (const place of request.places) {
    const readable = opened.use(await readablePlace(context, workshop, place));
    const options = { remote: remoteOptions(context), store: workshop.content, signal };
    const source = opened.use(await openSource(readable.place, options));
    const chosen = await chosenPlatforms(source.content, source.root, request.platforms, { signal });
    const view = await packedView(workshop, chosen.content, chosen.root, request.compression, {
      scratch: scratch.path,
      signal,
    });
    const before = images.get(view.root.digest)?.names ?? [];
    const names = [...new Set([...before, ...(source.imageName === undefined ? [] : [source.imageName])])];
    images.set(view.root.digest, { content: view.content, descriptor: view.root, names });
  }
  return [...images.values()];
}

/** @throws ToolError USAGE_*, PLACE_INVALID, PLATFORM_INVALID */
function requestOf(context: Context, flags: SaveFlags, names: readonly string[]): SaveRequest {
  const format = (flags.format ?? 'docker-archive') as SaveRequest['format'];
  const output = flags.output === '-' ? undefined : flags.output;
  if (output === undefined) {
    if (format === 'oci-dir') throw usage('a folder cannot go to standard output', 'name it: -o DIR');
    requirePipe(context);
  }
  const platforms = flags.platform === undefined ? [] : [parsePlatform(flags.platform)];
  const isPacked =
    flags['force-compression'] ||
    [flags.compression, flags['compression-format'], flags['compression-level']].some((value) => value !== undefined);
  return {
    places: names.map((name) => parsePlace(name, 'store')),
    format,
    output,
    platforms: format === 'docker-archive' && platforms.length === 0 ? [platformOf(process.arch)] : platforms,
    compression: isPacked ? compressionOf(flags) : undefined,
  };
}

function usage(message: string, hint: string): ToolError {
  return new ToolError('USAGE_ARGUMENTS', message, { hint });
}

function targetOf({ folder }: Context, { output }: SaveRequest): OutputTarget {
  if (output === undefined) return { kind: 'stream', write: writeToStandardOutput };
  return { kind: 'file', file: path.resolve(folder, output) };
}

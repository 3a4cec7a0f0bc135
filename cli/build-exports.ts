import { access, constants, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  type BuildRequest,
  type BuildResult,
  type CacheDestination,
  type CachePlace,
  checkOutputs,
  exportCache,
  outputText,
  placeText,
  pushImage,
  requireCacheFolder,
  type Workshop,
  writeOutputs,
} from '../builder/index.ts';
import { type Descriptor, type Reference, ToolError } from '../core/index.ts';
import { buildMetadata, type PushedNames } from './build-metadata.ts';
import { cacheFromOf, cacheToOf } from './cache-flags.ts';
import type { BuildFlags } from './commands/build.ts';
import type { Context } from './context.ts';
import { type OutputRequest, outputsOf } from './output-flags.ts';
import { CopyProgress } from './progress/copy.ts';
import { warn } from './warn.ts';

/** Where a build's results go besides the store, and where results of steps come from. */
export interface BuildExports extends OutputRequest {
  readonly cacheFrom: readonly CachePlace[];
  readonly cacheTo: readonly CacheDestination[];
  /** Absolute paths. */
  readonly iidfile: string | undefined;
  readonly metadataFile: string | undefined;
}

/** @throws ToolError USAGE_OUTPUT, USAGE_CACHE, REFERENCE_INVALID */
export function exportsOf(flags: BuildFlags, context: Context): BuildExports {
  const place = (file: string | undefined) => (file === undefined ? undefined : path.resolve(context.folder, file));
  const output = outputsOf(flags.output, context);
  return {
    ...output,
    push: flags.push || output.push,
    cacheFrom: cacheFromOf(flags['cache-from'], context),
    cacheTo: cacheToOf(flags['cache-to'], context),
    iidfile: place(flags.iidfile),
    metadataFile: place(flags['metadata-file']),
  };
}

/**
 * That everything can be written, as far as can be told before the build.
 * @throws ToolError USAGE_OUTPUT, USAGE_CACHE, USAGE_IIDFILE, USAGE_METADATA_FILE
 */
export async function checkExports(exports: BuildExports, { plans }: BuildRequest): Promise<void> {
  const { outputs, cacheTo, iidfile, metadataFile } = exports;
  await checkOutputs(outputs, plans.length);
  for (const { place } of cacheTo) if (place.kind === 'local') await requireCacheFolder(place.folder);
  if (iidfile !== undefined) await requireWritableFolder(iidfile, '--iidfile', 'USAGE_IIDFILE');
  if (metadataFile !== undefined) await requireWritableFolder(metadataFile, '--metadata-file', 'USAGE_METADATA_FILE');
}

/** Outputs, then registries, then caches; the files that tell of success last. */
export async function writeExports(
  context: Context,
  flags: BuildFlags,
  exports: BuildExports,
  { request, names }: { readonly request: BuildRequest; readonly names: readonly Reference[] },
  result: BuildResult,
  workshop: Workshop,
): Promise<void> {
  const { signal } = context;
  const isQuiet = flags.quiet || flags.progress === 'quiet';
  await writeOutputs(workshop, result.targets, exports.outputs, {
    signal,
    onWritten: (output) => {
      if (!isQuiet) context.terminal.say(`kiln: wrote ${outputText(output)}`);
    },
  });
  const pushed = exports.push
    ? await pushAll(context, names, workshop, isQuiet, exports)
    : new Map<string, Descriptor>();
  for (const destination of exports.cacheTo) await sendCache(context, request, result, destination, workshop, isQuiet);
  if (exports.metadataFile !== undefined) {
    await writeFile(exports.metadataFile, await buildMetadata(workshop.content, result, pushed, { signal }));
  }
  if (exports.iidfile !== undefined)
    await writeFile(exports.iidfile, result.targets.map(({ descriptor }) => descriptor.digest).join('\n'));
}

async function pushAll(
  context: Context,
  names: readonly Reference[],
  workshop: Workshop,
  quiet: boolean,
  { compression }: Pick<OutputRequest, 'compression'>,
): Promise<PushedNames> {
  const descriptors = new Map<string, Descriptor>();
  for (const name of names) {
    using progress = new CopyProgress('push', context, { quiet });
    const pushed = await pushImage(workshop, name, {
      onEvent: progress.onEvent,
      signal: context.signal,
      ...(compression === undefined ? {} : { compression }),
    });
    progress.note(`${pushed.name}: digest: ${pushed.descriptor.digest} size: ${pushed.descriptor.size}`);
    descriptors.set(pushed.name, pushed.descriptor);
  }
  return descriptors;
}

async function sendCache(
  context: Context,
  request: BuildRequest,
  result: BuildResult,
  destination: CacheDestination,
  workshop: Workshop,
  quiet: boolean,
): Promise<void> {
  const name = placeText(destination.place);
  using progress = new CopyProgress('push', context, { quiet });
  const onEvent = destination.place.kind === 'registry' ? { onEvent: progress.onEvent } : {};
  try {
    const { results, layers } = await exportCache(workshop, request, result, destination, {
      signal: context.signal,
      ...onEvent,
    });
    progress.note(`kiln: cache ${name}: ${results} results, ${layers} layers`);
  } catch (error) {
    context.signal.throwIfAborted();
    if (!destination.ignoreError) throw error;
    warn(context, `cache ${name}: not exported: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Told before the build, not after it. */
async function requireWritableFolder(file: string, flag: string, code: string): Promise<void> {
  const found = await stat(file).catch(() => undefined);
  if (found?.isDirectory()) throw new ToolError(code, `${flag}: ${file} is a folder, where a file is to be written`);
  try {
    await access(path.dirname(file), constants.W_OK);
  } catch (cause) {
    throw new ToolError(code, `${flag}: nothing can be written into ${path.dirname(file)}`, { cause });
  }
}

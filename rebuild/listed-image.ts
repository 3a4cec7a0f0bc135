import { readFile } from 'node:fs/promises';
import path from 'node:path';
import {
  BuildfileError,
  type IgnoreRules,
  type ImageNames,
  type OpenedContext,
  openBuildContext,
  type Plan,
  type Position,
  type Problem,
  planBuildfile,
} from '../builder/index.ts';
import { type CallOptions, canonicalJson, errorCode, type Platform, type Reference, ToolError } from '../core/index.ts';
import { configArea, type ImageEntry, parseConfig, tagOf } from './config.ts';
import { orderImages } from './graph.ts';
import { type Source, sourcesOf } from './sources.ts';

/** An image of kiln.toml with everything needed to build it. */
export interface ListedImage {
  /** Key of kiln.toml. */
  readonly name: string;
  readonly reference: Reference;
  /** The reference in full. */
  readonly tag: string;
  /** Absolute path. */
  readonly contextFolder: string;
  /** Absolute path. */
  readonly buildfile: string;
  readonly ignore: IgnoreRules;
  readonly plan: Plan;
  readonly sources: readonly Source[];
  readonly sourceNames: readonly string[];
  /** Where kiln.toml says its tag. */
  readonly position: Position;
}

export interface LoadOptions extends CallOptions {
  readonly platform: Platform;
  /** Paths in messages are relative to it. Absolute. */
  readonly workingFolder: string;
  /** Seconds; an argument of that name in kiln.toml wins. */
  readonly sourceDateEpoch?: number | undefined;
  /** What names in Buildfiles mean on this machine. */
  readonly imageNames?: ImageNames | undefined;
}

/**
 * Reads kiln.toml, and the Buildfile of every image in it, and puts the images in graph order.
 * @throws BuildfileError REBUILD_INVALID with all problems of kiln.toml, or of the Buildfiles and of how they belong
 *   together; ToolError REBUILD_NOT_FOUND, BUILDFILE_TOO_BIG, IGNORE_INVALID
 */
export async function loadImages(file: string, options: LoadOptions): Promise<readonly ListedImage[]> {
  const absolute = path.resolve(options.workingFolder, file);
  const { images: entries, document } = parseConfig(
    await readConfig(absolute, file, options),
    file,
    path.dirname(absolute),
  );
  const texts = new Map([[document.file, document.text]]);
  const problems = new Map<string, Problem>();
  const images: ListedImage[] = [];
  for (const entry of entries) {
    try {
      images.push(await loadImage(entry, texts, options));
    } catch (error) {
      // Images may share a Buildfile: its problems are told once.
      for (const problem of problemsOf(error, entry)) problems.set(canonicalJson(problem), problem);
    }
  }
  const order = orderImages(images);
  const all = [...problems.values(), ...order.problems];
  if (all.length > 0) throw new BuildfileError(all, texts, configArea);
  return order.images;
}

async function loadImage(entry: ImageEntry, texts: Map<string, string>, options: LoadOptions): Promise<ListedImage> {
  const { imageNames, workingFolder, signal } = options;
  const context = await openBuildContext(entry.contextFolder, { file: entry.file, workingFolder, imageNames, signal });
  texts.set(context.buildfileName, context.buildfileText);
  for (const { name, text } of context.includes.files) texts.set(name, text);
  const plan = planOf(entry, context, options);
  const sources = sourcesOf(plan);
  return {
    name: entry.name,
    reference: entry.reference,
    tag: tagOf(entry),
    contextFolder: context.contextFolder,
    buildfile: context.buildfile,
    ignore: context.ignore,
    plan,
    sources,
    sourceNames: sources.map(({ name }) => name),
    position: entry.positions.tag,
  };
}

function planOf(entry: ImageEntry, context: OpenedContext, { platform, sourceDateEpoch }: LoadOptions): Plan {
  return planBuildfile(context.buildfileText, context.buildfileName, {
    targets: entry.target === undefined ? [] : [entry.target],
    args: entry.args,
    platform,
    buildPlatform: platform,
    sourceDateEpoch: entry.args.has('SOURCE_DATE_EPOCH') ? undefined : sourceDateEpoch,
    baseFolder: context.buildfileFolder,
    includes: context.includes,
    imageName: context.imageNames?.inFull,
  });
}

async function readConfig(absolute: string, shown: string, { signal }: CallOptions): Promise<string> {
  try {
    return await readFile(absolute, { encoding: 'utf8', signal });
  } catch (cause) {
    signal?.throwIfAborted();
    const code = errorCode(cause);
    if (code !== 'ENOENT' && code !== 'ENOTDIR' && code !== 'EISDIR') throw cause;
    throw new ToolError('REBUILD_NOT_FOUND', `there is no list of images at ${shown}`, {
      cause,
      hint: 'write one (docs/rebuild.md), or name it: -f FILE',
    });
  }
}

/**
 * The problems behind an error with one entry. What is not where kiln.toml says, and options that kiln.toml gives, are
 * mistakes in kiln.toml.
 * @throws the error when it is none of these
 */
function problemsOf(error: unknown, { positions, file }: ImageEntry): readonly Problem[] {
  if (error instanceof BuildfileError) {
    return error.problems.map((problem) => {
      const { file: place } = problem.position;
      if (place === '--build-arg') return { ...problem, position: positions.args };
      return place === '--target' ? { ...problem, position: positions.target } : problem;
    });
  }
  if (!(error instanceof ToolError)) throw error;
  switch (error.code) {
    case 'CONTEXT_NOT_FOUND':
      return [{ code: 'REBUILD_BAD_VALUE', message: error.message, position: positions.context }];
    case 'BUILDFILE_NOT_FOUND': {
      const position = file === undefined ? positions.context : positions.file;
      return [{ code: 'REBUILD_BAD_VALUE', message: error.message, position }];
    }
    default:
      throw error;
  }
}

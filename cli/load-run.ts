import { stat } from 'node:fs/promises';
import path from 'node:path';
import {
  type CallOptions,
  type Descriptor,
  errorCode,
  isIndexType,
  maxManifestBytes,
  NotFoundError,
  type Platform,
  parseIndex,
  parsePlatform,
  type ReadableContent,
  readVerified,
  ToolError,
} from '../core/index.ts';
import {
  chosenPlatforms,
  copyImage,
  familiarName,
  fullNameOf,
  layoutDescriptors,
  OciLayout,
  openDockerArchive,
  withoutNames,
} from '../registry/index.ts';
import type { LoadFlags } from './commands/load.ts';
import { openWorkshop } from './compose.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { plainArchive } from './plain-archive.ts';
import { CopyProgress } from './progress/copy.ts';
import { printResult } from './result.ts';
import { harmlessLine } from './terminal-text.ts';

/** All that an archive or a layout lists. */
interface Listed {
  readonly content: ReadableContent;
  readonly entries: readonly Descriptor[];
}

/** `kiln load`. */
export async function runLoad(context: Context, flags: LoadFlags): Promise<number> {
  const platform = flags.platform === undefined ? undefined : parsePlatform(flags.platform);
  await using workshop = await openWorkshop(context);
  await using scratch = await (await workshop.scratch()).make('load');
  const { content, entries } = await listed(context, flags.input ?? '-', scratch.path);
  const images = imagesOf(entries);
  const shown = flags.input ?? 'standard input';
  if (images.length === 0) throw new NotFoundError('REFERENCE_NOT_FOUND', `there is no image in ${shown}`);
  using progress = new CopyProgress('copy', context, { quiet: flags.quiet });
  const { signal } = context;
  for (const { descriptor, names } of images) {
    const chosen = await chosenPlatforms(content, descriptor, platform === undefined ? [] : [platform], { signal });
    const platforms = await platformsThere(content, chosen.root, { signal });
    const root = await copyImage(chosen.content, workshop.content, chosen.root, {
      signal,
      referrers: true,
      onEvent: progress.onEvent,
      ...(platforms === undefined ? {} : { platforms }),
    });
    for (const name of names) await workshop.content.tag(root, name, { signal });
    const { mediaType, digest, size } = root;
    const lines = names.length === 0 ? [digest] : names.map(familiarName);
    printResult(context, flags, { names, mediaType, digest, size }, () =>
      lines.map((line) => harmlessLine(`Loaded image: ${line}`)).join('\n'),
    );
  }
  return exitCodes.ok;
}

async function listed(context: Context, input: string, scratch: string): Promise<Listed> {
  const folder = path.resolve(context.folder, input);
  if (input !== '-' && (await isFolder(folder))) {
    const content = await OciLayout.openReadOnly(folder);
    return { content, entries: layoutDescriptors(await content.readIndex()) };
  }
  const archive = await openDockerArchive(await plainArchive(context, input, scratch), { signal: context.signal });
  return { content: archive, entries: archive.entries };
}

async function isFolder(file: string): Promise<boolean> {
  try {
    return (await stat(file)).isDirectory();
  } catch (cause) {
    if (errorCode(cause) !== 'ENOENT') throw cause;
    throw new ToolError('USAGE_ARGUMENTS', `there is no file ${file}`, { cause });
  }
}

interface ListedImage {
  readonly descriptor: Descriptor;
  readonly names: readonly string[];
}

/** Each image once, with all names it has there. */
function imagesOf(entries: readonly Descriptor[]): ListedImage[] {
  const images = new Map<Descriptor['digest'], { descriptor: Descriptor; names: Set<string> }>();
  for (const entry of entries) {
    // What refers to an image comes with that.
    if (entry.artifactType !== undefined && fullNameOf(entry) === undefined) continue;
    const image = images.get(entry.digest) ?? { descriptor: withoutNames(entry), names: new Set() };
    images.set(entry.digest, image);
    const name = fullNameOf(entry);
    if (name !== undefined) image.names.add(name);
  }
  return Array.from(images.values(), ({ descriptor, names }) => ({ descriptor, names: [...names] }));
}

/** Docker saves an index of which it has one platform's image; undefined when everything is there. */
async function platformsThere(
  content: ReadableContent,
  root: Descriptor,
  { signal }: CallOptions,
): Promise<readonly Platform[] | undefined> {
  if (!isIndexType(root.mediaType)) return undefined;
  const { manifests } = parseIndex(await readVerified(content, root, { signal, maxBytes: maxManifestBytes }));
  const there: Descriptor[] = [];
  for (const child of manifests) if (await content.has(child, { signal })) there.push(child);
  if (there.length === manifests.length) return undefined;
  return there.flatMap(({ platform }) => (platform === undefined ? [] : [platform]));
}

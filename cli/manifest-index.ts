import {
  type Descriptor,
  describe,
  errorCode,
  formatPlatform,
  type Index,
  isDigest,
  isIndexType,
  isManifestType,
  maxConfigBytes,
  maxManifestBytes,
  mediaTypes,
  type Platform,
  parseImageConfig,
  parseIndex,
  parseManifest,
  parsePlatform,
  type ReadableContent,
  readVerified,
  samePlatform,
  serializeManifest,
  streamOf,
  ToolError,
} from '../core/index.ts';
import { checkMediaType, copyImage, type OpenedDestination, openRepository, type Place } from '../registry/index.ts';
import type { ManifestFlags } from './commands/manifest.ts';
import type { Context } from './context.ts';
import { assignment } from './environment-lines.ts';
import { exitCodes } from './exit-codes.ts';
import { besidePlace, isBeside, objectPlace, openObject, openObjectDestination } from './objects.ts';
import { CopyProgress } from './progress/copy.ts';
import { remoteOptions } from './registry-flags.ts';
import { printResult } from './result.ts';

/** `kiln manifest index`. */
export async function makeIndex(
  context: Context,
  flags: ManifestFlags,
  text: string,
  words: readonly string[],
): Promise<number> {
  const { signal } = context;
  const artifactType = flags['artifact-type'];
  if (artifactType !== undefined) checkMediaType(artifactType, 'an index');
  const changes = flags.append || flags.remove.length > 0;
  if (words.length === 0 && !changes) {
    throw new ToolError('USAGE_ARGUMENTS', 'kiln manifest index needs the MANIFESTs of the index', {
      hint: 'name them by tag or digest, such as 1.2-amd64 1.2-arm64',
    });
  }
  const place = objectPlace(context, text);
  const before = changes ? await findIndex(context, flags, place) : undefined;
  await using destination = await openObjectDestination(context, flags, place);
  const added: Descriptor[] = [];
  for (const word of words) added.push(...(await bring(context, flags, place, destination, word)));
  const kept = without(before?.manifests ?? [], flags.remove);
  const annotations = { ...before?.annotations, ...annotationsOf(context, flags) };
  const type = artifactType ?? before?.artifactType;
  const index: Index = {
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    ...(type === undefined ? {} : { artifactType: type }),
    manifests: merged(kept, added),
    ...(before?.subject === undefined ? {} : { subject: before.subject }),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
  const bytes = serializeManifest(index);
  const descriptor = describe(index.mediaType, bytes);
  await destination.target.write(descriptor, streamOf(bytes), { signal });
  await destination.finish(descriptor, { signal });
  printResult(context, flags, { name: destination.name, ...descriptor, manifests: index.manifests }, descriptor.digest);
  return exitCodes.ok;
}

/** The index as it is; undefined when there is none yet. @throws ToolError USAGE_ARGUMENTS where it is something else */
async function findIndex(context: Context, flags: ManifestFlags, place: Place): Promise<Index | undefined> {
  const { signal } = context;
  try {
    await using source = await openObject(context, flags, place);
    const root = await rootWhereWritten(context, flags, place, source.root);
    if (!isIndexType(root.mediaType)) {
      throw new ToolError('USAGE_ARGUMENTS', `${source.name} is one image and no index: nothing can be added to it`, {
        hint: 'give it another name, or leave --append away to replace it',
      });
    }
    return parseIndex(await readVerified(source.content, root, { signal, maxBytes: maxManifestBytes }));
  } catch (error) {
    const isNew = errorCode(error) === 'REFERENCE_NOT_FOUND' || errorCode(error) === 'LAYOUT_NOT_FOUND';
    if (isNew && flags.remove.length === 0) return undefined;
    throw error;
  }
}

/** What the name means at the registry itself: by an old answer of a mirror, later changes would be lost. */
async function rootWhereWritten(
  context: Context,
  flags: ManifestFlags,
  place: Place,
  root: Descriptor,
): Promise<Descriptor> {
  if (place.kind !== 'registry') return root;
  const { reference } = place;
  const repository = openRepository(reference, remoteOptions(context, flags));
  const name = reference.digest ?? reference.tag ?? 'latest';
  return repository.resolve(name, { signal: context.signal, purpose: 'push' });
}

/** An image, or those of an index, now beside the new index, and described with their platforms. */
async function bring(
  context: Context,
  flags: ManifestFlags,
  place: Place,
  destination: OpenedDestination,
  word: string,
): Promise<Descriptor[]> {
  const { signal } = context;
  const from = besidePlace(place, word) ?? objectPlace(context, word);
  await using source = await openObject(context, flags, from);
  const { content, root } = source;
  const images = await imagesOf(content, root, context);
  if (!isBeside(from, place)) {
    using progress = new CopyProgress('push', context);
    const mountFrom = mountable(from, place);
    for (const { mediaType, digest, size } of images) {
      const options = { signal, onEvent: progress.onEvent, ...(mountFrom === undefined ? {} : { mountFrom }) };
      await copyImage(content, destination.target, { mediaType, digest, size }, options);
    }
  }
  return images;
}

async function imagesOf(content: ReadableContent, root: Descriptor, { signal }: Context): Promise<Descriptor[]> {
  const bytes = await readVerified(content, root, { signal, maxBytes: maxManifestBytes });
  if (isIndexType(root.mediaType)) return [...parseIndex(bytes).manifests];
  const { mediaType, digest, size } = root;
  const platform = isManifestType(mediaType) ? await platformIn(content, bytes, { signal }) : undefined;
  const { artifactType } = parseManifest(bytes);
  return [
    {
      mediaType,
      digest,
      size,
      ...(platform === undefined ? {} : { platform }),
      ...(artifactType === undefined ? {} : { artifactType }),
    },
  ];
}

/** What the config says; undefined where it is no image's. */
async function platformIn(
  content: ReadableContent,
  manifest: Buffer,
  { signal }: { readonly signal: AbortSignal },
): Promise<Platform | undefined> {
  const { config } = parseManifest(manifest);
  if (config.mediaType !== mediaTypes.config && config.mediaType !== mediaTypes.dockerConfig) return undefined;
  const bytes = await readVerified(content, config, { signal, maxBytes: maxConfigBytes });
  const { os, architecture, variant } = parseImageConfig(bytes);
  return variant === undefined ? { os, architecture } : { os, architecture, variant };
}

/** Of one platform the later image counts, in the place of the earlier. */
function merged(kept: readonly Descriptor[], added: readonly Descriptor[]): Descriptor[] {
  const entries = [...kept];
  for (const entry of added) {
    const at = entries.findIndex((other) => other.digest === entry.digest || isSamePlatform(other, entry));
    if (at === -1) entries.push(entry);
    else entries[at] = entry;
  }
  return entries;
}

function isSamePlatform(a: Descriptor, b: Descriptor): boolean {
  if (a.platform === undefined || b.platform === undefined) return false;
  // Attestations of build tools all are for `unknown/unknown`.
  return a.platform.os !== 'unknown' && samePlatform(a.platform, b.platform);
}

/** @throws ToolError USAGE_FLAG_VALUE for what the index does not have */
function without(entries: readonly Descriptor[], texts: readonly string[]): Descriptor[] {
  let kept = [...entries];
  for (const text of texts) {
    const platform = isDigest(text) ? undefined : parsePlatform(text);
    const rest = kept.filter((entry) =>
      platform === undefined
        ? entry.digest !== text
        : entry.platform === undefined || !samePlatform(entry.platform, platform),
    );
    if (rest.length === kept.length) {
      const has = kept.map((entry) => (entry.platform === undefined ? entry.digest : formatPlatform(entry.platform)));
      throw new ToolError('USAGE_FLAG_VALUE', `--remove ${text}: the index has ${has.join(', ') || 'nothing'}`);
    }
    kept = rest;
  }
  return kept;
}

/** Blobs need not be moved within a registry. */
function mountable(from: Place, to: Place): string | undefined {
  if (from.kind !== 'registry' || to.kind !== 'registry') return undefined;
  return from.reference.registry === to.reference.registry ? from.reference.repository : undefined;
}

function annotationsOf({ env }: Context, { annotation }: ManifestFlags): Record<string, string> {
  const pairs = annotation.map((text) => assignment(text, '--annotation', env));
  return Object.fromEntries(pairs.filter((pair) => pair !== undefined));
}

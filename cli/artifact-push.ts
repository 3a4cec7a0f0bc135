import path from 'node:path';
import {
  type Descriptor,
  IntegrityError,
  LockFolder,
  parsePlatform,
  ScratchSpace,
  shortDigest,
  type Target,
  ToolError,
} from '../core/index.ts';
import {
  type ArtifactParts,
  artifactAnnotations,
  type CopyEvent,
  checkMediaType,
  copyImage,
  emptyBlob,
  type PackedArtifact,
  type Place,
  packArtifact,
  plainDescriptor,
  selectManifest,
} from '../registry/index.ts';
import { type AnnotationFile, readAnnotationFile } from './annotation-file.ts';
import { configOf, FileContent, type FileOptions, layerOf, parseFileWord } from './artifact-files.ts';
import type { ArtifactFlags } from './commands/artifact.ts';
import type { Context } from './context.ts';
import { assignment } from './environment-lines.ts';
import { exitCodes } from './exit-codes.ts';
import { besidePlace, isBeside, keepReferrer, objectPlace, openObject, openObjectDestination } from './objects.ts';
import { printResult } from './result.ts';
import { homeOf, makeHome } from './store.ts';
import { harmlessLine } from './terminal-text.ts';

/** `kiln artifact push`. */
export async function pushArtifact(
  context: Context,
  flags: ArtifactFlags,
  text: string,
  words: readonly string[],
): Promise<number> {
  const place = objectPlace(context, text);
  const artifactType = flags['artifact-type'];
  if (artifactType !== undefined) checkMediaType(artifactType, 'an artifact');
  const { signal } = context;
  await using scratch = await openScratch(context);
  const subject = flags.subject === undefined ? undefined : await findSubject(context, flags, place, flags.subject);
  const content = new FileContent();
  const parts = await gather(context, flags, words, content, { scratch: scratch.folder, signal });
  const packed = packArtifact({
    ...parts,
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(subject === undefined ? {} : { subject }),
  });
  await using destination = await openObjectDestination(context, flags, place, { isWhole: subject === undefined });
  await send(context, content, packed, destination.target, parts);
  if (subject !== undefined) await keepReferrer(destination.target, packed.descriptor, context);
  await destination.finish(packed.descriptor, { signal });
  report(context, flags, 'Pushed', destination.name, packed, parts);
  return exitCodes.ok;
}

/** `kiln artifact attach`. */
export async function attachArtifact(
  context: Context,
  flags: ArtifactFlags,
  text: string,
  words: readonly string[],
): Promise<number> {
  const artifactType = flags['artifact-type'];
  if (artifactType === undefined) {
    throw new ToolError('USAGE_ARGUMENTS', 'kiln artifact attach needs --artifact-type: what is attached', {
      hint: 'for an SBOM, for example: --artifact-type application/spdx+json',
    });
  }
  checkMediaType(artifactType, 'an artifact');
  if (words.length === 0 && flags.annotation.length === 0 && flags['annotation-file'] === undefined) {
    throw new ToolError('USAGE_ARGUMENTS', 'kiln artifact attach needs a FILE or an --annotation');
  }
  const { signal } = context;
  const place = objectPlace(context, text);
  await using source = await openObject(context, flags, place);
  const platform = flags.platform === undefined ? {} : { platform: parsePlatform(flags.platform) };
  const { descriptor: subject } = await selectManifest(source.content, source.root, { ...platform, signal });
  await using scratch = await openScratch(context);
  const content = new FileContent();
  const parts = await gather(context, flags, words, content, { scratch: scratch.folder, signal });
  const packed = packArtifact({ ...parts, artifactType, subject });
  await using destination = await openObjectDestination(context, flags, place);
  await send(context, content, packed, destination.target, parts);
  await keepReferrer(destination.target, packed.descriptor, context);
  report(context, flags, 'Attached to', source.name, packed, parts);
  return exitCodes.ok;
}

/** A folder for what has to be made before it can be sent; what killed processes left there is removed. */
async function openScratch(context: Context): Promise<ScratchSpace> {
  const home = await makeHome(homeOf(context));
  const locks = new LockFolder(path.join(home, 'locks'));
  return ScratchSpace.open(path.join(home, 'tmp'), locks, { signal: context.signal });
}

/** Subjects are in the repository of what refers to them: a tag or a digest of it will do. */
async function findSubject(context: Context, flags: ArtifactFlags, place: Place, text: string): Promise<Descriptor> {
  const subject = besidePlace(place, text) ?? objectPlace(context, text);
  if (!isBeside(place, subject)) {
    throw new ToolError(
      'USAGE_ARGUMENTS',
      `--subject ${text} is elsewhere: nothing would find the artifact from there`,
      {
        hint: 'copy that image beside the artifact first: kiln copy',
      },
    );
  }
  await using source = await openObject(context, flags, subject);
  return plainDescriptor(source.root);
}

/** What the command line says of the artifact's parts, read and hashed. */
async function gather(
  context: Context,
  flags: ArtifactFlags,
  words: readonly string[],
  content: FileContent,
  options: FileOptions,
): Promise<Pick<ArtifactParts, 'config' | 'layers' | 'annotations'>> {
  const files = words.map(parseFileWord);
  if (files.filter(({ file }) => file === '-').length > 1) {
    throw new ToolError('USAGE_ARGUMENTS', 'standard input can be one FILE only');
  }
  const said: AnnotationFile = await readAnnotationFile(context, flags['annotation-file']);
  const layers: Descriptor[] = [];
  for (const word of files) {
    const layer = await layerOf(context, content, word, options);
    layers.push(annotated(layer, said.files.get(word.file)));
  }
  checkTitles(layers);
  const config =
    flags.config === undefined
      ? undefined
      : annotated(await configOf(context, content, parseFileWord(flags.config), options), said.config);
  content.add(emptyBlob.descriptor.digest, { bytes: emptyBlob.bytes });
  const given = flags.annotation.flatMap((pair) => {
    const read = assignment(pair, '--annotation', context.env);
    return read === undefined ? [] : [read];
  });
  return {
    layers,
    annotations: { ...said.manifest, ...Object.fromEntries(given) },
    ...(config === undefined ? {} : { config }),
  };
}

function annotated(descriptor: Descriptor, more: Readonly<Record<string, string>> | undefined): Descriptor {
  return more === undefined ? descriptor : { ...descriptor, annotations: { ...descriptor.annotations, ...more } };
}

/** Nobody could pull both. */
function checkTitles(layers: readonly Descriptor[]): void {
  const titles = layers.map((layer) => layer.annotations?.[artifactAnnotations.title]);
  const twice = titles.find((title, at) => title !== undefined && titles.indexOf(title) !== at);
  if (twice === undefined) return;
  throw new ToolError('USAGE_ARGUMENTS', `${twice} is named twice`, { hint: 'name each file once' });
}

/** Brings what is missing: blobs side by side, then the manifest. */
async function send(
  context: Context,
  content: FileContent,
  packed: PackedArtifact,
  target: Target,
  { layers }: Pick<ArtifactParts, 'layers'>,
): Promise<void> {
  const { signal, terminal } = context;
  content.add(packed.descriptor.digest, { bytes: packed.bytes });
  const titles = new Map(layers.map((layer) => [layer.digest, layer.annotations?.[artifactAnnotations.title]]));
  const { mediaType, digest, size } = packed.descriptor;
  const onEvent = ({ type, descriptor }: CopyEvent): void => {
    const title = titles.get(descriptor.digest);
    if (title === undefined || type === 'progress' || type === 'start') return;
    const state = type === 'done' ? 'Uploaded' : type === 'skip' ? 'Exists  ' : 'Mounted ';
    terminal.say(`${state} ${shortDigest(descriptor.digest)} ${harmlessLine(title)}`);
  };
  try {
    await copyImage(content, target, { mediaType, digest, size }, { signal, onEvent });
  } catch (cause) {
    if (!(cause instanceof IntegrityError)) throw cause;
    throw new ToolError('USAGE_FILE', `a file is no longer what it was when it was read first: ${cause.message}`, {
      cause,
      hint: 'push again when nothing writes to the files',
    });
  }
}

function report(
  context: Context,
  flags: ArtifactFlags,
  verb: string,
  name: string,
  { descriptor }: PackedArtifact,
  { layers, annotations = {} }: Pick<ArtifactParts, 'layers' | 'annotations'>,
): void {
  const { mediaType, digest, size, artifactType } = descriptor;
  const type = artifactType === undefined ? [] : [`ArtifactType: ${artifactType}`];
  const result = {
    name,
    mediaType,
    digest,
    size,
    ...(artifactType === undefined ? {} : { artifactType }),
    annotations,
    files: layers.map((layer) => ({
      title: layer.annotations?.[artifactAnnotations.title],
      mediaType: layer.mediaType,
      digest: layer.digest,
      size: layer.size,
    })),
  };
  printResult(context, flags, result, [`${verb} ${name}`, ...type, `Digest: ${digest}`].join('\n'));
}

import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, open, readdir } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  type CallOptions,
  type Descriptor,
  IntegrityError,
  mapConcurrent,
  parsePlatform,
  type ReadableContent,
  removeTree,
  ToolError,
  verifying,
} from '../core/index.ts';
import { type ArtifactFile, artifactAnnotations, type OpenedArtifact, openArtifact } from '../registry/index.ts';
import { decompressed } from '../runtime/index.ts';
import type { ArtifactFlags } from './commands/artifact.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { objectPlace, openObject } from './objects.ts';
import { placeFiles, type StagedFile } from './placed-files.ts';
import { printResult } from './result.ts';
import { harmlessLine } from './terminal-text.ts';
import { unpackFolder } from './unpack-folder.ts';
import { warn } from './warn.ts';

/** An artifact refers to one that refers to one: nobody goes further. */
const maxSubjects = 10;
const concurrency = 4;

/** `kiln artifact pull`: everything is fetched and checked beside its place before the first file gets there. */
export async function pullArtifact(context: Context, flags: ArtifactFlags, text: string): Promise<number> {
  if (flags.overwrite && flags['keep-old-files']) {
    throw new ToolError('USAGE_ARGUMENTS', '--overwrite and --keep-old-files exclude each other');
  }
  const { signal } = context;
  const platform = flags.platform === undefined ? {} : { platform: parsePlatform(flags.platform) };
  await using source = await openObject(context, flags, objectPlace(context, text));
  const artifact = await openArtifact(source.content, source.root, { ...platform, signal });
  const subjects = flags['include-subject'] ? await subjectsOf(source.content, artifact, { signal }) : [];
  const files = filesOf([artifact, ...subjects]);
  const folder = path.resolve(context.folder, flags.output ?? '.');
  await using staging = await openStaging(folder);
  const staged = await mapConcurrent([...files.entries()], { concurrency, signal }, async ([at, file], options) => {
    const ready = await fetchFile(source.content, file, path.join(staging.path, String(at)), options);
    context.terminal.say(`Downloaded ${harmlessLine(file.title)}`);
    return ready;
  });
  await placeFiles(folder, staged, { keepsOld: flags['keep-old-files'] });
  report(context, flags, { name: source.name, folder, artifact, files });
  return exitCodes.ok;
}

async function subjectsOf(
  content: ReadableContent,
  artifact: OpenedArtifact,
  options: CallOptions,
): Promise<OpenedArtifact[]> {
  const found: OpenedArtifact[] = [];
  for (let subject = artifact.manifest.subject; subject !== undefined; ) {
    if (found.length >= maxSubjects) {
      throw new ToolError('MANIFEST_INVALID', `the artifact refers to more than ${maxSubjects} others in a row`);
    }
    const opened: OpenedArtifact = await openArtifact(content, subject, options);
    found.push(opened);
    subject = opened.manifest.subject;
  }
  return found;
}

/** @throws ToolError ARTIFACT_TITLE_UNSAFE when two artifacts mean different files by one name */
function filesOf(artifacts: readonly OpenedArtifact[]): ArtifactFile[] {
  const byTitle = new Map<string, ArtifactFile>();
  for (const file of artifacts.flatMap(({ files }) => files)) {
    const other = byTitle.get(file.title) ?? file;
    if (other.descriptor.digest !== file.descriptor.digest) {
      throw new ToolError('ARTIFACT_TITLE_UNSAFE', `both the artifact and its subject have a file ${file.title}`, {
        hint: 'pull them one by one, into folders of their own: -o FOLDER',
      });
    }
    byTitle.set(file.title, other);
  }
  return [...byTitle.values()];
}

/** On the same file system as the places the files are for. */
async function openStaging(folder: string): Promise<AsyncDisposable & { readonly path: string }> {
  await mkdir(folder, { recursive: true });
  const made = await mkdtemp(path.join(folder, '.kiln-pull-'));
  return { path: made, [Symbol.asyncDispose]: () => removeTree(made) };
}

async function fetchFile(
  content: ReadableContent,
  { descriptor, title, isFolder }: ArtifactFile,
  staged: string,
  options: CallOptions,
): Promise<StagedFile> {
  if (!isFolder) {
    await fetchVerified(content, descriptor, staged, options);
    return { staged, title };
  }
  await mkdir(staged);
  await fetchFolder(content, descriptor, staged, options);
  const inner = await folderIn(staged, title);
  return { staged: inner, title };
}

/** @throws IntegrityError BLOB_DIGEST_MISMATCH, BLOB_SIZE_MISMATCH; NotFoundError BLOB_NOT_FOUND */
export async function fetchVerified(
  content: Pick<ReadableContent, 'read'>,
  descriptor: Descriptor,
  file: string,
  options: CallOptions,
): Promise<void> {
  await using handle = await open(file, 'wx', 0o644);
  await pipeline(
    await content.read(descriptor, options),
    verifying(descriptor),
    async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) await handle.appendFile(chunk);
    },
    { signal: options.signal },
  );
  await handle.sync();
}

async function fetchFolder(
  content: ReadableContent,
  descriptor: Descriptor,
  folder: string,
  options: CallOptions,
): Promise<void> {
  const hash = createHash('sha256');
  const blob = await content.read(descriptor, options);
  await pipeline(
    blob,
    verifying(descriptor),
    async (chunks: AsyncIterable<Buffer>) => {
      const tar = decompressed(Readable.from(chunks, { objectMode: false }), compressionOf(descriptor), options);
      await unpackFolder(Readable.from(hashing(tar, hash), { objectMode: false }), folder, options);
    },
    { signal: options.signal },
  );
  const wanted = descriptor.annotations?.[artifactAnnotations.tarDigest];
  if (wanted?.startsWith('sha256:') && wanted !== `sha256:${hash.digest('hex')}`) {
    throw new IntegrityError(
      'BLOB_DIGEST_MISMATCH',
      `the tar in ${descriptor.digest} is not the ${wanted} it claims to be`,
    );
  }
}

async function* hashing(tar: AsyncIterable<Buffer>, hash: ReturnType<typeof createHash>): AsyncGenerator<Buffer, void> {
  for await (const chunk of tar) {
    hash.update(chunk);
    yield chunk;
  }
}

function compressionOf({ mediaType }: Descriptor): 'none' | 'gzip' | 'zstd' {
  if (/[+.]zstd$/.test(mediaType)) return 'zstd';
  return /[+.]tar$/.test(mediaType) || mediaType === 'application/x-tar' ? 'none' : 'gzip';
}

/** The names in the tar begin with the folder's own, as oras writes them; else they are relative to it. */
async function folderIn(staged: string, title: string): Promise<string> {
  let inner = staged;
  for (const name of title.split('/')) {
    const [only, ...others] = await readdir(inner);
    if (only !== name || others.length > 0) return staged;
    inner = path.join(inner, name);
  }
  return inner;
}

function report(
  context: Context,
  flags: ArtifactFlags,
  pulled: {
    readonly name: string;
    readonly folder: string;
    readonly artifact: OpenedArtifact;
    readonly files: readonly ArtifactFile[];
  },
): void {
  const { name, folder, artifact, files } = pulled;
  const { mediaType, digest, size } = artifact.descriptor;
  const { artifactType } = artifact.manifest;
  const count = artifact.unnamed.length;
  if (count > 0) {
    warn(
      context,
      `${count} ${count === 1 ? 'layer has no file name and is' : 'layers have no file name and are'} left out`,
    );
  }
  const result = {
    name,
    mediaType,
    digest,
    size,
    ...(artifactType === undefined ? {} : { artifactType }),
    files: files.map((file) => ({
      path: path.join(folder, file.title),
      title: file.title,
      mediaType: file.descriptor.mediaType,
      digest: file.descriptor.digest,
      size: file.descriptor.size,
    })),
  };
  printResult(context, flags, result, [`Pulled ${harmlessLine(name)}`, `Digest: ${digest}`].join('\n'));
}

import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  type CallOptions,
  type Descriptor,
  type Digest,
  errorCode,
  mediaTypes,
  NotFoundError,
  parseDigest,
  type ReadableContent,
  streamOf,
  ToolError,
} from '../core/index.ts';
import { artifactAnnotations, checkMediaType, packedFolder, parseArtifactTitle } from '../registry/index.ts';
import { encodeLayer } from '../runtime/index.ts';
import { folderEntries } from './artifact-folder.ts';
import type { Context } from './context.ts';

/** What oras says a file is when nobody says so is a tar, which most are not. */
const defaultFileType = 'application/octet-stream';

/** Files of this machine, and bytes at hand, as content that can be copied. */
export class FileContent implements ReadableContent {
  readonly #files = new Map<Digest, { readonly file: string } | { readonly bytes: Uint8Array }>();

  add(digest: Digest, source: { readonly file: string } | { readonly bytes: Uint8Array }): void {
    this.#files.set(digest, source);
  }

  async has({ digest }: Descriptor): Promise<boolean> {
    return this.#files.has(digest);
  }

  async read({ digest }: Descriptor, options: CallOptions & { readonly from?: number } = {}): Promise<Readable> {
    const source = this.#files.get(digest);
    if (source === undefined) throw new NotFoundError('BLOB_NOT_FOUND', `${digest} is none of the files`);
    const { from = 0 } = options;
    if ('bytes' in source) return streamOf(source.bytes.subarray(from));
    return createReadStream(source.file, { highWaterMark: 1 << 20, start: from, signal: options.signal });
  }
}

/** A word of the command line: `FILE`, `FILE:mediatype`, or `-` for standard input. */
export interface FileWord {
  readonly file: string;
  readonly mediaType: string | undefined;
}

/** What follows the last colon is a media type when it looks like one. @throws ToolError ARTIFACT_TYPE_INVALID */
export function parseFileWord(text: string): FileWord {
  const [, file, mediaType] = /^(.+):([^/:]+\/[^/:]+)$/s.exec(text) ?? [];
  if (file === undefined || mediaType === undefined) return { file: text, mediaType: undefined };
  return { file, mediaType: checkMediaType(mediaType, file) };
}

export interface FileOptions extends CallOptions {
  /** For what has to be made first: packed folders, standard input. */
  readonly scratch: string;
}

/**
 * Describes a file or folder as a layer, and adds it to `content`. Folders become tars without times and owners, so that
 * the same files are the same layer.
 * @throws ToolError USAGE_FILE
 */
export async function layerOf(
  context: Context,
  content: FileContent,
  { file, mediaType }: FileWord,
  options: FileOptions,
): Promise<Descriptor> {
  if (file === '-') return spooledLayer(context, content, mediaType ?? defaultFileType, 'stdin', options);
  const title = titleOf(file);
  const place = path.resolve(context.folder, file);
  const isFolder = await isFolderAt(place, file);
  if (!isFolder) {
    const { digest, size } = await hashed(place, file, options);
    content.add(digest, { file: place });
    return {
      mediaType: mediaType ?? defaultFileType,
      digest,
      size,
      annotations: { [artifactAnnotations.title]: title },
    };
  }
  const tar = encodeLayer(folderEntries(place, title), options);
  const packed = path.join(options.scratch, `${createHash('sha256').update(title).digest('hex')}.tar.gz`);
  const { digest, size, tarDigest } = await packedFolder(tar, packed, options);
  content.add(digest, { file: packed });
  return {
    mediaType: mediaType ?? mediaTypes.layerGzip,
    digest,
    size,
    annotations: {
      [artifactAnnotations.tarDigest]: tarDigest,
      [artifactAnnotations.unpack]: 'true',
      [artifactAnnotations.title]: title,
    },
  };
}

/** A plain file without a name: the config. */
export async function configOf(
  context: Context,
  content: FileContent,
  word: FileWord,
  options: FileOptions,
): Promise<Descriptor> {
  const place = path.resolve(context.folder, word.file);
  if (await isFolderAt(place, word.file)) throw unusable(word.file, 'it is a folder');
  const { digest, size } = await hashed(place, word.file, options);
  content.add(digest, { file: place });
  return { mediaType: word.mediaType ?? 'application/vnd.unknown.config.v1+json', digest, size };
}

/** What standard input gives, kept in a file: its digest has to be known before it can be named. */
export async function spoolInput(
  { terminal }: Pick<Context, 'terminal'>,
  file: string,
  { signal }: CallOptions,
): Promise<void> {
  if (terminal.input.isTTY === true) {
    throw new ToolError('USAGE_ARGUMENTS', 'standard input is a terminal', {
      hint: 'name a file, or pipe something into it',
    });
  }
  await pipeline(terminal.input, createWriteStream(file, { flags: 'wx', mode: 0o600 }), { signal });
}

/** @throws ToolError USAGE_FILE */
export async function hashed(
  place: string,
  shown: string,
  { signal }: CallOptions,
): Promise<{ readonly digest: Digest; readonly size: number }> {
  const hash = createHash('sha256');
  let size = 0;
  try {
    await pipeline(
      createReadStream(place, { highWaterMark: 1 << 20 }),
      async (chunks: AsyncIterable<Buffer>) => {
        for await (const chunk of chunks) {
          hash.update(chunk);
          size += chunk.byteLength;
        }
      },
      { signal },
    );
  } catch (cause) {
    signal?.throwIfAborted();
    throw unusable(shown, `it cannot be read (${errorCode(cause)})`, cause);
  }
  return { digest: parseDigest(`sha256:${hash.digest('hex')}`), size };
}

async function spooledLayer(
  context: Context,
  content: FileContent,
  mediaType: string,
  title: string,
  options: FileOptions,
): Promise<Descriptor> {
  const file = path.join(options.scratch, 'stdin');
  await spoolInput(context, file, options);
  const { digest, size } = await hashed(file, 'standard input', options);
  content.add(digest, { file });
  return { mediaType, digest, size, annotations: { [artifactAnnotations.title]: title } };
}

/** The name the file is found by again: the path as it was written, which must lie below this folder. */
function titleOf(file: string): string {
  const clean = path.posix.normalize(file).replace(/\/+$/, '');
  if (!path.posix.isAbsolute(clean) && clean !== '..' && !clean.startsWith('../') && clean !== '.') {
    try {
      return parseArtifactTitle(clean);
    } catch (cause) {
      throw unusable(file, 'no file can be called so wherever it is pulled', cause);
    }
  }
  throw new ToolError('USAGE_FILE', `${JSON.stringify(file)} does not lie below this folder`, {
    hint: 'whoever pulls the artifact gets its files by their paths: change to the folder above the file first',
  });
}

async function isFolderAt(place: string, shown: string): Promise<boolean> {
  try {
    const found = await stat(place);
    if (found.isDirectory() || found.isFile()) return found.isDirectory();
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') throw unusable(shown, 'there is no such file', cause);
    throw unusable(shown, `it cannot be read (${errorCode(cause)})`, cause);
  }
  throw unusable(shown, 'it is neither a file nor a folder');
}

function unusable(file: string, why: string, cause?: unknown): ToolError {
  return new ToolError('USAGE_FILE', `${JSON.stringify(file)} cannot be used: ${why}`, {
    ...(cause === undefined ? {} : { cause }),
  });
}

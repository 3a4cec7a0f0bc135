import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { type CallOptions, ToolError, unreachable } from '../../core/index.ts';
import { decompressed, type Entry, forEachEntry } from '../../runtime/index.ts';
import { type ArchiveFormat, archiveFormatOf, sniffedBytes } from './archive-format.ts';
import { ArchiveTree } from './archive-tree.ts';
import { Spool } from './spool.ts';
import { startTool } from './tool.ts';
import { forEachZipEntry } from './zip-archive.ts';

export interface UnpackOptions extends CallOptions {
  /** An empty folder of one's own, for what is unpacked. */
  readonly folder: string;
  readonly maxBytes?: number;
  readonly maxEntries?: number;
}

/** The content of an archive; its files can be read until it is disposed. */
export interface UnpackedArchive extends AsyncDisposable {
  /** Parents before children. Owners are the archive's. */
  readonly entries: readonly Entry[];
}

const defaultMaxBytes = 64 * 1024 ** 3;
const defaultMaxEntries = 1_000_000;
const chunkBytes = 1024 * 1024;

/**
 * Reads an archive of any supported kind, told by its content: tar, also through gzip, bzip2, xz or zstd, and zip.
 * @throws ToolError FETCH_NOT_AN_ARCHIVE, FETCH_ARCHIVE_*; ENVIRONMENT_MISSING_TOOL where xz or bzip2 is not installed
 */
export async function unpackArchive(file: string, options: UnpackOptions): Promise<UnpackedArchive> {
  const format = archiveFormatOf(await headOf(file));
  if (format === undefined) {
    throw new ToolError(
      'FETCH_NOT_AN_ARCHIVE',
      'it is neither a tar archive (plain, gzip, bzip2, xz, zstd) nor a zip file',
      {
        hint: 'leave unpack away to keep the file as it is',
      },
    );
  }
  const spool = await Spool.create(options.folder, options.maxBytes ?? defaultMaxBytes);
  try {
    const tree = new ArchiveTree(options.maxEntries ?? defaultMaxEntries);
    const visit = async (entry: Entry) => tree.add(await spooled(entry, spool));
    if (format === 'zip') await forEachZipEntry(file, visit, options);
    else await forEachEntry(tarOf(file, format, options), visit, options);
    await spool.flush();
    return { entries: tree.entries(), [Symbol.asyncDispose]: () => spool[Symbol.asyncDispose]() };
  } catch (error) {
    await spool[Symbol.asyncDispose]();
    options.signal?.throwIfAborted();
    throw asArchiveError(error);
  }
}

async function spooled(entry: Entry, spool: Spool): Promise<Entry> {
  if (entry.type !== 'file' || entry.content.kind !== 'stream') return entry;
  const { size, bytes } = await spool.add(entry.content.stream);
  return { ...entry, size, content: { kind: 'stream', stream: bytes } };
}

function tarOf(file: string, format: Exclude<ArchiveFormat, 'zip'>, options: CallOptions): Readable {
  switch (format) {
    case 'tar':
    case 'gzip':
    case 'zstd': {
      const blob = createReadStream(file, { highWaterMark: chunkBytes });
      return format === 'tar' ? blob : decompressed(blob, format, options);
    }
    case 'bzip2':
      return Readable.from(toolOutput(['bzip2', '-dc'], 'bzip2', file, options), { objectMode: false });
    case 'xz':
      // A header can ask for 4 GiB of memory; what xz -9 makes needs 65 MiB.
      return Readable.from(toolOutput(['xz', '-dc', '-qq', '--memlimit-decompress=1GiB'], 'xz-utils', file, options), {
        objectMode: false,
      });
    default:
      throw unreachable(format);
  }
}

/** What a decompressor of the system makes of the file, which it reads itself. */
async function* toolOutput(
  argv: readonly [string, ...string[]],
  packageName: string,
  file: string,
  { signal }: CallOptions,
): AsyncGenerator<Buffer, void> {
  await using input = await open(file, 'r');
  await using tool = await startTool(argv, {
    signal,
    purpose: 'unpacking this archive',
    packageName,
    stdio: [input.fd, 'pipe', 'ignore'],
  });
  const { stdout } = tool.child;
  if (stdout === null) throw new TypeError('there is no output to read');
  yield* stdout as AsyncIterable<Buffer>;
  const status = await tool.ended();
  signal?.throwIfAborted();
  if (status !== 0)
    throw new ToolError('FETCH_ARCHIVE_INVALID', `it cannot be decompressed (${argv[0]}: status ${status})`);
}

async function headOf(file: string): Promise<Buffer> {
  await using handle = await open(file, 'r');
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(sniffedBytes), 0, sniffedBytes, 0);
  return buffer.subarray(0, bytesRead);
}

/** The decoder is made for layers and speaks of them. */
function asArchiveError(error: unknown): unknown {
  if (!(error instanceof ToolError) || !error.code.startsWith('LAYER_')) return error;
  return new ToolError(
    'FETCH_ARCHIVE_INVALID',
    error.message
      .replace(/\bthe layer\b/g, 'the archive')
      .replace(/, which no layer should$/, ', which is not unpacked'),
    {
      cause: error,
      ...(error.code === 'LAYER_UNSUPPORTED' && error.hint !== undefined
        ? { hint: error.hint.replace('the image', 'it') }
        : {}),
    },
  );
}

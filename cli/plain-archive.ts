import { createReadStream, createWriteStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { errorCode, NotFoundError, ToolError } from '../core/index.ts';
import { decompressed } from '../runtime/index.ts';
import type { Context } from './context.ts';

/** Beginnings of what archives are packed with; `docker load` takes all of them. */
const magics = [
  { kind: 'gzip', bytes: Buffer.from('1f8b', 'hex') },
  { kind: 'zstd', bytes: Buffer.from('28b52ffd', 'hex') },
  { kind: 'xz', bytes: Buffer.from('fd377a585a00', 'hex') },
  { kind: 'bzip2', bytes: Buffer.from('425a68', 'hex') },
] as const;

/**
 * The file of an archive, uncompressed and seekable: itself, or what it or standard input (`-`) holds, in `folder`.
 * @param file as the user wrote it
 * @throws NotFoundError LAYOUT_NOT_FOUND; ToolError LAYOUT_INVALID, USAGE_ARGUMENTS
 */
export async function plainArchive(context: Context, file: string, folder: string): Promise<string> {
  const { terminal, signal } = context;
  const place = path.resolve(context.folder, file);
  if (file !== '-' && (await isRegular(place))) {
    const kind = await compressionOf(place);
    return kind === undefined ? place : unpacked(place, kind, folder, file, signal);
  }
  if (file === '-' && terminal.input.isTTY === true) {
    throw new ToolError('USAGE_ARGUMENTS', 'an archive is wanted from standard input, which is a terminal', {
      hint: 'name a file, or pipe an archive into it',
    });
  }
  const spooled = path.join(folder, 'stdin');
  // `<(docker save x)` is a pipe with a name.
  const input = file === '-' ? terminal.input : createReadStream(place);
  await pipeline(input, createWriteStream(spooled, { flags: 'wx', mode: 0o600 }), { signal });
  const kind = await compressionOf(spooled);
  return kind === undefined ? spooled : unpacked(spooled, kind, folder, 'standard input', signal);
}

type Kind = (typeof magics)[number]['kind'];

/** @throws NotFoundError LAYOUT_NOT_FOUND; ToolError LAYOUT_INVALID */
async function isRegular(file: string): Promise<boolean> {
  try {
    const found = await stat(file);
    if (!found.isDirectory()) return found.isFile();
  } catch (cause) {
    if (errorCode(cause) !== 'ENOENT') throw cause;
    throw new NotFoundError('LAYOUT_NOT_FOUND', `there is no file ${file}`, { cause });
  }
  throw new ToolError('LAYOUT_INVALID', `${file} is a folder, not an archive`, { hint: 'a layout is named oci:DIR' });
}

async function compressionOf(file: string): Promise<Kind | undefined> {
  const start = Buffer.alloc(6);
  await using handle = await open(file, 'r');
  await handle.read(start, 0, start.length, 0);
  return magics.find(({ bytes }) => start.subarray(0, bytes.length).equals(bytes))?.kind;
}

async function unpacked(file: string, kind: Kind, folder: string, shown: string, signal: AbortSignal): Promise<string> {
  if (kind === 'xz' || kind === 'bzip2') {
    throw new ToolError('LAYOUT_INVALID', `${shown} is compressed with ${kind}, which Kiln does not read`, {
      hint: `unpack it first: ${kind} -dc ${shown === 'standard input' ? 'FILE' : shown} | kiln load`,
    });
  }
  const tar = path.join(folder, 'archive.tar');
  await using handle = await open(file, 'r');
  const packed = handle.createReadStream({ highWaterMark: 1 << 20, autoClose: false });
  try {
    await pipeline(decompressed(packed, kind, { signal }), createWriteStream(tar, { flags: 'wx', mode: 0o600 }), {
      signal,
    });
  } catch (cause) {
    if (!/^LAYER_/.test(errorCode(cause) ?? '')) throw cause;
    throw new ToolError('LAYOUT_INVALID', `${shown} cannot be decompressed: it is damaged or cut off`, { cause });
  }
  return tar;
}

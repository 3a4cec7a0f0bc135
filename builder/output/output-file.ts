import { randomBytes } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { access, constants, open, realpath, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { type CallOptions, errorCode, ToolError } from '../../core/index.ts';
import type { Workshop } from '../workshop/workshop.ts';
import type { OutputTarget } from './output.ts';

/**
 * Has a file made and puts it where it is wanted: beside its place first, then renamed, so that what was there stays
 * whole until the new file is. Pipes, devices and streams get the bytes out of scratch.
 * @param make writes the file, which does not exist yet
 */
export async function writeOutputFile(
  workshop: Workshop,
  to: OutputTarget,
  make: (file: string) => Promise<void>,
  options: CallOptions = {},
): Promise<void> {
  const place = to.kind === 'file' ? await placeOf(to.file) : undefined;
  if (place?.isReplaced === true) return replaceFile(place.file, make);
  await using scratch = await (await workshop.scratch()).make('output');
  const file = path.join(scratch.path, 'output');
  await make(file);
  const bytes = createReadStream(file, { highWaterMark: 1024 * 1024 });
  if (to.kind === 'stream') await to.write(bytes);
  else await writeChunks(to.file, 'w', bytes, options);
}

/** As `writeOutputFile`, for bytes that need not be in a file to be made. */
export async function writeOutputStream(
  to: OutputTarget,
  chunks: AsyncIterable<Buffer>,
  options: CallOptions = {},
): Promise<void> {
  const place = to.kind === 'file' ? await placeOf(to.file) : undefined;
  if (to.kind === 'stream') return to.write(chunks);
  if (place?.isReplaced !== true) return writeChunks(to.file, 'w', chunks, options);
  return replaceFile(place.file, (file) => writeChunks(file, 'wx', chunks, options));
}

async function writeChunks(
  file: string,
  flags: 'w' | 'wx',
  chunks: AsyncIterable<Buffer>,
  { signal }: CallOptions,
): Promise<void> {
  await using handle = await open(file, flags, 0o644);
  for await (const chunk of chunks) {
    signal?.throwIfAborted();
    await handle.appendFile(chunk);
  }
  // What is no file of its own cannot be synced.
  if (flags === 'wx') await handle.sync();
}

/**
 * That a file can be written there, as far as can be told before.
 * @throws ToolError USAGE_OUTPUT
 */
export async function checkOutputFile(file: string): Promise<void> {
  const { file: place, isReplaced } = await placeOf(file);
  const written = isReplaced ? path.dirname(place) : place;
  try {
    await access(written, constants.W_OK);
  } catch (cause) {
    const why = errorCode(cause) === 'ENOENT' ? 'there is no such folder' : `nothing can be written there`;
    throw new ToolError('USAGE_OUTPUT', `${file} cannot be written: ${written}: ${why}`, { cause });
  }
}

/** A symbolic link is followed: it is what it leads to that is replaced. */
async function placeOf(file: string): Promise<{ readonly file: string; readonly isReplaced: boolean }> {
  const found = await statsOf(file);
  if (found?.isDirectory() === true) {
    throw new ToolError('USAGE_OUTPUT', `${file} is a folder, where a file is to be written`, {
      hint: `name the file: dest=${path.join(file, 'image.tar')}`,
    });
  }
  return found === undefined ? { file, isReplaced: true } : { file: await realpath(file), isReplaced: found.isFile() };
}

async function statsOf(file: string): Promise<Stats | undefined> {
  try {
    return await stat(file);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function replaceFile(file: string, make: (file: string) => Promise<void>): Promise<void> {
  const temporary = path.join(path.dirname(file), `.${path.basename(file)}.${randomBytes(6).toString('hex')}`);
  try {
    await make(temporary);
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

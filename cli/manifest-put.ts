import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import {
  describe,
  errorCode,
  isIndexType,
  maxManifestBytes,
  parseIndex,
  parseManifest,
  streamOf,
  ToolError,
} from '../core/index.ts';
import { isManifestLike, manifestTypeOf } from '../registry/index.ts';
import type { ManifestFlags } from './commands/manifest.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { keepReferrer, objectPlace, openObjectDestination } from './objects.ts';
import { printResult } from './result.ts';

/** `kiln manifest put`: the bytes stay as they are. */
export async function putManifest(context: Context, flags: ManifestFlags, text: string, file: string): Promise<number> {
  const { signal } = context;
  const bytes = file === '-' ? await readInput(context) : await readManifest(path.resolve(context.folder, file), file);
  const mediaType = typeOf(bytes, flags['media-type'], file);
  const parsed = isIndexType(mediaType) ? parseIndex(bytes) : parseManifest(bytes);
  const descriptor = describe(mediaType, bytes);
  const place = objectPlace(context, text);
  await using destination = await openObjectDestination(context, flags, place);
  const { target, name } = destination;
  await target.write(descriptor, streamOf(bytes), { signal });
  if (parsed.subject !== undefined) await keepReferrer(target, descriptor, context);
  await destination.finish(descriptor, { signal });
  printResult(context, flags, { name, ...descriptor }, descriptor.digest);
  return exitCodes.ok;
}

/** @throws ToolError USAGE_FILE, MANIFEST_INVALID */
function typeOf(bytes: Buffer, said: string | undefined, file: string): string {
  const found = manifestTypeOf(bytes);
  const shown = file === '-' ? 'what standard input gave' : file;
  if (found === undefined && said === undefined) {
    throw new ToolError('USAGE_FILE', `${shown} is neither a manifest nor an index`, {
      hint: 'it is JSON with schemaVersion 2, and layers or manifests',
    });
  }
  const mediaType = said ?? found ?? '';
  if (!isManifestLike({ mediaType })) {
    throw new ToolError('USAGE_FILE', `${JSON.stringify(mediaType)} is no media type of a manifest or an index`);
  }
  return mediaType;
}

async function readManifest(place: string, shown: string): Promise<Buffer> {
  try {
    const { size } = await stat(place);
    if (size > maxManifestBytes) throw tooLarge(shown);
    return await readFile(place);
  } catch (cause) {
    if (cause instanceof ToolError) throw cause;
    throw new ToolError('USAGE_FILE', `${JSON.stringify(shown)} cannot be read (${errorCode(cause)})`, { cause });
  }
}

async function readInput({ terminal, signal }: Context): Promise<Buffer> {
  if (terminal.input.isTTY === true) {
    throw new ToolError('USAGE_ARGUMENTS', 'standard input is a terminal', {
      hint: 'name a file, or pipe one into it',
    });
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of terminal.input) {
    signal.throwIfAborted();
    const bytes = Buffer.from(chunk);
    size += bytes.byteLength;
    if (size > maxManifestBytes) throw tooLarge('what standard input gives');
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

function tooLarge(shown: string): ToolError {
  return new ToolError('USAGE_FILE', `${shown} is over ${maxManifestBytes} bytes, too large for a manifest`);
}

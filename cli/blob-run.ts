import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { writeOutputStream } from '../builder/index.ts';
import {
  type Descriptor,
  type Digest,
  errorCode,
  LockFolder,
  NotFoundError,
  type ReadableContent,
  ScratchSpace,
  ToolError,
  verifying,
} from '../core/index.ts';
import { checkMediaType, OciLayout, openRepository, type Place } from '../registry/index.ts';
import { type Action, chooseAction } from './action.ts';
import { hashed, spoolInput } from './artifact-files.ts';
import { type BlobFlags, blobFlags } from './commands/blob.ts';
import { confirm } from './confirm.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { blobReference, openNamedRepository } from './objects.ts';
import { registryFlags, remoteOptions } from './registry-flags.ts';
import { checkResultFlags, printResult, resultFlags } from './result.ts';
import { writeToStandardOutput } from './standard-output.ts';
import { homeOf, makeHome, openContent } from './store.ts';

const actions = {
  get: { usage: 'REPOSITORY@DIGEST [-o FILE]', takes: [1, 1], flags: ['output'] },
  put: { usage: 'REPOSITORY FILE', takes: [2, 2], flags: ['media-type'] },
  rm: { usage: 'REPOSITORY@DIGEST', takes: [1, 1], flags: ['force', 'yes'] },
} as const satisfies Readonly<Record<string, Action<typeof blobFlags>>>;

const common = Object.keys({ ...registryFlags, ...resultFlags }) as (keyof typeof blobFlags)[];

/** `kiln blob`. */
export async function runBlob(
  context: Context,
  flags: BlobFlags,
  action: string,
  words: readonly string[],
): Promise<number> {
  const chosen = chooseAction('blob', actions, blobFlags, common, { action, words, flags });
  checkResultFlags(flags);
  const [text = '', file = ''] = words;
  switch (chosen) {
    case 'get':
      return getBlob(context, flags, text);
    case 'put':
      return putBlob(context, flags, text, file);
    case 'rm':
      return removeBlob(context, flags, text);
  }
}

async function getBlob(context: Context, flags: BlobFlags, text: string): Promise<number> {
  const { terminal, signal, folder } = context;
  const { place, digest } = blobReference(context, text);
  const { output = '-' } = flags;
  if (output === '-' && terminal.out.isTerminal && flags.output === undefined) {
    throw new ToolError('USAGE_ARGUMENTS', 'a blob is not written to a terminal', {
      hint: 'write -o FILE, or -o - if you mean it',
    });
  }
  const { content, descriptor } = await findBlob(context, flags, place, digest);
  const bytes = await content.read(descriptor, { signal });
  await pipeline(
    bytes,
    verifying(descriptor),
    (chunks: AsyncIterable<Buffer>) =>
      output === '-'
        ? writeToStandardOutput(chunks)
        : writeOutputStream({ kind: 'file', file: path.resolve(folder, output) }, chunks, { signal }),
    { signal },
  );
  const { size } = descriptor;
  if (output !== '-') printResult(context, flags, { digest, size, file: output }, digest);
  return exitCodes.ok;
}

async function findBlob(
  context: Context,
  flags: BlobFlags,
  place: Place,
  digest: Digest,
): Promise<{ readonly content: Pick<ReadableContent, 'read'>; readonly descriptor: Descriptor }> {
  if (place.kind === 'registry') {
    const content = openRepository(place.reference, remoteOptions(context, flags));
    return { content, descriptor: await content.describeBlob(digest, { signal: context.signal }) };
  }
  if (place.kind !== 'oci' && place.kind !== 'store') {
    throw new ToolError('USAGE_ARGUMENTS', `blobs of ${place.kind}:… cannot be had one by one`, {
      hint: 'unpack the archive first: kiln copy, to oci:DIR',
    });
  }
  const content = place.kind === 'oci' ? await OciLayout.openReadOnly(place.path) : await openContent(context);
  try {
    const { size } = await stat(content.blobFile(digest));
    return { content, descriptor: { mediaType: 'application/octet-stream', digest, size } };
  } catch (cause) {
    if (errorCode(cause) !== 'ENOENT') throw cause;
    const where = place.kind === 'oci' ? place.path : 'the store';
    throw new NotFoundError('BLOB_UNKNOWN', `${digest} is not in ${where}`, { cause });
  }
}

async function putBlob(context: Context, flags: BlobFlags, text: string, file: string): Promise<number> {
  const { signal } = context;
  const mediaType = checkMediaType(flags['media-type'] ?? 'application/octet-stream', 'a blob');
  const repository = openNamedRepository(context, flags, text);
  await using scratch = await openSpool(context);
  const place = file === '-' ? path.join(scratch.folder, 'stdin') : path.resolve(context.folder, file);
  if (file === '-') await spoolInput(context, place, { signal });
  const { digest, size } = await hashed(place, file === '-' ? 'standard input' : file, { signal });
  const descriptor = { mediaType, digest, size };
  await repository.write(descriptor, createReadStream(place, { highWaterMark: 1 << 20 }), { signal });
  printResult(context, flags, { name: repository.name, ...descriptor }, digest);
  return exitCodes.ok;
}

async function openSpool(context: Context): Promise<ScratchSpace> {
  const home = await makeHome(homeOf(context));
  return ScratchSpace.open(path.join(home, 'tmp'), new LockFolder(path.join(home, 'locks')), {
    signal: context.signal,
  });
}

async function removeBlob(context: Context, flags: BlobFlags, text: string): Promise<number> {
  const { signal } = context;
  const { place, digest } = blobReference(context, text);
  if (place.kind !== 'registry') {
    throw new ToolError('USAGE_ARGUMENTS', 'kiln blob rm deletes blobs of registries', {
      hint: 'what a layout no longer needs goes with the image that needed it',
    });
  }
  const repository = openRepository(place.reference, remoteOptions(context, flags));
  const question = `Delete the blob ${digest} of ${repository.name}? Images that need it cannot be pulled then`;
  if (!(await confirm(context, flags, question))) return exitCodes.ok;
  try {
    await repository.removeBlob(digest, { signal });
  } catch (error) {
    if (!flags.force || !(error instanceof NotFoundError)) throw error;
  }
  printResult(context, flags, { name: repository.name, digest }, `Deleted ${repository.name}@${digest}`);
  return exitCodes.ok;
}

import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import path from 'node:path';
import type { Workshop } from '../builder/index.ts';
import { ToolError } from '../core/index.ts';
import type { FilePlace, Place } from '../registry/index.ts';
import type { Context } from './context.ts';
import { plainArchive } from './plain-archive.ts';
import { writeToStandardOutput } from './standard-output.ts';

/** A source as a file that can be read anywhere; disposing it removes what was made for that. */
export interface ReadablePlace extends AsyncDisposable {
  readonly place: Place;
}

/** A destination as a file; `deliver` sends it to standard output where it is to go there. */
export interface WritablePlace extends AsyncDisposable {
  readonly place: Place;
  deliver(): Promise<void>;
}

/** Paths from this command's folder; archives out of standard input (`-`), or compressed ones, unpacked into scratch. */
export async function readablePlace(context: Context, workshop: Workshop, place: Place): Promise<ReadablePlace> {
  if (place.kind === 'registry' || place.kind === 'store') return { place, async [Symbol.asyncDispose]() {} };
  if (place.kind === 'oci') return { place: absolute(context, place), async [Symbol.asyncDispose]() {} };
  await using cleanup = new AsyncDisposableStack();
  const scratch = cleanup.use(await (await workshop.scratch()).make('archive'));
  const file = await plainArchive(context, place.path, scratch.path);
  const kept = cleanup.move();
  return { place: { ...place, path: file }, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** Paths from this command's folder; an archive for standard output (`-`) is made in scratch first, whole. */
export async function writablePlace(context: Context, workshop: Workshop, place: Place): Promise<WritablePlace> {
  const nothing = { async deliver() {}, async [Symbol.asyncDispose]() {} };
  if (place.kind === 'registry' || place.kind === 'store') return { place, ...nothing };
  if (!isStandardOutput(place)) return { place: absolute(context, place), ...nothing };
  const scratch = await (await workshop.scratch()).make('archive');
  const file = path.join(scratch.path, randomUUID());
  return {
    place: { ...place, path: file },
    deliver: () => writeToStandardOutput(createReadStream(file, { highWaterMark: 1 << 20, signal: context.signal })),
    [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose](),
  };
}

export function isStandardOutput(place: Place): place is FilePlace {
  return (place.kind === 'oci-archive' || place.kind === 'docker-archive') && place.path === '-';
}

/** @throws ToolError USAGE_ARGUMENTS */
export function requirePipe({ terminal }: Context): void {
  if (!terminal.out.isTerminal) return;
  throw new ToolError('USAGE_ARGUMENTS', 'an archive is not written to a terminal', {
    hint: 'name a file, or pipe it into something',
  });
}

function absolute({ folder }: Context, place: FilePlace): FilePlace {
  return { ...place, path: path.resolve(folder, place.path) };
}

import { type CallOptions, type Image, mediaTypes, parseDiffId } from '../../core/index.ts';
import { type ByteString, type Entry, encodeLayer, type FileTime } from '../../runtime/index.ts';
import type { Workshop } from './workshop.ts';

/** Seconds that stand for every time the build itself made. buildfile.md, "The same bytes everywhere" */
export const madeSeconds = 1;

export interface WrittenLayer {
  readonly layer: Image['layers'][number];
  /** Directories that hide what is below them, for the snapshot. */
  readonly opaques: readonly ByteString[];
}

/** Entries → tar → content store; undefined when there are none. */
export async function writeLayer(
  workshop: Workshop,
  entries: AsyncIterable<Entry>,
  options: CallOptions = {},
): Promise<WrittenLayer | undefined> {
  const opaques: ByteString[] = [];
  let count = 0;
  const counted = (async function* () {
    for await (const entry of entries) {
      count += 1;
      if (entry.type === 'opaque') opaques.push(entry.path);
      yield entry;
    }
  })();
  const blob = await workshop.content.ingest(encodeLayer(counted, options), options);
  if (count === 0) return undefined;
  const descriptor = { mediaType: mediaTypes.layer, digest: blob.digest, size: blob.size };
  return { layer: { descriptor, diffId: parseDiffId(blob.digest) }, opaques };
}

/** Entries with times after an explicit SOURCE_DATE_EPOCH set back to it. */
export async function* clampTimes(
  entries: Iterable<Entry> | AsyncIterable<Entry>,
  epoch: number | undefined,
): AsyncGenerator<Entry> {
  for await (const entry of entries) {
    if (epoch === undefined || entry.type === 'whiteout' || entry.type === 'opaque' || entry.mtime.seconds <= epoch)
      yield entry;
    else yield { ...entry, mtime: { seconds: epoch, nanoseconds: 0 } };
  }
}

/** Which times of a changed file system the build made, given when the step began: kernel clocks lag by some ms. */
export function madeTimes(startedAtMs: number, epoch: number | undefined): { from: FileTime; to: FileTime } {
  const made = {
    from: { seconds: Math.floor(startedAtMs / 1000) - 1, nanoseconds: 0 },
    to: { seconds: madeSeconds, nanoseconds: 0 },
  };
  if (epoch === undefined || epoch >= made.from.seconds) return made;
  return { from: { seconds: epoch, nanoseconds: 1 }, to: { seconds: epoch, nanoseconds: 0 } };
}

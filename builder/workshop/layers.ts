import { type CallOptions, type Image, mediaTypes, parseDiffId } from '../../core/index.ts';
import { type ByteString, type Entry, type FileTime, layerChunks } from '../../runtime/index.ts';
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
  entries: Iterable<Entry> | AsyncIterable<Entry>,
  options: CallOptions = {},
): Promise<WrittenLayer | undefined> {
  const opaques: ByteString[] = [];
  let count = 0;
  const note = (entry: Entry): Entry => {
    count += 1;
    if (entry.type === 'opaque') opaques.push(entry.path);
    return entry;
  };
  const blob = await workshop.content.ingestChunks(layerChunks(mapEntries(entries, note), options));
  if (count === 0) return undefined;
  const descriptor = { mediaType: mediaTypes.layer, digest: blob.digest, size: blob.size };
  return { layer: { descriptor, diffId: parseDiffId(blob.digest) }, opaques };
}

/** Entries with times after an explicit SOURCE_DATE_EPOCH set back to it. */
export function clampTimes(
  entries: Iterable<Entry> | AsyncIterable<Entry>,
  epoch: number | undefined,
): Iterable<Entry> | AsyncIterable<Entry> {
  if (epoch === undefined) return entries;
  return mapEntries(entries, (entry) => {
    if (entry.type === 'whiteout' || entry.type === 'opaque' || entry.mtime.seconds <= epoch) return entry;
    return { ...entry, mtime: { seconds: epoch, nanoseconds: 0 } };
  });
}

/** What is at hand stays so: a promise for each of many entries is most of the time that is spent on them. */
function mapEntries(
  entries: Iterable<Entry> | AsyncIterable<Entry>,
  change: (entry: Entry) => Entry,
): Iterable<Entry> | AsyncIterable<Entry> {
  if (Symbol.iterator in entries) return mapped(entries, change);
  return (async function* () {
    for await (const entry of entries) yield change(entry);
  })();
}

function* mapped(entries: Iterable<Entry>, change: (entry: Entry) => Entry): Generator<Entry, void> {
  for (const entry of entries) yield change(entry);
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

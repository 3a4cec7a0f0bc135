import type { CallOptions } from '../../core/index.ts';
import type { Launcher } from '../launcher.ts';
import type { ByteString, Entry } from '../layer/entry.ts';
import { type ScanRecord, scan } from '../layer/scan.ts';
import { HardLinks, isWhiteout, scannedEntry, typeOfMode } from '../layer/scanned-entry.ts';
import { parentOf } from '../layer/whiteout.ts';
import type { SnapshotLayer } from './snapshots.ts';

/** A layer while it is walked along with the others. */
interface Cursor {
  readonly layer: SnapshotLayer;
  readonly opaques: ReadonlySet<string>;
  readonly records: AsyncIterator<ScanRecord>;
  readonly index: number;
  current: ScanRecord | undefined;
  /** Directories of which layers above hide the content. */
  readonly hidden: Set<string>;
}

/**
 * What a stack of layers, topmost first, shows at and below `base`, which is a directory in all of them, or a file in
 * the only one: in bytewise order of the paths, which are relative to the root.
 */
export async function* mergedEntries(
  launcher: Launcher,
  layers: readonly SnapshotLayer[],
  base: ByteString,
  options: CallOptions,
): AsyncGenerator<Entry, void> {
  const cursors = layers.map((layer, index): Cursor => {
    const opaques = new Set<string>(layer.opaques);
    const records = withBase(scan(launcher, layer.directory, { ...options, under: base }), base);
    return { layer, opaques, records, index, current: undefined, hidden: new Set() };
  });
  const links = new HardLinks();
  try {
    for (const cursor of cursors) await advance(cursor);
    for (;;) {
      const path = firstPath(cursors);
      if (path === undefined) return;
      const here = cursors.filter((cursor) => cursor.current?.path === path);
      const entry = shownAt(path, here, links);
      if (entry !== undefined) yield entry;
      for (const cursor of here) await advance(cursor);
    }
  } finally {
    await Promise.allSettled(cursors.map((cursor) => cursor.records.return?.()));
  }
}

async function* withBase(records: AsyncIterable<ScanRecord>, base: ByteString): AsyncGenerator<ScanRecord, void> {
  for await (const record of records) {
    if (base === '') yield record;
    else yield { ...record, path: (record.path === '' ? base : `${base}/${record.path}`) as ByteString };
  }
}

async function advance(cursor: Cursor): Promise<void> {
  const next = await cursor.records.next();
  cursor.current = next.done === true ? undefined : next.value;
}

/** Strings of bytes compare as their bytes do. */
function firstPath(cursors: readonly Cursor[]): ByteString | undefined {
  let first: ByteString | undefined;
  for (const { current } of cursors) {
    if (current !== undefined && (first === undefined || current.path < first)) first = current.path;
  }
  return first;
}

/** overlayfs' rule for one path: the topmost wins; what is no directory, and an opaque one, hide what lies below. */
function shownAt(path: ByteString, cursors: readonly Cursor[], links: HardLinks): Entry | undefined {
  let shown: Entry | undefined;
  let isHidden = false;
  for (const cursor of cursors) {
    const record = cursor.current;
    if (record === undefined) continue;
    const type = typeOfMode(record.mode);
    if (isHidden || (path !== '' && cursor.hidden.has(parentOf(path)))) {
      if (type === 'directory') cursor.hidden.add(path);
      continue;
    }
    if (type !== 'directory') isHidden = true;
    else if (cursor.opaques.has(path)) isHidden = true;
    if (shown !== undefined || type === undefined || isWhiteout(record)) continue;
    const entry = scannedEntry(record, type, Buffer.from(cursor.layer.directory));
    shown = links.entry(record, entry, `${cursor.index}:`);
  }
  return shown;
}

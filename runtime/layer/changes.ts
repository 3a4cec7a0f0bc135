import { type CallOptions, ToolError } from '../../core/index.ts';
import type { Launcher } from '../launcher.ts';
import { displayPath, type Entry, type FileTime } from './entry.ts';
import { overlayMark } from './overlay-xattr.ts';
import { type ScanRecord, scan } from './scan.ts';
import { HardLinks, isWhiteout, scannedEntry, typeOfMode } from './scanned-entry.ts';

export interface ChangesOptions extends CallOptions {
  /**
   * A modification time that is `from` or later becomes `to`, in the entry and on disk, so that the snapshot equals
   * its blob; sockets, which no layer can hold, are removed from disk with it.
   */
  readonly clamp?: { readonly from: FileTime; readonly to: FileTime };
  /**
   * Whose marks are overlayfs' own: `trusted.overlay.*` for root, `user.overlay.*` inside a user namespace; both when
   * not given. A build step of root's can set the other kind, which then means nothing.
   */
  readonly marks?: 'trusted' | 'user';
}

/**
 * What an overlay's upper directory changed, in bytewise order of the paths, the upper directory itself left out.
 * Whiteouts and opaque directories become entries; a later name of a file becomes a hard link to the first; overlayfs'
 * own attributes are dropped and sockets skipped.
 * @throws ToolError SCAN_FAILED, LAYER_OVERLAY_UNSUPPORTED for what only overlay options that Kiln never sets leave
 */
export async function* changesOf(
  launcher: Launcher,
  upper: string,
  options: ChangesOptions = {},
): AsyncGenerator<Entry, void> {
  const links = new HardLinks();
  const directory = Buffer.from(upper);
  for await (const record of scan(launcher, upper, options)) {
    const type = typeOfMode(record.mode);
    if (record.path === '' || type === undefined) continue;
    if (isWhiteout(record)) {
      yield { type: 'whiteout', path: record.path };
      continue;
    }
    const isOpaque = readMarks(record, options.marks) === 'opaque';
    yield links.entry(record, scannedEntry(record, type, directory));
    if (isOpaque && type === 'directory') yield { type: 'opaque', path: record.path };
  }
}

/**
 * Everything in a plain directory, in the same order and form; the directory itself is left out.
 * @throws ToolError SCAN_FAILED
 */
export async function* treeOf(
  launcher: Launcher,
  directory: string,
  options: ChangesOptions = {},
): AsyncGenerator<Entry, void> {
  const links = new HardLinks();
  for await (const record of scan(launcher, directory, options)) {
    const type = typeOfMode(record.mode);
    if (record.path === '' || type === undefined) continue;
    yield links.entry(record, scannedEntry(record, type, Buffer.from(directory)));
  }
}

function readMarks(record: ScanRecord, own: ChangesOptions['marks']): 'opaque' | undefined {
  let result: 'opaque' | undefined;
  for (const [name, value] of record.xattrs) {
    const mark = own === undefined || name.startsWith(`${own}.`) ? overlayMark(name) : undefined;
    const isUnknownOpaque = mark === 'opaque' && value.toString('latin1') !== 'y';
    if (mark === 'redirect' || mark === 'metacopy' || mark === 'whiteout' || isUnknownOpaque) {
      throw new ToolError(
        'LAYER_OVERLAY_UNSUPPORTED',
        `${displayPath(record.path)} has the overlayfs mark ${name}, which cannot be translated into a layer`,
        { hint: 'do not set attributes of overlayfs inside a build' },
      );
    }
    if (mark === 'opaque') result = 'opaque';
  }
  return result;
}

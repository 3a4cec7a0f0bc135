import { type CallOptions, formatPlatform } from '../../core/index.ts';
import { type ByteString, byteString, type Entry, mergedEntries } from '../../runtime/index.ts';
import type { BuiltTarget } from '../engine/build-images.ts';
import { openLayerFiles } from '../workshop/layer-files.ts';
import { madeSeconds } from '../workshop/layers.ts';
import type { Workshop } from '../workshop/workshop.ts';

/**
 * The files of built images: of one target and platform just so, of several each in a folder of its own, as BuildKit
 * names them (`linux_amd64`), below the target's. The root itself is left out: it belongs to whoever unpacks it.
 */
export async function* rootEntries(
  workshop: Workshop,
  targets: readonly BuiltTarget[],
  options: CallOptions,
): AsyncGenerator<Entry, void> {
  for (const target of [...targets].sort((a, b) => (a.target < b.target ? -1 : 1))) {
    const targetFolder = targets.length === 1 ? [] : [target.target];
    yield* folders(targetFolder);
    const images = target.images.map((image) => ({
      folder: target.images.length === 1 ? [] : [formatPlatform(image.platform).replaceAll('/', '_')],
      layers: image.end.layers,
    }));
    for (const { folder, layers } of images.sort((a, b) => ((a.folder[0] ?? '') < (b.folder[0] ?? '') ? -1 : 1))) {
      const prefix = [...targetFolder, ...folder];
      if (folder.length > 0) yield* folders(prefix);
      await using opened = await openLayerFiles(workshop, layers, options);
      for await (const entry of mergedEntries(opened.files, { ...options, isComplete: true })) {
        if (entry.path !== '') yield prefix.length === 0 ? entry : moved(entry, `${prefix.join('/')}/`);
      }
    }
  }
}

function* folders(path: readonly string[]): Generator<Entry, void> {
  if (path.length === 0) return;
  const mtime = { seconds: madeSeconds, nanoseconds: 0 };
  yield { type: 'directory', path: byteString(path.join('/')), mode: 0o755, uid: 0, gid: 0, mtime };
}

function moved(entry: Entry, prefix: string): Entry {
  const place = (path: ByteString) => (byteString(prefix) + path) as ByteString;
  if (entry.type === 'hardlink') return { ...entry, path: place(entry.path), target: place(entry.target) };
  return { ...entry, path: place(entry.path) };
}

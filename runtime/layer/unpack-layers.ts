import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  type CallOptions,
  type DiffId,
  digestAlgorithm,
  digestHex,
  IntegrityError,
  ToolError,
} from '../../core/index.ts';
import type { Launcher } from '../launcher.ts';
import { ApplyProcess, type ApplyReport } from './apply-process.ts';
import { forEachEntry } from './decode.ts';
import { type ByteString, displayPath, type Entry } from './entry.ts';
import { type DirectoryNode, emptyDirectory, LayerModel, type LayerNode, overlay, undescribed } from './layer-model.ts';
import { nameOf, parentOf } from './whiteout.ts';

export interface UnpackedLayer {
  readonly diffId: DiffId;
  /** Its uncompressed tar, from the start. */
  open(options: CallOptions): Promise<Readable>;
}

export interface UnpackLayersOptions extends CallOptions {
  readonly userXattrs: boolean;
  /** The entry as it is to be made; undefined: not at all. What it throws ends all. */
  readonly adapt: (entry: Entry) => Entry | undefined;
}

type Tree = DirectoryNode<undefined>;

/**
 * Makes the files of several layers in an empty directory, reading each tar once and keeping none: from the topmost
 * down, what a higher layer has or hides is passed over. Tars are verified when they were read to their ends, so the
 * directory counts only once this returned.
 * @param layers lowest first
 * @throws ToolError LAYER_UNORDERED for the few archives that cannot be unpacked so (`mergedEntries` can);
 *   LAYER_INVALID, LAYER_ID_UNMAPPED, LAYER_APPLY_FAILED; IntegrityError LAYER_DIFFID_MISMATCH
 */
export async function unpackLayers(
  launcher: Launcher,
  layers: readonly UnpackedLayer[],
  directory: string,
  options: UnpackLayersOptions,
): Promise<ApplyReport> {
  await using process = new ApplyProcess(launcher, directory, options);
  let above: Tree = emptyDirectory();
  for (const layer of layers.toReversed()) {
    const model = new LayerModel<undefined>();
    await forEachEntry(
      Readable.from(verified(await layer.open(options), layer.diffId), { objectMode: false }),
      (entry) => {
        requireOrdered(model.root, above, entry);
        const isShown = entry.type !== 'whiteout' && entry.type !== 'opaque' && shows(above, entry);
        model.add(withoutContent(entry), undefined);
        const wanted = isShown ? options.adapt(entry) : undefined;
        return wanted === undefined ? undefined : process.apply(wanted);
      },
      options,
    );
    overlay(model.root, above);
    above = model.root;
  }
  for (const path of undescribedIn(above)) {
    const wanted = options.adapt({ ...undescribed(path) });
    if (wanted !== undefined) await process.apply(wanted);
  }
  return await process.finish();
}

async function* verified(tar: Readable, diffId: DiffId): AsyncGenerator<Buffer, void> {
  const hash = createHash(digestAlgorithm(diffId));
  for await (const chunk of tar as AsyncIterable<Buffer>) {
    hash.update(chunk);
    yield chunk;
  }
  if (hash.digest('hex') === digestHex(diffId)) return;
  throw new IntegrityError('LAYER_DIFFID_MISMATCH', `the layer ${diffId} decompresses to other bytes`, {
    hint: 'the image is damaged or lying; get it again or tell who published it',
  });
}

/** Nothing of the layers above is at its path, or only a directory that none of them describes. */
function shows(above: Tree, entry: Entry): boolean {
  if (entry.path === '') return above.described === undefined;
  let node: Tree = above;
  for (let at = 0; ; ) {
    if (node.isOpaque) return false;
    const slash = entry.path.indexOf('/', at);
    const child = node.children.get(entry.path.slice(at, slash === -1 ? undefined : slash));
    if (child === undefined) return true;
    if (child.kind !== 'directory') return false;
    if (slash === -1) return entry.type === 'directory' && child.described === undefined;
    node = child;
    at = slash + 1;
  }
}

/**
 * What one pass from the top cannot do: paths through links of the same layer, a path that changes between directory
 * and file within one, and a name for a file whose first name a higher layer hides.
 */
function requireOrdered(own: Tree, above: Tree, entry: Entry): void {
  if (entry.path === '') return;
  const here = nodeAt(own, entry.path);
  if (here === 'beyond') throw unordered(entry.path);
  if (entry.type === 'whiteout' || entry.type === 'opaque') return;
  const isReplaced = here !== undefined && here.kind !== 'whiteout';
  if (isReplaced && (here.kind === 'directory') !== (entry.type === 'directory')) throw unordered(entry.path);
  if (entry.type !== 'hardlink' || !shows(above, entry)) return;
  const target = nodeAt(own, entry.target);
  if (target === 'beyond' || !shows(above, { ...entry, path: entry.target })) throw unordered(entry.path);
}

/** `beyond`: the way there leads through something that is no directory. */
function nodeAt(tree: Tree, path: ByteString): LayerNode<undefined> | 'beyond' | undefined {
  let node: LayerNode<undefined> = tree;
  for (const name of [...parentOf(path).split('/'), nameOf(path)]) {
    if (name === '') continue;
    if (node.kind !== 'directory') return 'beyond';
    const child: LayerNode<undefined> | undefined = node.children.get(name);
    if (child === undefined) return undefined;
    node = child;
  }
  return node;
}

function unordered(path: ByteString): ToolError {
  return new ToolError('LAYER_UNORDERED', `${displayPath(path)} needs all layers at once to be unpacked`);
}

/** The tree keeps names and metadata only. */
function withoutContent(entry: Entry): Entry {
  return entry.type === 'file' ? { ...entry, content: { kind: 'bytes', bytes: Buffer.alloc(0) } } : entry;
}

/** Directories that no layer describes; some of them only hold what hid something. */
function* undescribedIn(directory: Tree, prefix = ''): Generator<ByteString, void> {
  for (const [name, node] of directory.children) {
    if (node.kind !== 'directory') continue;
    const path = `${prefix}${name}` as ByteString;
    if (node.described === undefined || node.described.path === '') yield path;
    yield* undescribedIn(node, `${path}/`);
  }
}

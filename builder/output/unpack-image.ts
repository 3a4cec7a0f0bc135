import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream';
import {
  type CallOptions,
  errorCode,
  type Image,
  layerCompression,
  type ReadableContent,
  removeTree,
  ToolError,
  verifying,
} from '../../core/index.ts';
import {
  applyEntries,
  type ByteString,
  decompressed,
  displayPath,
  type Entry,
  mergedEntries,
  type UnpackedLayer,
  unpackLayers,
} from '../../runtime/index.ts';
import { openLayerFiles } from '../workshop/layer-files.ts';
import type { Workshop } from '../workshop/workshop.ts';

/** setuid and setgid: for an owner who is not the file's. */
const ownerBits = 0o6000;

export interface UnpackOptions extends CallOptions {
  /** Where the layers are. */
  readonly content: ReadableContent;
  /** Everything belongs to this user instead of its owner. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Device nodes: made, left out, or an error. */
  readonly devices: 'make' | 'omit' | 'refuse';
}

/**
 * Makes the root file system of an image in a folder that is missing or empty. A new one appears whole; an empty one is
 * empty again when this fails.
 * @returns attributes and devices that could not be set or made here
 * @throws ToolError UNPACK_FOLDER, UNPACK_DEVICE, LAYER_*; IntegrityError
 */
export async function unpackImage(
  workshop: Workshop,
  image: Image,
  folder: string,
  options: UnpackOptions,
): Promise<readonly ByteString[]> {
  const isThere = await isEmptyFolder(folder);
  const temporary = path.join(path.dirname(folder), `.${path.basename(folder)}.${randomBytes(6).toString('hex')}`);
  const place = isThere ? folder : temporary;
  try {
    if (!isThere) await makeFolder(place, folder);
    const skipped = await fill(workshop, image, place, options);
    if (!isThere) await rename(temporary, folder);
    return skipped;
  } catch (error) {
    if (isThere) await emptyFolder(folder);
    else await removeTree(temporary);
    throw error;
  }
}

async function fill(
  workshop: Workshop,
  image: Image,
  place: string,
  options: UnpackOptions,
): Promise<readonly ByteString[]> {
  const { signal } = options;
  const { launcher, userXattrs } = workshop.options;
  const adapt = (entry: Entry): Entry | undefined => makeable(entry, options);
  try {
    const layers = image.layers.map((layer) => unpackedLayer(options.content, layer));
    return (await unpackLayers(launcher, layers, place, { userXattrs, adapt, signal })).skipped;
  } catch (error) {
    if (errorCode(error) !== 'LAYER_UNORDERED') throw error;
  }
  await emptyFolder(place);
  await using opened = await openLayerFiles(workshop, image.layers, options);
  const entries = mapped(mergedEntries(opened.files, { isComplete: true, signal }), adapt);
  return (await applyEntries(launcher, entries, place, { userXattrs, signal })).skipped;
}

function unpackedLayer(content: ReadableContent, { descriptor, diffId }: Image['layers'][number]): UnpackedLayer {
  return {
    diffId,
    async open(call) {
      const blob = await content.read(descriptor, call);
      // A failure destroys the last stream with its error, which is where the reader meets it.
      const checked = pipeline(blob, verifying(descriptor), () => {});
      return decompressed(checked, layerCompression(descriptor.mediaType) ?? 'none', call);
    },
  };
}

async function* mapped(
  entries: AsyncIterable<Entry>,
  adapt: (entry: Entry) => Entry | undefined,
): AsyncGenerator<Entry, void> {
  for await (const entry of entries) {
    const wanted = adapt(entry);
    if (wanted !== undefined) yield wanted;
  }
}

/** The entry as it can and shall be made here. @throws ToolError UNPACK_DEVICE */
function makeable(entry: Entry, options: UnpackOptions): Entry | undefined {
  if (entry.type === 'whiteout' || entry.type === 'opaque') return undefined;
  if (entry.type === 'character' || entry.type === 'block') {
    if (options.devices === 'omit') return undefined;
    if (options.devices === 'refuse') throw deviceError(entry.path);
  }
  return options.owner === undefined ? entry : owned(entry, options.owner);
}

type FileSystemEntry = Exclude<Entry, { readonly type: 'whiteout' | 'opaque' }>;

function owned(entry: FileSystemEntry, owner: { readonly uid: number; readonly gid: number }): Entry {
  const { xattrs, ...rest } = entry;
  // What the kernel takes from ordinary users: neither capabilities nor access lists of others.
  const kept = [...(xattrs ?? [])].filter(([name]) => name.startsWith('user.'));
  // Into a folder that its owner may not write nothing could be put.
  const mode = (entry.mode & ~ownerBits) | (entry.type === 'directory' ? 0o700 : 0);
  return { ...rest, ...owner, mode, ...(kept.length === 0 ? {} : { xattrs: new Map(kept) }) };
}

/** False when there is none. @throws ToolError UNPACK_FOLDER */
async function isEmptyFolder(folder: string): Promise<boolean> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') return false;
    const why = errorCode(cause) === 'ENOTDIR' ? 'is not a folder' : `cannot be read (${errorCode(cause)})`;
    throw new ToolError('UNPACK_FOLDER', `${folder} ${why}`, { cause });
  }
  if (names.length === 0) return true;
  throw new ToolError('UNPACK_FOLDER', `${folder} is not empty`, {
    hint: 'name a folder that is new or empty: an image is not unpacked over other files',
  });
}

async function makeFolder(place: string, folder: string): Promise<void> {
  try {
    await mkdir(path.dirname(folder), { recursive: true });
    await mkdir(place, { mode: 0o755 });
    // Whatever the umask.
    await chmod(place, 0o755);
  } catch (cause) {
    throw new ToolError('UNPACK_FOLDER', `${folder} cannot be made (${errorCode(cause)})`, { cause });
  }
}

/** Names need not be UTF-8: they are moved as bytes into a folder, which is then removed. */
async function emptyFolder(folder: string): Promise<void> {
  const names = await readdir(folder, { encoding: 'buffer' });
  const trash = await mkdtemp(path.join(folder, '.kiln-'));
  for (const name of names) {
    await rename(Buffer.concat([Buffer.from(`${folder}/`), name]), Buffer.concat([Buffer.from(`${trash}/`), name]));
  }
  await removeTree(trash);
}

function deviceError(place: ByteString): ToolError {
  return new ToolError(
    'UNPACK_DEVICE',
    `the image has a device node, ${displayPath(place)}, which only root can make`,
    {
      hint: 'run this as root, or leave device nodes out: --no-devices',
    },
  );
}

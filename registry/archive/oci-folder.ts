import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rmdir } from 'node:fs/promises';
import path from 'node:path';
import {
  type CallOptions,
  type Descriptor,
  errorCode,
  type LockFolder,
  type ReadableContent,
  removeTree,
  ToolError,
  writeFileAtomic,
} from '../../core/index.ts';
import { copyImage } from '../copy-image.ts';
import { type LayoutIndex, layoutDescriptors, refNameAnnotation, serializeLayoutIndex } from '../oci-index.ts';
import { OciLayout } from '../oci-layout.ts';
import { OciLayoutReader } from '../oci-layout-reader.ts';
import { imageNameAnnotation, nameAnnotations } from './image-archive.ts';

/** An image to be put somewhere, with the names it shall be found by. */
export interface NamedImage {
  readonly descriptor: Descriptor;
  /** Full names; one without names is found as the only one there. */
  readonly names: readonly string[];
}

/**
 * Puts images into an OCI layout in a folder. A new folder appears whole; in a layout that is there, images of the same
 * names are replaced and the others stay, and what only the replaced ones needed is deleted.
 * @throws ToolError LAYOUT_INVALID when the folder holds something else
 */
export async function writeOciFolder(
  content: ReadableContent,
  folder: string,
  images: readonly NamedImage[],
  options: CallOptions & { readonly locks: LockFolder },
): Promise<void> {
  const found = await namesIn(folder);
  if (found !== undefined && found.length > 0) {
    if (found.includes('oci-layout')) return fill(content, folder, images, options);
    throw new ToolError('LAYOUT_INVALID', `${folder} is neither empty nor an OCI layout`, {
      hint: 'name a folder that does not exist yet',
    });
  }
  const temporary = path.join(path.dirname(folder), `.${path.basename(folder)}.${randomBytes(6).toString('hex')}`);
  try {
    await mkdir(path.dirname(folder), { recursive: true });
    await fill(content, temporary, images, options);
    await rename(temporary, folder);
  } catch (error) {
    await removeTree(temporary);
    throw error;
  }
}

async function fill(
  content: ReadableContent,
  folder: string,
  images: readonly NamedImage[],
  options: CallOptions & { readonly locks: LockFolder },
): Promise<void> {
  const { signal } = options;
  const layout = await OciLayout.open(folder, options);
  const before = await layout.reachable([]);
  for (const { descriptor } of images) await copyImage(content, layout, descriptor, { signal });
  const index = images.reduce(withImage, await (await OciLayoutReader.open(folder)).readIndex());
  await writeFileAtomic(path.join(folder, 'index.json'), serializeLayoutIndex(index));
  await layout.removeBlobs(before, { signal, usedBeforeMs: Number.POSITIVE_INFINITY });
  await rmdir(path.join(folder, '.incoming')).catch(() => undefined);
}

function withImage(index: LayoutIndex, { descriptor, names }: NamedImage): LayoutIndex {
  const { mediaType, digest, size } = descriptor;
  const isReplaced = (entry: Descriptor): boolean => {
    const name = entry.annotations?.[imageNameAnnotation];
    if (name !== undefined) return names.includes(name);
    return entry.digest === digest || (names.length === 0 && entry.annotations?.[refNameAnnotation] === undefined);
  };
  const kept = layoutDescriptors(index).filter((entry) => !isReplaced(entry));
  const taken = new Set(kept.map((entry) => entry.annotations?.[refNameAnnotation]));
  const added = names.map((name): Descriptor => {
    const short = nameAnnotations(name, 1);
    const annotations = taken.has(short[refNameAnnotation]) ? nameAnnotations(name, 2) : short;
    return { mediaType, digest, size, annotations };
  });
  return { ...index, entries: [...kept, ...(names.length === 0 ? [{ mediaType, digest, size }] : added)] };
}

async function namesIn(folder: string): Promise<string[] | undefined> {
  try {
    return await readdir(folder);
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') return undefined;
    if (errorCode(cause) === 'ENOTDIR') throw new ToolError('LAYOUT_INVALID', `${folder} is not a folder`, { cause });
    throw cause;
  }
}

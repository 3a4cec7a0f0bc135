import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rmdir } from 'node:fs/promises';
import path from 'node:path';
import {
  type CallOptions,
  type Descriptor,
  type Digest,
  errorCode,
  type LockFolder,
  type ReadableContent,
  removeTree,
  ToolError,
  writeFileAtomic,
} from '../../core/index.ts';
import { copyImage } from '../copy/copy-image.ts';
import { type LayoutIndex, layoutDescriptors, refNameAnnotation, serializeLayoutIndex } from '../layout/oci-index.ts';
import { OciLayout } from '../layout/oci-layout.ts';
import { OciLayoutReader } from '../layout/oci-layout-reader.ts';
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
  const { signal } = options;
  await using opened = await OciFolder.open(folder, options);
  for (const { descriptor } of images) await copyImage(content, opened.layout, descriptor, { signal });
  await opened.finishWith(images, { signal });
}

/**
 * An OCI layout in a folder while images are put into it: a new one is made beside its place, and gets there when it is
 * finished; disposing removes it when it was not. In one that is there, blobs without a name are all that may be left.
 */
export class OciFolder implements AsyncDisposable {
  readonly layout: OciLayout;
  readonly #folder: string;
  /** Where it is meanwhile; undefined when it is in its place. */
  #temporary: string | undefined;
  readonly #before: ReadonlySet<Digest>;

  private constructor(folder: string, temporary: string | undefined, layout: OciLayout, before: ReadonlySet<Digest>) {
    this.#folder = folder;
    this.#temporary = temporary;
    this.layout = layout;
    this.#before = before;
  }

  /** @throws ToolError LAYOUT_INVALID when the folder holds something else */
  static async open(folder: string, options: { readonly locks: LockFolder }): Promise<OciFolder> {
    const found = await namesIn(folder);
    const isThere = found !== undefined && found.length > 0;
    if (isThere && !found.includes('oci-layout')) {
      throw new ToolError('LAYOUT_INVALID', `${folder} is neither empty nor an OCI layout`, {
        hint: 'name a folder that does not exist yet',
      });
    }
    const beside = path.join(path.dirname(folder), `.${path.basename(folder)}.${randomBytes(6).toString('hex')}`);
    const temporary = isThere ? undefined : beside;
    try {
      if (temporary !== undefined) await mkdir(path.dirname(folder), { recursive: true });
      const layout = await OciLayout.open(temporary ?? folder, options);
      return new OciFolder(folder, temporary, layout, await layout.reachable([]));
    } catch (error) {
      if (temporary !== undefined) await removeTree(temporary);
      throw error;
    }
  }

  /** Lists images that are here now, each under its names, in place of those that had them. */
  finishWith(images: readonly NamedImage[], call: CallOptions = {}): Promise<void> {
    return this.finish((index) => images.reduce(withImage, index), call);
  }

  /** Writes the index, and deletes what only images that it no longer lists needed. */
  async finish(change: (index: LayoutIndex) => LayoutIndex, { signal }: CallOptions = {}): Promise<void> {
    const folder = this.#temporary ?? this.#folder;
    const index = change(await (await OciLayoutReader.open(folder)).readIndex());
    await writeFileAtomic(path.join(folder, 'index.json'), serializeLayoutIndex(index));
    await this.layout.removeBlobs(this.#before, { signal, usedBeforeMs: Number.POSITIVE_INFINITY });
    await rmdir(path.join(folder, '.incoming')).catch(() => undefined);
    if (this.#temporary === undefined) return;
    await rename(this.#temporary, this.#folder);
    this.#temporary = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#temporary !== undefined) await removeTree(this.#temporary);
  }
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

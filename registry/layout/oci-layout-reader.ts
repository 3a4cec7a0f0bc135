import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import {
  type CallOptions,
  type Descriptor,
  type Digest,
  digestAlgorithm,
  digestHex,
  errorCode,
  isDigest,
  maxManifestBytes,
  NotFoundError,
  nearest,
  type ReadableContent,
  type ReadOptions,
  type ReferrerLister,
  type Resolver,
  ToolError,
} from '../../core/index.ts';
import { manifestTypeOf } from '../manifest-type.ts';
import {
  type LayoutIndex,
  layoutDescriptors,
  type NamedDescriptor,
  namedDescriptors,
  parseLayoutIndex,
  refNameAnnotation,
  withoutRefName,
} from './oci-index.ts';
import { listedReferrers } from './referrer-entries.ts';

const maxIndexBytes = 64 * 1024 * 1024;
const maxMarkerBytes = 4096;
const readChunkBytes = 1024 * 1024;

/** Reads an OCI layout that anybody may have written. image-spec, image-layout.md */
export class OciLayoutReader implements ReadableContent, Resolver, ReferrerLister {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** @throws NotFoundError LAYOUT_NOT_FOUND; ToolError LAYOUT_INVALID */
  static async open(folder: string): Promise<OciLayoutReader> {
    const marker = path.join(folder, 'oci-layout');
    let text: string;
    try {
      text = await readText(marker, maxMarkerBytes);
    } catch (cause) {
      if (errorCode(cause) !== 'ENOENT' && errorCode(cause) !== 'ENOTDIR') throw cause;
      throw new NotFoundError('LAYOUT_NOT_FOUND', `${folder} is not an OCI layout: it has no file oci-layout`, {
        cause,
      });
    }
    checkVersion(text, marker);
    return new OciLayoutReader(folder);
  }

  /** Where a blob's bytes lie, or would. */
  blobFile(digest: Digest): string {
    return path.join(this.folder, 'blobs', digestAlgorithm(digest), digestHex(digest));
  }

  async has(descriptor: Descriptor, options: CallOptions = {}): Promise<boolean> {
    options.signal?.throwIfAborted();
    try {
      const found = await stat(this.blobFile(descriptor.digest));
      return found.isFile() && found.size === descriptor.size;
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return false;
      throw error;
    }
  }

  async read(descriptor: Descriptor, options: ReadOptions = {}): Promise<Readable> {
    options.signal?.throwIfAborted();
    const handle = await this.#openBlob(descriptor.digest);
    return handle.createReadStream({ start: options.from ?? 0, highWaterMark: readChunkBytes });
  }

  /** The folder, for messages. */
  get name(): string {
    return this.folder;
  }

  /** Those that have an entry in `index.json`, as ORAS and Kiln make it. */
  async referrers(
    subject: Digest,
    options: CallOptions & { readonly artifactType?: string } = {},
  ): Promise<readonly Descriptor[]> {
    const { artifactType } = options;
    return (await listedReferrers(this, options))
      .filter((referrer) => referrer.subject === subject)
      .map(({ entry }) => entry)
      .filter((descriptor) => artifactType === undefined || descriptor.artifactType === artifactType);
  }

  /**
   * Finds an image by its name in `index.json`, by `sha256:…` or `name@sha256:…`, or, when the layout holds exactly one
   * image, by `''` and (when that image has no name) by any name.
   */
  async resolve(reference: string, options: CallOptions = {}): Promise<Descriptor> {
    options.signal?.throwIfAborted();
    const index = await this.readIndex();
    const named = namedDescriptors(index);
    const byName = named.find((entry) => entry.name === reference);
    if (byName !== undefined) return byName.descriptor;
    const digest = reference.slice(reference.lastIndexOf('@') + 1);
    if (isDigest(digest)) return this.#resolveDigest(digest, index);
    // Signatures and the like lie beside an image, without being one.
    const all = layoutDescriptors(index).filter((entry) => entry.artifactType === undefined);
    const only = all.length === 1 ? all[0] : undefined;
    if (only !== undefined && (reference === '' || only.annotations?.[refNameAnnotation] === undefined)) {
      return withoutRefName(only);
    }
    throw unknownName(reference, named, this.folder);
  }

  /** The images that have a name. */
  async list(): Promise<readonly NamedDescriptor[]> {
    return namedDescriptors(await this.readIndex());
  }

  async readIndex(): Promise<LayoutIndex> {
    const file = path.join(this.folder, 'index.json');
    return parseLayoutIndex(await readText(file, maxIndexBytes), file);
  }

  /** The media type, size and bytes of a blob that is a manifest or an index; undefined for any other blob. */
  async findManifest(digest: Digest): Promise<{ descriptor: Descriptor; bytes: Buffer } | undefined> {
    await using handle = await this.#openBlob(digest);
    const { size } = await handle.stat();
    if (size > maxManifestBytes) return undefined;
    const first = Buffer.alloc(1);
    await handle.read(first, 0, 1, 0);
    // Layers never begin so, and reading them all would make collecting garbage slow.
    if (!'{ \t\r\n'.includes(first.toString('latin1'))) return undefined;
    const bytes = await handle.readFile();
    const mediaType = manifestTypeOf(bytes);
    return mediaType === undefined ? undefined : { descriptor: { mediaType, digest, size }, bytes };
  }

  async #resolveDigest(digest: Digest, index: LayoutIndex): Promise<Descriptor> {
    const listed = layoutDescriptors(index).find((descriptor) => descriptor.digest === digest);
    if (listed !== undefined) return withoutRefName(listed);
    const found = await this.findManifest(digest).catch((error: unknown) => {
      if (errorCode(error) === 'BLOB_NOT_FOUND') return undefined;
      throw error;
    });
    if (found === undefined) {
      throw new NotFoundError('REFERENCE_NOT_FOUND', `there is no image ${digest} in ${this.folder}`);
    }
    return found.descriptor;
  }

  /** A layout may be hostile: neither a symbolic link that leads out of it nor a pipe that never ends is opened. */
  async #openBlob(digest: Digest): Promise<FileHandle> {
    const file = this.blobFile(digest);
    let handle: FileHandle;
    try {
      handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (cause) {
      if (errorCode(cause) === 'ENOENT')
        throw new NotFoundError('BLOB_NOT_FOUND', `${digest} is not in ${this.folder}`, { cause });
      if (errorCode(cause) === 'ELOOP')
        throw new ToolError('LAYOUT_INVALID', `${file} is a symbolic link, not a blob`, { cause });
      throw cause;
    }
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
    throw new ToolError('LAYOUT_INVALID', `${file} is not a regular file`);
  }
}

/** A layout may be hostile: a pipe in a file's place would be waited for, a device would never end. */
async function readText(file: string, maxBytes: number): Promise<string> {
  await using handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  const found = await handle.stat();
  if (!found.isFile()) throw new ToolError('LAYOUT_INVALID', `${file} is not a regular file`);
  if (found.size > maxBytes) throw new ToolError('LAYOUT_INVALID', `${file} is over ${maxBytes} bytes`);
  return handle.readFile('utf8');
}

function checkVersion(text: string, marker: string): void {
  let version: unknown;
  try {
    version = (JSON.parse(text) as { imageLayoutVersion?: unknown } | null)?.imageLayoutVersion;
  } catch (cause) {
    throw new ToolError('LAYOUT_INVALID', `${marker} is not JSON`, { cause });
  }
  if (typeof version !== 'string' || !/^1\./.test(version)) {
    throw new ToolError('LAYOUT_INVALID', `${marker} does not say imageLayoutVersion 1.x`);
  }
}

function unknownName(reference: string, named: readonly NamedDescriptor[], folder: string): NotFoundError {
  const names = named.map((entry) => entry.name);
  const near = nearest(reference, names);
  const what = reference === '' ? 'the name of one image is needed' : `there is no image ${JSON.stringify(reference)}`;
  return new NotFoundError('REFERENCE_NOT_FOUND', `${what} in ${folder}`, {
    ...(near === undefined ? {} : { hint: `did you mean ${near}?` }),
  });
}

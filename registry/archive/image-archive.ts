import { createReadStream } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  type CallOptions,
  type Descriptor,
  type Digest,
  digestAlgorithm,
  digestHex,
  isDigest,
  isManifestType,
  limiter,
  maxManifestBytes,
  NotFoundError,
  parseManifest,
  parseReference,
  type ReadOptions,
  type ReferrerKeeper,
  readVerified,
  type Target,
  ToolError,
  verifying,
} from '../../core/index.ts';
import { refNameAnnotation } from '../layout/oci-index.ts';
import { endOfArchive, padding, type TarMember, tarHeader } from './tar-members.ts';

/** The full name of an image in a layout or archive, as containerd, Docker and Podman read it. */
export const imageNameAnnotation = 'io.containerd.image.name';

export interface ImageArchiveOptions {
  /** With manifest.json, which `docker load` reads; then it holds images only, no index over them. */
  readonly docker: boolean;
  /** What readers find an image by; unless said its full name, and its tag as the short one. */
  readonly annotationsFor?: (name: string) => Readonly<Record<string, string>>;
}

/**
 * An OCI layout as one tar file, while it is being written. image-spec, image-layout.md. Blobs go into the file as they
 * come; what it holds is known to readers once it is finished. The same images in the same order give the same bytes.
 */
export class ImageArchive implements Target, ReferrerKeeper, AsyncDisposable {
  readonly #file: string;
  readonly #handle: FileHandle;
  readonly #options: ImageArchiveOptions;
  readonly #blobs = new Map<Digest, { readonly descriptor: Descriptor; readonly member: TarMember }>();
  /** Images in the order they were added, each with its names. */
  readonly #images = new Map<Digest, { readonly descriptor: Descriptor; readonly names: Set<string> }>();
  /** A tar grows at its end only. */
  readonly #oneAtATime = limiter(1);
  #end = 0;
  #isClosed = false;

  private constructor(file: string, handle: FileHandle, options: ImageArchiveOptions) {
    this.#file = file;
    this.#handle = handle;
    this.#options = options;
  }

  /** @param file must not exist; disposing removes it again unless it was finished */
  static async create(file: string, options: ImageArchiveOptions): Promise<ImageArchive> {
    const archive = new ImageArchive(file, await open(file, 'wx+', 0o644), options);
    await archive.#append(tarHeader('blobs/', 0, 'directory'));
    await archive.#append(tarHeader('blobs/sha256/', 0, 'directory'));
    return archive;
  }

  /** The file, for messages. */
  get name(): string {
    return this.#file;
  }

  async has({ digest, size }: Descriptor): Promise<boolean> {
    return this.#blobs.get(digest)?.member.size === size;
  }

  async read(descriptor: Descriptor, options: ReadOptions = {}): Promise<Readable> {
    options.signal?.throwIfAborted();
    const found = this.#blobs.get(descriptor.digest)?.member;
    if (found === undefined) throw this.#missing(descriptor);
    return memberStream(this.#file, found, options.from);
  }

  async resolve(reference: string): Promise<Descriptor> {
    const byName = [...this.#images.values()].find(({ names }) => names.has(reference));
    const found = byName ?? (isDigest(reference) ? this.#blobs.get(reference) : undefined);
    if (found !== undefined) return found.descriptor;
    throw new NotFoundError('REFERENCE_NOT_FOUND', `there is no image ${JSON.stringify(reference)} in ${this.#file}`);
  }

  write(descriptor: Descriptor, content: Readable, options: CallOptions = {}): Promise<void> {
    return this.#oneAtATime(async () => {
      if (await this.has(descriptor)) {
        content.destroy();
        return;
      }
      const start = this.#end;
      try {
        const member = await this.#appendMember(blobName(descriptor.digest), descriptor.size, (sink) =>
          pipeline(content, verifying(descriptor), sink, { signal: options.signal }),
        );
        this.#blobs.set(descriptor.digest, { descriptor, member });
      } catch (error) {
        content.destroy();
        await this.#handle.truncate(start);
        this.#end = start;
        throw error;
      }
    });
  }

  /** @param reference a full name, or any other that readers shall find the image by */
  async tag(descriptor: Descriptor, reference: string): Promise<void> {
    await this.add(descriptor);
    for (const { names } of this.#images.values()) names.delete(reference);
    this.#images.get(descriptor.digest)?.names.add(reference);
  }

  /** Lists an image that is here, without giving it a name. */
  async add(descriptor: Descriptor): Promise<void> {
    if (!(await this.has(descriptor))) throw this.#missing(descriptor);
    if (this.#options.docker && !isManifestType(descriptor.mediaType)) {
      throw new ToolError('MANIFEST_INVALID', 'a Docker archive holds images of one platform, not an index');
    }
    if (!this.#images.has(descriptor.digest)) this.#images.set(descriptor.digest, { descriptor, names: new Set() });
  }

  /** What refers to an image stands in the list beside it, without a name, as in any layout. */
  keepReferrer(descriptor: Descriptor): Promise<void> {
    return this.add(descriptor);
  }

  /** Writes what tells readers of the images; after it nothing can be added. The file is safe on disk then. */
  async finish(options: CallOptions = {}): Promise<void> {
    await this.#oneAtATime(async () => {
      if (this.#options.docker)
        await this.#appendText('manifest.json', JSON.stringify(await this.#dockerList(options)));
      await this.#appendText('index.json', JSON.stringify(this.#index()));
      await this.#appendText('oci-layout', '{"imageLayoutVersion":"1.0.0"}');
      await this.#append(endOfArchive);
      await this.#handle.sync();
      await this.#handle.close();
      this.#isClosed = true;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#handle.close();
    await rm(this.#file, { force: true });
  }

  #index(): object {
    const images = [...this.#images.values()];
    const { annotationsFor = nameAnnotations } = this.#options;
    const manifests = images.flatMap(({ descriptor: { mediaType, digest, size }, names }) =>
      names.size === 0
        ? [{ mediaType, digest, size }]
        : Array.from(names, (name) => ({ mediaType, digest, size, annotations: annotationsFor(name, images.length) })),
    );
    return { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests };
  }

  /** https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format */
  async #dockerList({ signal }: CallOptions): Promise<object[]> {
    const list: object[] = [];
    for (const { descriptor, names } of this.#images.values()) {
      const { config, layers } = parseManifest(
        await readVerified(this, descriptor, { signal, maxBytes: maxManifestBytes }),
      );
      list.push({
        Config: blobName(config.digest),
        RepoTags: names.size === 0 ? null : [...names],
        Layers: layers.map(({ digest }) => blobName(digest)),
      });
    }
    return list;
  }

  async #appendText(name: string, content: string): Promise<void> {
    const bytes = Buffer.from(content);
    await this.#appendMember(name, bytes.length, () => this.#append(bytes));
  }

  async #appendMember(
    name: string,
    size: number,
    write: (sink: (chunks: AsyncIterable<Buffer>) => Promise<void>) => Promise<void>,
  ): Promise<TarMember> {
    await this.#append(tarHeader(name, size));
    const offset = this.#end;
    await write(async (chunks) => {
      for await (const chunk of chunks) await this.#append(chunk);
    });
    await this.#append(padding(size));
    return { name, offset, size };
  }

  async #append(bytes: Buffer): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, this.#end);
      done += bytesWritten;
      this.#end += bytesWritten;
    }
  }

  #missing({ digest }: Descriptor): NotFoundError {
    return new NotFoundError('BLOB_NOT_FOUND', `${digest} is not in ${this.#file}`);
  }
}

/** How readers of layouts and archives find an image by name: containerd and Podman by the full one, others by the tag. */
export function nameAnnotations(name: string, imagesThere: number): Record<string, string> {
  const tag = imagesThere === 1 ? tagOf(name) : undefined;
  return { [imageNameAnnotation]: name, [refNameAnnotation]: tag ?? name };
}

function tagOf(name: string): string | undefined {
  try {
    return parseReference(name).tag;
  } catch {
    return undefined;
  }
}

export function blobName(digest: Digest): string {
  return `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;
}

/**
 * The content of a member, out of its archive.
 * @param from bytes at its start that are not wanted
 */
export function memberStream(file: string, { offset, size }: TarMember, from = 0): Readable {
  if (size <= from) return Readable.from([], { objectMode: false });
  return createReadStream(file, { start: offset + from, end: offset + size - 1, highWaterMark: 1024 * 1024 });
}

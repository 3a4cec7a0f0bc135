import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import {
  type CallOptions,
  type Descriptor,
  type Digest,
  errorCode,
  isDigest,
  maxManifestBytes,
  NotFoundError,
  type ReadableContent,
  type ReadOptions,
  type ReferrerLister,
  type Resolver,
  readVerified,
  ToolError,
} from '../../core/index.ts';
import { referrerOf } from '../artifact/referrer.ts';
import {
  layoutDescriptors,
  type NamedDescriptor,
  parseLayoutIndex,
  refNameAnnotation,
  withoutRefName,
} from '../layout/oci-index.ts';
import { isManifestLike, manifestTypeOf } from '../manifest-type.ts';
import { imageNameAnnotation, memberStream } from './image-archive.ts';
import { type TarMember, tarMembers } from './tar-members.ts';

const maxIndexBytes = 16 * 1024 * 1024;

/** Reads an OCI layout in a tar file that anybody may have written: of Kiln, BuildKit, Skopeo, or `docker save` since 25. */
export class ImageArchiveReader implements ReadableContent, Resolver, ReferrerLister {
  readonly #file: string;
  readonly #blobs: ReadonlyMap<string, TarMember>;
  readonly #images: readonly Descriptor[];

  private constructor(file: string, blobs: ReadonlyMap<string, TarMember>, images: readonly Descriptor[]) {
    this.#file = file;
    this.#blobs = blobs;
    this.#images = images;
  }

  /** @throws NotFoundError LAYOUT_NOT_FOUND; ToolError LAYOUT_INVALID */
  static async open(file: string, options: CallOptions = {}): Promise<ImageArchiveReader> {
    await using handle = await openArchive(file);
    const blobs = new Map<string, TarMember>();
    let index: TarMember | undefined;
    for await (const member of tarMembers(handle, file, options)) {
      const [, algorithm, hex] = /^blobs\/(sha256|sha512)\/([0-9a-f]+)$/.exec(member.name) ?? [];
      const digest = `${algorithm}:${hex}`;
      if (isDigest(digest)) blobs.set(digest, member);
      if (member.name === 'index.json') index = member;
    }
    if (index === undefined || index.size > maxIndexBytes) {
      throw new ToolError('LAYOUT_INVALID', `${file} has no index.json, as an OCI archive has`, {
        hint: 'if docker before 25 wrote it: skopeo copy docker-archive:FILE oci-archive:OTHER',
      });
    }
    const chunks = await memberStream(file, index).toArray();
    const { entries, document } = parseLayoutIndex(Buffer.concat(chunks).toString('utf8'), `${file}: index.json`);
    return new ImageArchiveReader(file, blobs, layoutDescriptors({ entries, document }));
  }

  /** The file, for messages. */
  get name(): string {
    return this.#file;
  }

  async has({ digest, size }: Descriptor): Promise<boolean> {
    return this.#blobs.get(digest)?.size === size;
  }

  async read({ digest }: Descriptor, options: ReadOptions = {}): Promise<Readable> {
    options.signal?.throwIfAborted();
    const found = this.#blobs.get(digest);
    if (found === undefined) throw new NotFoundError('BLOB_NOT_FOUND', `${digest} is not in ${this.#file}`);
    return memberStream(this.#file, found, options.from);
  }

  /** Finds an image by its full name, its tag, its digest, or, when there is one only, by `''`. */
  async resolve(reference: string, options: CallOptions = {}): Promise<Descriptor> {
    const named = this.#images.find(
      ({ annotations = {} }) =>
        annotations[imageNameAnnotation] === reference || annotations[refNameAnnotation] === reference,
    );
    const digests = new Set(this.#images.map(({ digest }) => digest));
    const found = named ?? (reference === '' && digests.size === 1 ? this.#images[0] : undefined);
    if (found !== undefined) return plain(found);
    if (isDigest(reference)) {
      const byDigest = await this.#manifest(reference, options);
      if (byDigest !== undefined) return byDigest;
    }
    const what =
      reference === '' ? 'the name of one image is needed' : `there is no image ${JSON.stringify(reference)}`;
    throw new NotFoundError('REFERENCE_NOT_FOUND', `${what} in ${this.#file}`);
  }

  /** Those that have an entry of their own in `index.json`, as in a layout. */
  async referrers(
    subject: Digest,
    options: CallOptions & { readonly artifactType?: string } = {},
  ): Promise<readonly Descriptor[]> {
    const { artifactType, signal } = options;
    const found = new Map<Digest, Descriptor>();
    for (const listed of this.#images) {
      if (!isManifestLike(listed) || listed.size > maxManifestBytes || !(await this.has(listed))) continue;
      const referrer = referrerOf(listed, await readVerified(this, listed, { signal }));
      if (referrer?.subject !== subject) continue;
      if (artifactType === undefined || referrer.entry.artifactType === artifactType)
        found.set(listed.digest, referrer.entry);
    }
    return [...found.values()];
  }

  /** What `index.json` lists, names in the annotations. */
  get entries(): readonly Descriptor[] {
    return this.#images;
  }

  /** The images that have a full name. */
  list(): readonly NamedDescriptor[] {
    return this.#images.flatMap((descriptor) => {
      const name = descriptor.annotations?.[imageNameAnnotation];
      return name === undefined ? [] : [{ name, descriptor: plain(descriptor) }];
    });
  }

  async #manifest(digest: Digest, options: CallOptions): Promise<Descriptor | undefined> {
    const size = this.#blobs.get(digest)?.size;
    if (size === undefined || size > maxManifestBytes) return undefined;
    const descriptor = { mediaType: 'application/octet-stream', digest, size };
    const mediaType = manifestTypeOf(await readVerified(this, descriptor, options));
    return mediaType === undefined ? undefined : { ...descriptor, mediaType };
  }
}

/** Without the names, which are the archive's own affair. */
function plain(descriptor: Descriptor): Descriptor {
  const { annotations = {}, ...rest } = withoutRefName(descriptor);
  const { [imageNameAnnotation]: _name, ...others } = annotations;
  return Object.keys(others).length === 0 ? rest : { ...rest, annotations: others };
}

async function openArchive(file: string) {
  try {
    const handle = await open(file, 'r');
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
  } catch (cause) {
    if (errorCode(cause) !== 'ENOENT') throw cause;
    throw new NotFoundError('LAYOUT_NOT_FOUND', `there is no file ${file}`, { cause });
  }
  throw new ToolError('LAYOUT_INVALID', `${file} is not a regular file`);
}

import { chmod, mkdir, open, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  type CallOptions,
  childrenOf,
  type Descriptor,
  type Digest,
  digestAlgorithm,
  errorCode,
  type IngestedBlob,
  isIndexType,
  type LockFolder,
  maxManifestBytes,
  NotFoundError,
  type PartialBlob,
  type ReadOptions,
  type ReferrerKeeper,
  type ReferrerLister,
  type Resumer,
  readVerified,
  type Target,
  ToolError,
  writeFileAtomic,
} from '../../core/index.ts';
import { referrerOf } from '../artifact/referrer.ts';
import { isForeignLayer, isManifestLike } from '../manifest-type.ts';
import { IncomingFile } from './incoming-file.ts';
import {
  type CollectedGarbage,
  collectLayoutGarbage,
  type GarbageOptions,
  type IncomingContent,
  listBlobs,
  listIncoming,
  reachableBlobs,
  removeBlobs,
  removeIncoming,
  type StoredBlob,
} from './layout-garbage.ts';
import {
  emptyLayoutIndex,
  type LayoutIndex,
  type NamedDescriptor,
  namedDescriptors,
  serializeLayoutIndex,
  withEntry,
  withName,
  withoutName,
  withoutUnnamed,
} from './oci-index.ts';
import { OciLayoutReader } from './oci-layout-reader.ts';
import { openPartialBlob } from './partial-blob.ts';

const indexLock = 'content-index';

/**
 * The content store: a folder that is a valid OCI layout at every moment, shared by processes. image-spec,
 * image-layout.md. Blobs arrive by temp file → fsync → rename; `index.json` changes under a lock and is replaced whole.
 */
export class OciLayout implements Target, Resumer, ReferrerLister, ReferrerKeeper {
  readonly #reader: OciLayoutReader;
  readonly #locks: LockFolder;

  private constructor(reader: OciLayoutReader, locks: LockFolder) {
    this.#reader = reader;
    this.#locks = locks;
  }

  /** Opens the layout in `folder`, and makes one there when there is none. */
  static async open(folder: string, options: { readonly locks: LockFolder }): Promise<OciLayout> {
    await mkdir(path.join(folder, 'blobs', 'sha256'), { recursive: true });
    if (!(await exists(path.join(folder, 'index.json')))) {
      await using _lock = await options.locks.acquire(indexLock, 'exclusive');
      if (!(await exists(path.join(folder, 'index.json')))) {
        await writeFileAtomic(path.join(folder, 'index.json'), serializeLayoutIndex(emptyLayoutIndex));
      }
    }
    if (!(await exists(path.join(folder, 'oci-layout')))) {
      await writeFileAtomic(path.join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    }
    return new OciLayout(await OciLayoutReader.open(folder), options.locks);
  }

  /** A layout that belongs to somebody else, such as the base image in `oci:PATH`. */
  static openReadOnly(folder: string): Promise<OciLayoutReader> {
    return OciLayoutReader.open(folder);
  }

  /** Where a blob's bytes lie, or would. */
  blobFile(digest: Digest): string {
    return this.#reader.blobFile(digest);
  }

  /**
   * True when the blob is here, and for a manifest or index when all it points at is here as well. What is here is
   * marked as wanted, so that it does not count as old when garbage is collected.
   */
  has(descriptor: Descriptor, options: CallOptions = {}): Promise<boolean> {
    return this.#hasWhole(descriptor, options, new Set());
  }

  async #hasWhole(descriptor: Descriptor, options: CallOptions, seen: Set<string>): Promise<boolean> {
    if (isSeenAgain(descriptor, seen)) return true;
    if (!(await this.#reader.has(descriptor, options)) || !(await this.#renew(descriptor.digest))) return false;
    if (!isManifestLike(descriptor)) return true;
    for (const child of await this.#children(descriptor, options)) {
      if (!isForeignLayer(child) && !(await this.#hasWhole(child, options, seen))) return false;
    }
    return true;
  }

  read(descriptor: Descriptor, options?: ReadOptions): Promise<Readable> {
    return this.#reader.read(descriptor, options);
  }

  resolve(reference: string, options?: CallOptions): Promise<Descriptor> {
    return this.#reader.resolve(reference, options);
  }

  /** The folder, for messages. */
  get name(): string {
    return this.#reader.name;
  }

  referrers(
    subject: Digest,
    options?: CallOptions & { readonly artifactType?: string },
  ): Promise<readonly Descriptor[]> {
    return this.#reader.referrers(subject, options);
  }

  async keepReferrer(descriptor: Descriptor, options: CallOptions = {}): Promise<void> {
    await this.#changeIndex(options, async (index) => {
      const found = await this.#reader.findManifest(descriptor.digest);
      const referrer = found === undefined ? undefined : referrerOf(found.descriptor, found.bytes);
      return referrer === undefined ? index : withEntry(index, referrer.entry);
    });
  }

  /** The images that have a name. */
  list(): Promise<readonly NamedDescriptor[]> {
    return this.#reader.list();
  }

  async write(descriptor: Descriptor, content: Readable, options: CallOptions = {}): Promise<void> {
    if ((await this.#reader.has(descriptor, options)) && (await this.#renew(descriptor.digest))) {
      content.destroy();
      return;
    }
    const algorithm = digestAlgorithm(descriptor.digest);
    await using incoming = await IncomingFile.create(this.#incomingFolder(), algorithm);
    const sink = (chunks: AsyncIterable<Buffer>) => incoming.appendRest(chunks, descriptor);
    await pipeline(content, sink, { signal: options.signal });
    await this.#commit(incoming, descriptor.digest);
  }

  resume(descriptor: Descriptor, options: CallOptions = {}): Promise<PartialBlob | undefined> {
    const place = {
      folder: this.#incomingFolder(),
      locks: this.#locks,
      isHere: async () => (await this.#reader.has(descriptor, options)) && (await this.#renew(descriptor.digest)),
      commit: (incoming: IncomingFile) => this.#commit(incoming, descriptor.digest),
    };
    return openPartialBlob(place, descriptor, options);
  }

  /** Takes bytes in whose digest is not known yet. */
  async ingest(content: Readable, options: CallOptions = {}): Promise<IngestedBlob> {
    await using incoming = await this.#incoming();
    await pipeline(content, (chunks: AsyncIterable<Buffer>) => incoming.append(chunks), { signal: options.signal });
    const digest = incoming.digest();
    await this.#commit(incoming, digest);
    return { digest, size: incoming.size };
  }

  /**
   * As `ingest`, for a source that fills buffers again: a chunk is let go of before the one after the next is asked
   * for. The source minds the signal itself.
   */
  async ingestChunks(chunks: AsyncIterable<Buffer>): Promise<IngestedBlob> {
    await using incoming = await this.#incoming();
    await incoming.append(chunks);
    const digest = incoming.digest();
    await this.#commit(incoming, digest);
    return { digest, size: incoming.size };
  }

  /**
   * Names an image whose content is here, all of it: a name never leads into the void. Only the children of an index
   * may be missing, whole.
   * @throws NotFoundError BLOB_NOT_FOUND
   */
  async tag(descriptor: Descriptor, reference: string, options: CallOptions = {}): Promise<void> {
    if (reference === '') throw new ToolError('REFERENCE_INVALID', 'an image needs a name to be tagged');
    await this.#changeIndex(options, async (index) => {
      await this.#checkComplete(descriptor, options, new Set());
      await syncFolder(path.dirname(this.blobFile(descriptor.digest)));
      return withName(index, reference, descriptor);
    });
  }

  /** Takes a name away; the content stays until garbage is collected. The descriptor it named, if it did. */
  async untag(name: string, options: CallOptions = {}): Promise<Descriptor | undefined> {
    let named: Descriptor | undefined;
    await this.#changeIndex(options, async (index) => {
      named = namedDescriptors(index).find((entry) => entry.name === name)?.descriptor;
      return named === undefined ? index : withoutName(index, name);
    });
    return named;
  }

  /** Removes blobs that neither an image in `index.json` nor `keep` reaches, unless they came or were asked for lately. */
  async collectGarbage(options: GarbageOptions): Promise<CollectedGarbage> {
    await using _lock = await this.#locks.acquire(indexLock, 'exclusive', options);
    const collected = await collectLayoutGarbage(this.#reader, this.#incomingFolder(), options);
    await this.#forgetReferrers(collected.removed);
    return collected;
  }

  /** What is on its way in, or was when its process was killed. */
  incoming(): Promise<IncomingContent[]> {
    return listIncoming(this.#incomingFolder());
  }

  /** Removes one of these unless it grew since; the bytes set free. */
  async removeIncoming(name: string, options: { readonly usedBeforeMs: number }): Promise<number> {
    return removeIncoming(this.#incomingFolder(), name, options.usedBeforeMs);
  }

  /** Every blob that is here. */
  blobs(options?: CallOptions): Promise<StoredBlob[]> {
    return listBlobs(this.#reader, options);
  }

  /** Digests that the named images and these roots reach. */
  reachable(roots: Iterable<Digest>): Promise<Set<Digest>> {
    return reachableBlobs(this.#reader, roots);
  }

  /** Removes those of the blobs that no name reaches and that nobody asked for since. */
  async removeBlobs(
    digests: Iterable<Digest>,
    options: CallOptions & { readonly usedBeforeMs: number },
  ): Promise<CollectedGarbage> {
    await using _lock = await this.#locks.acquire(indexLock, 'exclusive', options);
    const named = await this.reachable([]);
    const collected = await removeBlobs(
      this.#reader,
      [...digests].filter((digest) => !named.has(digest)),
      options,
    );
    await this.#forgetReferrers(collected.removed);
    return collected;
  }

  /** Entries of referrers that went with what they referred to. */
  async #forgetReferrers(removed: readonly Digest[]): Promise<void> {
    if (removed.length > 0) await this.#writeIndex((index) => withoutUnnamed(index, new Set(removed)));
  }

  async #changeIndex(options: CallOptions, change: (index: LayoutIndex) => Promise<LayoutIndex>): Promise<void> {
    await using _lock = await this.#locks.acquire(indexLock, 'exclusive', options);
    await this.#writeIndex(change);
  }

  async #writeIndex(change: (index: LayoutIndex) => LayoutIndex | Promise<LayoutIndex>): Promise<void> {
    const before = await this.#reader.readIndex();
    const after = await change(before);
    const bytes = serializeLayoutIndex(after);
    // The same name for the same image again: nothing changes, and whoever watches the file sees that.
    if (bytes !== serializeLayoutIndex(before)) {
      await writeFileAtomic(path.join(this.#reader.folder, 'index.json'), bytes);
    }
  }

  async #checkComplete(descriptor: Descriptor, options: CallOptions, seen: Set<string>): Promise<void> {
    if (isSeenAgain(descriptor, seen)) return;
    if (!(await this.#reader.has(descriptor, options))) {
      throw new NotFoundError('BLOB_NOT_FOUND', `${descriptor.digest} is not in ${this.#reader.folder}`);
    }
    if (!isManifestLike(descriptor)) return;
    const mayBeSparse = isIndexType(descriptor.mediaType);
    for (const child of await this.#children(descriptor, options)) {
      if (isForeignLayer(child) || (mayBeSparse && !(await this.#reader.has(child, options)))) continue;
      await this.#checkComplete(child, options, seen);
    }
  }

  async #children(descriptor: Descriptor, options: CallOptions): Promise<Descriptor[]> {
    const bytes = await readVerified(this.#reader, descriptor, { signal: options.signal, maxBytes: maxManifestBytes });
    return childrenOf(descriptor.mediaType, bytes);
  }

  /** Sets the blob's ctime to now; false when it went away meanwhile. Node cannot set a file time to the kernel's now. */
  async #renew(digest: Digest): Promise<boolean> {
    try {
      await chmod(this.blobFile(digest), 0o644);
      return true;
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return false;
      throw error;
    }
  }

  #incomingFolder(): string {
    return path.join(this.#reader.folder, '.incoming');
  }

  #incoming(): Promise<IncomingFile> {
    return IncomingFile.create(this.#incomingFolder());
  }

  async #commit(incoming: IncomingFile, digest: Digest): Promise<void> {
    if (digestAlgorithm(digest) !== 'sha256') await mkdir(path.dirname(this.blobFile(digest)), { recursive: true });
    await incoming.commit(this.blobFile(digest));
  }
}

/** Indexes that name each other many times over would otherwise take exponential time. */
function isSeenAgain({ digest, size, mediaType }: Descriptor, seen: Set<string>): boolean {
  const count = seen.size;
  return seen.add(`${digest} ${size} ${mediaType}`).size === count;
}

async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Makes renames into a folder last before something refers to them. */
async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, 'r');
  await handle.sync();
}

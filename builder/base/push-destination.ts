import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import {
  type CallOptions,
  type Descriptor,
  type Digest,
  errorCode,
  type IngestedBlob,
  isIndexType,
  isManifestType,
  NotFoundError,
  type PartialBlob,
  type ReadOptions,
  type Reference,
  type Resumer,
} from '../../core/index.ts';
import { type LayerDestination, openRepository, type RemoteRepository } from '../../registry/index.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { blobPlaces } from './blob-places.ts';
import { uploadRecords } from './upload-records.ts';

/** A repository while an image is pushed to it: what is known to be there is not asked for again. */
export class PushDestination implements LayerDestination, Resumer {
  readonly name: string;
  readonly #workshop: Workshop;
  readonly #reference: Reference;
  readonly #remote: RemoteRepository;
  readonly #there = new Set<Digest>();
  #hasLookedUp = false;
  /** What the tag means at the registry. */
  #tagged: Digest | undefined;

  constructor(workshop: Workshop, reference: Reference) {
    this.#workshop = workshop;
    this.#reference = reference;
    this.#remote = openRepository(reference, { ...workshop.options.remote, uploads: uploadRecords(workshop) });
    this.name = this.#remote.name;
  }

  async has(descriptor: Descriptor, options: CallOptions = {}): Promise<boolean> {
    const { digest, mediaType } = descriptor;
    const isManifest = isManifestType(mediaType) || isIndexType(mediaType);
    if (isManifest && !this.#there.has(digest)) await this.#lookUpTag(options);
    if (this.#there.has(digest)) return true;
    const isThere = await this.#remote.has(descriptor, options);
    if (isThere) this.#there.add(digest);
    return isThere;
  }

  /** What is pushed again is there under its tag already: one question answers all others. */
  async #lookUpTag(options: CallOptions): Promise<void> {
    const { tag } = this.#reference;
    if (this.#hasLookedUp || tag === undefined) return;
    this.#hasLookedUp = true;
    try {
      this.#tagged = (await this.#remote.resolve(tag, { ...options, purpose: 'push' })).digest;
      this.#there.add(this.#tagged);
    } catch (error) {
      // There is no such tag yet, or something that is no image.
      if (!(error instanceof NotFoundError) && !errorCode(error)?.startsWith('MANIFEST_')) throw error;
    }
  }

  read(descriptor: Descriptor, options?: ReadOptions): Promise<Readable> {
    return this.#remote.read(descriptor, options);
  }

  resolve(reference: string, options?: CallOptions): Promise<Descriptor> {
    return this.#remote.resolve(reference, { ...options, purpose: 'push' });
  }

  async write(descriptor: Descriptor, content: Readable, options?: CallOptions): Promise<void> {
    await this.#remote.write(descriptor, content, options);
    this.#there.add(descriptor.digest);
  }

  async tag(descriptor: Descriptor, reference: string, options?: CallOptions): Promise<void> {
    if (reference === this.#reference.tag && this.#tagged === descriptor.digest) return;
    await this.#remote.tag(descriptor, reference, options);
  }

  resume(descriptor: Descriptor, options?: CallOptions): Promise<PartialBlob | undefined> {
    return this.#remote.resume(descriptor, options);
  }

  async ingest(content: Readable, options: CallOptions & { readonly key: string }): Promise<IngestedBlob> {
    const blob = await this.#remote.ingest(content, options);
    this.#there.add(blob.digest);
    return blob;
  }

  /** Only from where the blob was seen: an attempt in vain costs two requests. */
  async mount(descriptor: Descriptor, fromRepository: string, options?: CallOptions): Promise<boolean> {
    const places = await this.mountSources(descriptor.digest);
    if (!places.includes(fromRepository)) return false;
    const isMounted = await this.#remote.mount(descriptor, fromRepository, options);
    if (isMounted) this.#there.add(descriptor.digest);
    return isMounted;
  }

  /** What was seen to be there so far. */
  seen(): ReadonlySet<Digest> {
    return new Set(this.#there);
  }

  /** Other repositories of this registry that had the blob. */
  async mountSources(digest: Digest): Promise<readonly string[]> {
    const { registry, repository } = this.#reference;
    const places = await blobPlaces(this.#workshop.records, registry, digest);
    return places.filter((place) => place !== repository);
  }

  /** Keeps other processes from sending the same to the same place at the same time. */
  async alone(key: string, options: CallOptions): Promise<AsyncDisposable> {
    const { locks } = this.#workshop;
    const lockName = `push-${createHash('sha256').update(`${this.name} ${key}`).digest('hex').slice(0, 40)}`;
    const lock = await locks.acquire(lockName, 'exclusive', options);
    return {
      async [Symbol.asyncDispose]() {
        // Whoever waits for it looks for the result before it begins.
        locks.forget(lockName);
        await lock[Symbol.asyncDispose]();
      },
    };
  }
}

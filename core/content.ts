import type { Readable } from 'node:stream';
import type { CallOptions } from './cancellation.ts';
import type { Descriptor } from './descriptor.ts';
import type { Digest } from './digest.ts';

export interface ReadOptions extends CallOptions {
  /** How many bytes at the start are not wanted; none unless said. At most the descriptor's size. */
  readonly from?: number;
}

/** Content that can be read by descriptor. */
export interface ReadableContent {
  /** True when the blob or manifest is here, so that it need not be written. */
  has(descriptor: Descriptor, options?: CallOptions): Promise<boolean>;
  /**
   * The bytes as they are stored, NOT yet verified: consumers pass them through `verified` or `readVerified`.
   * @throws NotFoundError BLOB_NOT_FOUND
   */
  read(descriptor: Descriptor, options?: ReadOptions): Promise<Readable>;
}

/** Content that can be found by name: a tag, a digest, or whatever the place calls its images. */
export interface Resolver {
  /** @throws NotFoundError REFERENCE_NOT_FOUND */
  resolve(reference: string, options?: CallOptions): Promise<Descriptor>;
}

/**
 * A place that holds content: remote repository, OCI layout, archive, memory. `copyImage` works between any two.
 * Writing what is there already is no error; a write is visible whole or not at all, and only when it matched its
 * descriptor.
 */
export interface Target extends ReadableContent, Resolver {
  /** @throws IntegrityError BLOB_DIGEST_MISMATCH, BLOB_SIZE_MISMATCH */
  write(descriptor: Descriptor, content: Readable, options?: CallOptions): Promise<void>;
  tag(descriptor: Descriptor, reference: string, options?: CallOptions): Promise<void>;
}

/** Optional ability of a Target: take a blob from another repository of the same place without moving bytes. */
export interface Mounter {
  /** True when the blob is now here; false when it has to be written. */
  mount(descriptor: Descriptor, fromRepository: string, options?: CallOptions): Promise<boolean>;
}

/** A blob of which only the beginning is here; nobody else writes it until this is disposed. What came is kept then. */
export interface PartialBlob extends AsyncDisposable {
  /** How many bytes are here; the rest is read from there on. */
  readonly bytes: number;
  /**
   * Takes bytes from `bytes` on. The blob is visible when it returns. When the stream fails, what came counts.
   * @throws IntegrityError when the whole is not the blob; nothing is left of it then, and `bytes` is 0
   */
  append(content: Readable, options?: CallOptions): Promise<void>;
}

/** Optional ability of a Target: goes on where an earlier write broke off, also one of a process that was killed. */
export interface Resumer {
  /** Waits for others who are at the same blob. Undefined when it is here, whole. */
  resume(descriptor: Descriptor, options?: CallOptions): Promise<PartialBlob | undefined>;
}

/** Optional ability of a Target: keeps a manifest for as long as what its `subject` names is kept. */
export interface ReferrerKeeper {
  keepReferrer(descriptor: Descriptor, options?: CallOptions): Promise<void>;
}

/** Optional ability: tells its tags, in the order the place keeps them. */
export interface TagLister {
  tags(options?: CallOptions): AsyncIterable<string>;
}

/** Optional ability: tells which manifests have the digest as their `subject`. distribution-spec, #listing-referrers */
export interface ReferrerLister {
  referrers(
    subject: Digest,
    options?: CallOptions & { readonly artifactType?: string },
  ): Promise<readonly Descriptor[]>;
}

/** Optional ability: lets go of content. */
export interface Remover {
  /** Takes a tag away, or a manifest with all its tags. @throws NotFoundError REFERENCE_NOT_FOUND */
  remove(reference: string, options?: CallOptions): Promise<void>;
}

/** A blob whose digest became known by writing it. */
export interface IngestedBlob {
  readonly digest: Digest;
  readonly size: number;
}

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

import type { Descriptor, Digest } from '../../core/index.ts';

export type Awaitable<T> = T | Promise<T>;

/** A part of a sorted list. */
export interface Page {
  /** What comes after this; from the start when it is undefined. */
  readonly last?: string | undefined;
  readonly limit: number;
}

export type ManifestDescriptor = Pick<Descriptor, 'mediaType' | 'digest' | 'size'>;

/** What can be pulled, by repository: one repository says nothing of what another one holds. */
export interface ContentView {
  hasRepository(name: string): Awaitable<boolean>;
  /** Names of repositories that hold a manifest, sorted by code unit. */
  repositories(page: Page): Awaitable<readonly string[]>;
  /** Sorted by code unit. */
  tags(repository: string, page: Page): Awaitable<readonly string[]>;
  findTag(repository: string, tag: string): Awaitable<Digest | undefined>;
  findManifest(repository: string, digest: Digest): Awaitable<ManifestDescriptor | undefined>;
  /** True when the repository holds the blob; its size is that of its file. */
  hasBlob(repository: string, digest: Digest): Awaitable<boolean>;
  /** Manifests with this subject, sorted by digest. */
  referrers(repository: string, subject: Digest): Awaitable<readonly Descriptor[]>;
  /** Where the bytes of a blob or manifest lie, or would. */
  blobFile(digest: Digest): string;
}

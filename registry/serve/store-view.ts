import {
  childrenOf,
  type Descriptor,
  type Digest,
  isRepositoryName,
  maxManifestBytes,
  parseReference,
  type Reference,
  readVerified,
  ToolError,
} from '../../core/index.ts';
import type { OciLayout } from '../layout/oci-layout.ts';
import { isManifestLike } from '../manifest-type.ts';
import type { ContentView, ManifestDescriptor, Page } from './content-view.ts';

const maxRemembered = 1000;

interface NamedImage {
  readonly repository: string;
  readonly tag: string;
  readonly descriptor: Descriptor;
  /** Of two images with one name, the lower counts. */
  readonly rank: number;
}

/**
 * The images that a layout names, as repositories to be pulled from. The registry in a name is left out: what was built
 * as `localhost:5000/site:1.2`, as `registry.example/site:1.2` or as `site:1.2` is `site:1.2` here. Of several, the one
 * named for this machine counts, then the one of no registry. A repository holds what its images lead to.
 */
export class StoreView implements ContentView {
  readonly #layout: OciLayout;
  /** What manifests lead to that are here whole; a digest never means anything else. */
  readonly #reached = new Map<Digest, ReadonlyMap<Digest, Descriptor>>();

  constructor(layout: OciLayout) {
    this.#layout = layout;
  }

  blobFile(digest: Digest): string {
    return this.#layout.blobFile(digest);
  }

  async hasRepository(name: string): Promise<boolean> {
    return (await this.#imagesOf(name)).length > 0;
  }

  async repositories(page: Page): Promise<readonly string[]> {
    const names = (await this.#images()).map(({ repository }) => repository);
    return pageOf(names, page);
  }

  async tags(repository: string, page: Page): Promise<readonly string[]> {
    const tags = (await this.#imagesOf(repository)).map(({ tag }) => tag);
    return pageOf(tags, page);
  }

  async findTag(repository: string, tag: string): Promise<Digest | undefined> {
    return (await this.#imagesOf(repository)).find((image) => image.tag === tag)?.descriptor.digest;
  }

  async findManifest(repository: string, digest: Digest): Promise<ManifestDescriptor | undefined> {
    const found = await this.#find(repository, digest);
    return found !== undefined && isManifestLike(found) ? found : undefined;
  }

  async hasBlob(repository: string, digest: Digest): Promise<boolean> {
    const found = await this.#find(repository, digest);
    return found !== undefined && !isManifestLike(found);
  }

  async referrers(repository: string, subject: Digest): Promise<readonly Descriptor[]> {
    if ((await this.#find(repository, subject)) === undefined) return [];
    const found = await this.#layout.referrers(subject);
    return [...found].sort((a, b) => (a.digest < b.digest ? -1 : 1));
  }

  async #find(repository: string, digest: Digest): Promise<Descriptor | undefined> {
    for (const { descriptor } of await this.#imagesOf(repository)) {
      if (descriptor.digest === digest) return descriptor;
      const found = (await this.#reach(descriptor)).get(digest) ?? (await this.#findReferrer(descriptor, digest));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** What refers to an image is pulled from where the image is. */
  async #findReferrer(subject: Descriptor, digest: Digest): Promise<Descriptor | undefined> {
    for (const referrer of await this.#layout.referrers(subject.digest)) {
      if (referrer.digest === digest) return referrer;
      const found = (await this.#reach(referrer)).get(digest);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** All that a manifest leads to and that is here. */
  async #reach(root: Descriptor): Promise<ReadonlyMap<Digest, Descriptor>> {
    const known = this.#reached.get(root.digest);
    if (known !== undefined) return known;
    const reached = new Map<Digest, Descriptor>();
    let isWhole = true;
    const queue = [root];
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      if (!isManifestLike(next)) continue;
      const children = await this.#children(next);
      if (children === undefined) isWhole = false;
      for (const child of children ?? []) {
        if (reached.has(child.digest)) continue;
        reached.set(child.digest, child);
        queue.push(child);
      }
    }
    if (isWhole) this.#remember(root.digest, reached);
    return reached;
  }

  #remember(digest: Digest, reached: ReadonlyMap<Digest, Descriptor>): void {
    const [oldest] = this.#reached.keys();
    if (this.#reached.size >= maxRemembered && oldest !== undefined) this.#reached.delete(oldest);
    this.#reached.set(digest, reached);
  }

  /** Undefined where the manifest is not here, as of platforms that nobody pulled. */
  async #children(manifest: Descriptor): Promise<Descriptor[] | undefined> {
    try {
      const bytes = await readVerified(this.#layout, manifest, { maxBytes: maxManifestBytes });
      return childrenOf(manifest.mediaType, bytes);
    } catch (error) {
      if (error instanceof ToolError) return undefined;
      throw error;
    }
  }

  async #imagesOf(repository: string): Promise<readonly NamedImage[]> {
    return (await this.#images()).filter((image) => image.repository === repository);
  }

  /** Each name once. */
  async #images(): Promise<readonly NamedImage[]> {
    const found = new Map<string, NamedImage>();
    for (const { name, descriptor } of await this.#layout.list()) {
      for (const image of imagesNamed(name, descriptor)) {
        const key = `${image.repository}:${image.tag}`;
        const other = found.get(key);
        if (other === undefined || image.rank < other.rank) found.set(key, image);
      }
    }
    return [...found.values()];
  }
}

/** `library/` is Docker's word for "no folder": such an image is found with it and without. */
function imagesNamed(name: string, descriptor: Descriptor): NamedImage[] {
  const reference = referenceOf(name);
  if (reference?.tag === undefined || !isManifestLike(descriptor)) return [];
  const { registry, repository, tag } = reference;
  const rank = isThisMachine(registry) ? 0 : registry === 'docker.io' ? 1 : 2;
  const short = registry === 'docker.io' ? repository.replace(/^library\//, '') : repository;
  return [...new Set([repository, short])]
    .filter(isRepositoryName)
    .map((path) => ({ repository: path, tag, descriptor, rank }));
}

function isThisMachine(registry: string): boolean {
  return /^(?:localhost|127(?:\.\d+){3}|\[::1\])(?::\d+)?$/.test(registry);
}

function referenceOf(name: string): Reference | undefined {
  try {
    return parseReference(name);
  } catch {
    return undefined;
  }
}

function pageOf(names: readonly string[], { last = '', limit }: Page): readonly string[] {
  return [...new Set(names)]
    .filter((name) => name > last)
    .sort()
    .slice(0, limit);
}

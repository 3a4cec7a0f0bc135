import type { BootstrapSource } from '../builder/index.ts';
import {
  type CallOptions,
  type Descriptor,
  type Digest,
  errorCode,
  InFlight,
  isIndexType,
  maxManifestBytes,
  type Platform,
  parseIndex,
  parseManifest,
  type ReadableContent,
  type Reference,
  type Resolver,
  readVerified,
  selectPlatform,
  unreachable,
} from '../core/index.ts';
import type { BuiltImage, Observation, Unknown } from './decision.ts';
import type { RebuildHistory } from './history.ts';
import type { ListedImage } from './listed-image.ts';
import { type CurrentSource, recordedSources, type Source } from './sources.ts';
import { troubleOf } from './trouble.ts';

/** Where the present state of images and bases is asked for. */
export interface Upstreams {
  readonly platform: Platform;
  repository(reference: Reference): Resolver & Pick<ReadableContent, 'read'>;
  /** The digest of a root made of the packages that the archive has now. */
  bootstrapDigest(source: BootstrapSource, options: CallOptions): Promise<Digest>;
}

export interface ObserveOptions extends CallOptions {
  /** The sources of an image that was never built are not asked for: they change nothing about what is to be done. */
  readonly onlyToDecide?: boolean;
}

/** One round's look at the registries: each name is asked for once, unless it is forgotten. */
export class Observer {
  readonly #upstreams: Upstreams;
  readonly #history: RebuildHistory;
  readonly #asking = new InFlight<CurrentSource | Unknown>();
  readonly #known = new Map<string, CurrentSource | Unknown>();

  constructor(upstreams: Upstreams, history: RebuildHistory) {
    this.#upstreams = upstreams;
    this.#history = history;
  }

  /** What goes wrong with a registry is part of the result, never thrown. */
  async observe(image: ListedImage, options: ObserveOptions = {}): Promise<Observation> {
    const built = await this.#builtImage(image, options);
    const current = new Map<string, CurrentSource | Unknown>();
    const isDecided = built === undefined && options.onlyToDecide === true;
    for (const source of isDecided ? [] : image.sources) {
      if (source.kind !== 'layout') current.set(source.name, await this.#currentSource(source, options));
    }
    return { built, current, last: await this.#history.lastResult(image.tag) };
  }

  /** The name means something else now. */
  forget(name: string): void {
    this.#known.delete(name);
  }

  async #builtImage(image: ListedImage, options: CallOptions): Promise<BuiltImage | Unknown | undefined> {
    const repository = this.#upstreams.repository(image.reference);
    try {
      const top = await repository.resolve(image.reference.tag ?? 'latest', options);
      const annotations = await readAnnotations(repository, top, { ...options, platform: this.#upstreams.platform });
      return { digest: top.digest, sources: recordedSources(annotations) };
    } catch (error) {
      if (errorCode(error) === 'REFERENCE_NOT_FOUND') return undefined;
      return { kind: 'unknown', trouble: troubleOf(error, options) };
    }
  }

  async #currentSource(
    source: Exclude<Source, { kind: 'layout' }>,
    options: CallOptions,
  ): Promise<CurrentSource | Unknown> {
    const known = this.#known.get(source.name);
    if (known !== undefined) return known;
    const found = await this.#asking.run(source.name, async () => {
      try {
        return await this.#ask(source, options);
      } catch (error) {
        return { kind: 'unknown', trouble: troubleOf(error, options) } as const;
      }
    });
    this.#known.set(source.name, found);
    return found;
  }

  async #ask(source: Exclude<Source, { kind: 'layout' }>, options: CallOptions): Promise<CurrentSource> {
    switch (source.kind) {
      case 'image': {
        const { reference } = source;
        if (reference.digest !== undefined) return { kind: 'pinned', digest: reference.digest };
        const { digest } = await this.#upstreams.repository(reference).resolve(reference.tag ?? 'latest', options);
        return { kind: 'digests', digests: [digest] };
      }
      case 'bootstrap':
        return this.#askArchive(source.roots, options);
      default:
        throw unreachable(source);
    }
  }

  async #askArchive(roots: readonly BootstrapSource[], options: CallOptions): Promise<CurrentSource> {
    try {
      const digests: Digest[] = [];
      for (const root of roots) digests.push(await this.#upstreams.bootstrapDigest(root, options));
      return { kind: 'digests', digests: [...new Set(digests)].sort() };
    } catch (error) {
      if (errorCode(error) !== 'ENVIRONMENT_MISSING_TOOL' || !(error instanceof Error)) throw error;
      return { kind: 'unchecked', why: error.message };
    }
  }
}

/** Annotations of the manifest; out of an index, of the one for the platform. */
async function readAnnotations(
  content: Pick<ReadableContent, 'read'>,
  descriptor: Descriptor,
  options: CallOptions & { readonly platform: Platform },
): Promise<Readonly<Record<string, string>>> {
  const bytes = await readVerified(content, descriptor, { signal: options.signal, maxBytes: maxManifestBytes });
  if (!isIndexType(descriptor.mediaType)) return parseManifest(bytes).annotations ?? {};
  const child = selectPlatform(parseIndex(bytes), options.platform);
  if (isIndexType(child.mediaType)) return {};
  return readAnnotations(content, child, options);
}

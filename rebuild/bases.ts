import type { ImagePlace } from '../builder/index.ts';
import {
  type CallOptions,
  type Descriptor,
  type Digest,
  errorCode,
  formatReference,
  InFlight,
  openImage,
  type Platform,
  parseReference,
  type ReadableContent,
  type Reference,
  type Resolver,
  ToolError,
  withDefaultTag,
} from '../core/index.ts';

/** A base where it is. */
export interface FoundBase {
  /** In full. */
  readonly name: string;
  readonly content: ReadableContent;
  /** A manifest, or an index. */
  readonly root: Descriptor;
  readonly isNear: boolean;
}

export interface BasesOptions {
  repository(reference: Reference): ReadableContent & Resolver;
  /** Where bases that were pulled or built lie. */
  readonly store: ReadableContent & Resolver;
}

/** Where bases of images are looked for: each name is asked for once. */
export class Bases {
  readonly #options: BasesOptions;
  readonly #asking = new InFlight<FoundBase>();
  readonly #known = new Map<string, FoundBase>();

  constructor(options: BasesOptions) {
    this.#options = options;
  }

  /**
   * What a base's name means at its registry now.
   * @throws NotFoundError REFERENCE_NOT_FOUND; ToolError REGISTRY_*
   */
  async current(reference: Reference, options: CallOptions = {}): Promise<FoundBase> {
    const wanted = withDefaultTag(reference);
    return this.#ask(formatReference(wanted), async () => {
      const content = this.#options.repository(wanted);
      const root = await content.resolve(wanted.digest ?? wanted.tag ?? 'latest', options);
      return { name: formatReference(wanted), content, root, isNear: false };
    });
  }

  /** What a base was: out of the store, else out of its repository; undefined when neither has it any more. */
  async recorded(
    { registry, repository }: Reference,
    digest: Digest,
    options: CallOptions = {},
  ): Promise<FoundBase | undefined> {
    const reference = { registry, repository, digest };
    const name = formatReference(reference);
    try {
      return await this.#ask(name, async () => {
        const root = await found(this.#options.store.resolve(digest, options));
        if (root !== undefined) return { name, content: this.#options.store, root, isNear: true };
        const content = this.#options.repository(reference);
        return { name, content, root: await content.resolve(digest, options), isNear: false };
      });
    } catch (error) {
      if (errorCode(error) === 'REFERENCE_NOT_FOUND') return undefined;
      throw error;
    }
  }

  async #ask(name: string, ask: () => Promise<FoundBase>): Promise<FoundBase> {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const base = await this.#asking.run(name, ask);
    this.#known.set(name, base);
    return base;
  }
}

/** The base's image for one platform. @throws as `openImage` */
export async function basePlace(
  { content, root, isNear }: FoundBase,
  platform: Platform,
  options: CallOptions,
): Promise<ImagePlace> {
  return { content, image: await openImage(content, root, { ...options, platform }), isNear };
}

/**
 * A base's name as its builder wrote it down.
 * @throws ToolError STALE_UNCHECKED for what is in no registry
 */
export function baseReference(name: string): Reference {
  if (/^(?:bootstrap|oci):/.test(name)) {
    throw new ToolError('STALE_UNCHECKED', `its base ${name} is in no registry`, {
      hint: name.startsWith('bootstrap:')
        ? 'kiln rebuild check and kiln outdated compare with the archive of packages'
        : 'build it again to be sure',
    });
  }
  return parseReference(name);
}

async function found<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (errorCode(error) === 'REFERENCE_NOT_FOUND') return undefined;
    throw error;
  }
}

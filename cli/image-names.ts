import {
  type CallOptions,
  type Descriptor,
  digestHex,
  familiarReference,
  formatReference,
  isDigest,
  NotFoundError,
  nearest,
  parseReference,
  type Reference,
  ToolError,
  withDefaultTag,
} from '../core/index.ts';

/** The part of the store that knows names. */
export interface NamedContent {
  list(): Promise<readonly { readonly name: string; readonly descriptor: Descriptor }[]>;
  resolve(reference: string, options?: CallOptions): Promise<Descriptor>;
}

export interface FoundImage {
  readonly descriptor: Descriptor;
  /** As it stands in the store; undefined when the image was asked for by digest. */
  readonly name: string | undefined;
}

/**
 * Finds an image in the store by name, `sha256:…`, `name@sha256:…`, or the beginning of its digest as `images` shows it.
 * @throws NotFoundError IMAGE_NOT_FOUND; ToolError REFERENCE_INVALID, IMAGE_AMBIGUOUS
 */
export async function findImage(content: NamedContent, text: string, options: CallOptions = {}): Promise<FoundImage> {
  const named = await content.list();
  if (isDigest(text)) return { descriptor: await resolveDigest(content, text, text, options), name: undefined };
  const reference = /^[0-9a-f]{64}$/.test(text) ? undefined : withDefaultTag(parseReference(text));
  const name = reference === undefined ? text : formatReference(reference);
  const byName = named.find((entry) => entry.name === name);
  if (byName !== undefined) return byName;
  if (reference?.digest !== undefined) {
    return { descriptor: await resolveDigest(content, reference.digest, text, options), name: undefined };
  }
  const byShort = findByShortDigest(
    named.map((entry) => entry.descriptor),
    text,
  );
  if (byShort !== undefined) return { descriptor: byShort, name: undefined };
  throw notFound(
    text,
    named.map((entry) => familiarName(entry.name)),
  );
}

/**
 * A name that an image can be given.
 * @throws ToolError REFERENCE_INVALID
 */
export function nameForImage(text: string): Reference {
  const reference = withDefaultTag(parseReference(text));
  if (reference.digest === undefined) return reference;
  throw new ToolError('REFERENCE_INVALID', `${JSON.stringify(text)} has a digest, which cannot be chosen`, {
    hint: 'give NAME[:TAG]',
  });
}

/**
 * The names that `rmi` removes: each as it was written, or those of a digest.
 * @param force ignores what is not there, and takes a digest with several names
 * @throws NotFoundError IMAGE_NOT_FOUND; ToolError REFERENCE_INVALID, IMAGE_AMBIGUOUS
 */
export async function namesToRemove(
  content: NamedContent,
  texts: readonly string[],
  options: CallOptions & { readonly force: boolean },
): Promise<Reference[]> {
  const names = new Set<string>();
  for (const text of texts) {
    try {
      const { descriptor, name } = await findImage(content, text, options);
      for (const found of name === undefined ? await namesOf(content, descriptor, text, options.force) : [name])
        names.add(found);
    } catch (error) {
      if (!options.force || !(error instanceof NotFoundError)) throw error;
    }
  }
  return Array.from(names, (name) => parseReference(name));
}

async function namesOf(content: NamedContent, { digest }: Descriptor, text: string, force: boolean): Promise<string[]> {
  const names = (await content.list()).filter((entry) => entry.descriptor.digest === digest).map((entry) => entry.name);
  if (names.length <= 1 || force) return names;
  throw new ToolError('IMAGE_AMBIGUOUS', `${text} has ${names.length} names: ${names.map(familiarName).join(', ')}`, {
    hint: 'name the one to remove, or remove all with -f',
  });
}

/** The short form of a name out of the store; a name another tool wrote is shown as it is. */
export function familiarName(name: string): string {
  const reference = tryParseReference(name);
  return reference === undefined ? name : familiarReference(reference);
}

export function tryParseReference(name: string): Reference | undefined {
  try {
    return parseReference(name);
  } catch {
    return undefined;
  }
}

function findByShortDigest(descriptors: readonly Descriptor[], text: string): Descriptor | undefined {
  if (!/^[0-9a-f]{4,64}$/.test(text)) return undefined;
  const found = new Map(
    descriptors
      .filter(({ digest }) => digestHex(digest).startsWith(text))
      .map((descriptor) => [descriptor.digest, descriptor]),
  );
  if (found.size > 1) {
    throw new ToolError('IMAGE_AMBIGUOUS', `${text} is the beginning of ${found.size} images' digests`, {
      hint: 'write more digits of it',
    });
  }
  return found.values().next().value;
}

async function resolveDigest(
  content: NamedContent,
  digest: string,
  text: string,
  options: CallOptions,
): Promise<Descriptor> {
  try {
    return await content.resolve(digest, options);
  } catch (cause) {
    if (cause instanceof NotFoundError) throw notFound(text, []);
    throw cause;
  }
}

function notFound(text: string, known: readonly string[]): NotFoundError {
  const near = nearest(text, known);
  return new NotFoundError('IMAGE_NOT_FOUND', `there is no image ${JSON.stringify(text)} in the store`, {
    hint: near === undefined ? `see: kiln images, or get it: kiln pull ${text}` : `did you mean ${near}?`,
  });
}

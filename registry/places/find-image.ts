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
} from '../../core/index.ts';

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

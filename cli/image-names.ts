import {
  type CallOptions,
  type Descriptor,
  NotFoundError,
  parseReference,
  type Reference,
  ToolError,
  withDefaultTag,
} from '../core/index.ts';
import { familiarName, findImage, type NamedContent } from '../registry/index.ts';

export { type FoundImage, familiarName, findImage, type NamedContent, tryParseReference } from '../registry/index.ts';

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

import type { ImageNames } from '../builder/index.ts';
import {
  type CallOptions,
  errorCode,
  formatReference,
  NotFoundError,
  parseReference,
  type Reference,
  withDefaultTag,
} from '../core/index.ts';
import {
  type FoundImage,
  findImage,
  type NamedContent,
  openRepository,
  type RemoteOptions,
} from '../registry/index.ts';
import type { Context } from './context.ts';
import { openRegistryHosts } from './registry-flags.ts';

/**
 * What names in Buildfiles mean on this machine. A Buildfile is to mean one thing: where several registries are
 * searched, short names without an alias are refused.
 * @throws ToolError REGISTRY_CONFIG_INVALID
 */
export async function imageNames(context: Pick<Context, 'env' | 'folder'>): Promise<ImageNames> {
  const names = await openRegistryHosts(context).shortNames();
  return {
    sources: names.sources,
    inFull(name) {
      const reference = names.only(name);
      const full = formatReference(reference);
      // Names that mean what they always do stay as they were written.
      return full === formatReference(parseReference(name)) ? name : full;
    },
  };
}

/**
 * The reference in full that a name on the command line means, with a tag. Where several registries are searched, the
 * first that has it.
 * @throws ToolError REFERENCE_INVALID, REFERENCE_AMBIGUOUS, REGISTRY_CONFIG_INVALID; NotFoundError REFERENCE_NOT_FOUND
 */
export async function referenceToPull(
  context: Pick<Context, 'env' | 'folder'>,
  text: string,
  options: CallOptions & { readonly remote: RemoteOptions },
): Promise<Reference> {
  const candidates = (await openRegistryHosts(context).shortNames()).candidates(text).map(withDefaultTag);
  const [first, ...others] = candidates;
  if (first === undefined || others.length === 0) return first ?? withDefaultTag(parseReference(text));
  const failures: string[] = [];
  for (const candidate of candidates) {
    try {
      await openRepository(candidate, options.remote).resolve(candidate.digest ?? candidate.tag ?? 'latest', options);
      return candidate;
    } catch (error) {
      // Another may have it: the registry asks for a login, denies, does not answer, or does not know the name.
      if (!/^(?:REGISTRY|REFERENCE)_/.test(errorCode(error) ?? '') || !(error instanceof Error)) throw error;
      failures.push(error.message);
    }
  }
  throw new NotFoundError('REFERENCE_NOT_FOUND', `no registry that is searched has ${text}: ${failures.join('; ')}`, {
    hint: `write where it is, such as ${formatReference(first)}`,
  });
}

/**
 * An image in the store, also under what a short name means on this machine.
 * @throws NotFoundError IMAGE_NOT_FOUND; ToolError REFERENCE_INVALID, IMAGE_AMBIGUOUS
 */
export async function findImageHere(
  context: Pick<Context, 'env' | 'folder'>,
  content: NamedContent,
  text: string,
  options: CallOptions = {},
): Promise<FoundImage> {
  try {
    return await findImage(content, text, options);
  } catch (error) {
    if (errorCode(error) !== 'IMAGE_NOT_FOUND') throw error;
    for (const name of await otherNames(context, text)) {
      const found = (await content.list()).find((entry) => entry.name === name);
      if (found !== undefined) return found;
    }
    throw error;
  }
}

async function otherNames(context: Pick<Context, 'env' | 'folder'>, text: string): Promise<readonly string[]> {
  // A digest, or the beginning of one, is no name.
  if (/^(?:sha\d+:)?[0-9a-f]{64,}$/.test(text)) return [];
  const names = await openRegistryHosts(context).shortNames();
  return names.all(text).map((reference) => formatReference(withDefaultTag(reference)));
}

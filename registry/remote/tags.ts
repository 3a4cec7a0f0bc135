import { type CallOptions, isTag, ToolError } from '../../core/index.ts';
import { entriesOf, pagesOf } from './pages.ts';
import type { RepositoryCalls } from './repository-calls.ts';

/** What registries that limit it allow. */
const pageSize = 1000;

export interface TagOptions extends CallOptions {
  /** Only those that the registry lists after this tag. */
  readonly last?: string;
}

/**
 * The tags of a repository, each once, in the registry's order; what is no tag is passed over.
 * distribution-spec, #listing-tags
 * @throws NotFoundError REFERENCE_NOT_FOUND; ToolError REGISTRY_UNEXPECTED_ANSWER
 */
export async function* listTags(calls: RepositoryCalls, options: TagOptions = {}): AsyncGenerator<string, void> {
  const { last } = options;
  if (last !== undefined && !isTag(last)) {
    throw new ToolError('REFERENCE_INVALID', `${JSON.stringify(last)} is not a tag`);
  }
  const ask = async (query: string) => {
    const response = await calls.ask('GET', `tags/list?${query}`, { access: 'pull', signal: options.signal });
    if (response.status === 200) return response;
    throw await calls.failure(response, 'GET', {
      code: 'REFERENCE_NOT_FOUND',
      message: `there is no repository ${calls.name}`,
    });
  };
  const first = pageQuery(last);
  const seen = new Set<string>();
  const what = `tags of ${calls.name}`;
  const pages = pagesOf(what, first, ask, {
    ...options,
    guess: (document) => nextGuess(tagsIn(document), seen),
  });
  yield* entriesOf(what, pages, seen, tagsIn);
}

/**
 * Some registries cut the list and do not say so. A page that is exactly full and brings news may have a next one; a
 * registry that does not know `last` sends the same again, which ends it.
 */
function nextGuess(tags: readonly string[], seen: ReadonlySet<string>): string | undefined {
  const isFull = tags.length === pageSize && tags.some((tag) => !seen.has(tag));
  return isFull ? pageQuery(tags.at(-1)) : undefined;
}

function pageQuery(last: string | undefined): string {
  return new URLSearchParams({ n: String(pageSize), ...(last === undefined ? {} : { last }) }).toString();
}

/** Registries send `null` for the list of a repository without tags. */
function tagsIn(document: unknown): string[] {
  const tags = typeof document === 'object' && document !== null && 'tags' in document ? document.tags : undefined;
  return Array.isArray(tags) ? tags.filter((tag) => typeof tag === 'string' && isTag(tag)) : [];
}

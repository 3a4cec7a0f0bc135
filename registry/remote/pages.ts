import { type CallOptions, ToolError } from '../../core/index.ts';
import { type HttpResponse, readCapped } from './http.ts';
import { nextLink } from './link-header.ts';

/** One answer of a list that comes in parts. */
export interface Page {
  /** The document, parsed and otherwise unchecked. */
  readonly document: unknown;
  readonly response: HttpResponse;
  /** What follows the `?` of the next part; undefined at the end. */
  readonly next: string | undefined;
}

const maxPages = 10_000;
const maxEntries = 1_000_000;
/** Registries that do not know `n` send all of a list at once. */
const maxPageBytes = 16 * 1024 * 1024;

/**
 * Walks a list of which each answer names the next by a `Link` header. Of the link only its query is taken: every page
 * is asked of the same registry, which behind a proxy may not know its own name, and of no other place, whatever the
 * link says. distribution-spec, #listing-tags
 * @param what named in errors: `the tags of host/path`
 * @param ask gets a page by its query, `''` or what follows the `?`; answers with a success
 * @param guess for lists whose answers lack the header: the query of the next page, if there may be one
 * @throws ToolError REGISTRY_UNEXPECTED_ANSWER when the list goes in circles, never ends, or is no JSON
 */
export async function* pagesOf(
  what: string,
  firstQuery: string,
  ask: (query: string) => Promise<HttpResponse>,
  options: CallOptions & { readonly guess?: (document: unknown) => string | undefined } = {},
): AsyncGenerator<Page, void> {
  const asked = new Set<string>();
  let query: string | undefined = firstQuery;
  while (query !== undefined) {
    options.signal?.throwIfAborted();
    if (asked.has(query)) throw unexpected(what, 'it goes in circles');
    if (asked.size >= maxPages) throw unexpected(what, `it has more than ${maxPages} pages`);
    asked.add(query);
    const response = await ask(query);
    const document = await readDocument(response, what);
    const link = nextLink(response.headers.get('link') ?? '');
    query = link === undefined ? options.guess?.(document) : queryOf(link, what);
    yield { document, response, next: query };
  }
}

/**
 * The entries of all pages, each once.
 * @throws ToolError REGISTRY_UNEXPECTED_ANSWER also when there are more than anybody can have meant
 */
export async function* entriesOf(
  what: string,
  pages: AsyncIterable<Page>,
  seen: Set<string>,
  pick: (document: unknown) => readonly string[],
): AsyncGenerator<string, void> {
  for await (const { document } of pages) {
    for (const entry of pick(document)) {
      if (seen.has(entry)) continue;
      if (seen.size >= maxEntries) throw unexpected(what, `it has more than ${maxEntries} entries`);
      seen.add(entry);
      yield entry;
    }
  }
}

function queryOf(link: string, what: string): string {
  const mark = link.indexOf('?');
  if (mark === -1) throw unexpected(what, 'the next page has no query');
  const query = new URLSearchParams(link.slice(mark + 1).replace(/#.*$/s, ''));
  return query.toString();
}

async function readDocument(response: HttpResponse, what: string): Promise<unknown> {
  const { bytes, whole } = await readCapped(response.body, maxPageBytes);
  if (!whole) throw unexpected(what, `a page is over ${maxPageBytes} bytes`);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw unexpected(what, 'it is not JSON', cause);
  }
}

function unexpected(what: string, why: string, cause?: unknown): ToolError {
  return new ToolError('REGISTRY_UNEXPECTED_ANSWER', `the list of ${what} cannot be read: ${why}`, {
    ...(cause === undefined ? {} : { cause }),
  });
}

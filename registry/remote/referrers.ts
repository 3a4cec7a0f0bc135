import {
  type CallOptions,
  type Descriptor,
  type Digest,
  isIndexType,
  mediaTypes,
  parseDescriptor,
  ToolError,
} from '../../core/index.ts';
import { discard, type HttpResponse } from './http.ts';
import { pagesOf } from './pages.ts';
import type { RepositoryCalls } from './repository-calls.ts';

export interface ReferrerOptions extends CallOptions {
  /** Only those of this type. */
  readonly artifactType?: string;
}

/** Nobody attaches so many; a registry that sends more is not read on. */
const maxReferrers = 100_000;

/**
 * What the registry's referrers API tells; undefined where it has none. distribution-spec, #listing-referrers
 * @throws ToolError REGISTRY_UNEXPECTED_ANSWER
 */
export async function askReferrers(
  calls: RepositoryCalls,
  subject: Digest,
  options: ReferrerOptions = {},
): Promise<readonly Descriptor[] | undefined> {
  const { artifactType, signal } = options;
  const what = `referrers of ${calls.name}@${subject}`;
  const query = artifactType === undefined ? '' : new URLSearchParams({ artifactType }).toString();
  const first = await get(calls, subject, query, signal);
  if (!isList(first)) {
    await discard(first);
    return undefined;
  }
  const found = new Map<Digest, Descriptor>();
  let begun: HttpResponse | undefined = first;
  const ask = async (next: string) => {
    const response = begun ?? (await get(calls, subject, next, signal));
    begun = undefined;
    if (response.status !== 200) throw await calls.failure(response, 'GET');
    return response;
  };
  for await (const { document, response } of pagesOf(what, query, ask, options)) {
    const isFiltered = filtersApplied(response).includes('artifactType');
    for (const entry of referrersIn(document, what)) {
      if (artifactType !== undefined && !isFiltered && entry.artifactType !== artifactType) continue;
      if (found.size >= maxReferrers) {
        throw new ToolError('REGISTRY_UNEXPECTED_ANSWER', `there are more than ${maxReferrers} ${what}`);
      }
      found.set(entry.digest, entry);
    }
  }
  return [...found.values()];
}

function get(calls: RepositoryCalls, subject: Digest, query: string, signal: AbortSignal | undefined) {
  return calls.ask('GET', `referrers/${subject}${query === '' ? '' : `?${query}`}`, {
    access: 'pull',
    headers: { Accept: mediaTypes.index },
    signal,
  });
}

/**
 * Registries without the API answer 404, or what they answer to anything they do not know: a page for people, with 200.
 */
function isList(response: HttpResponse): boolean {
  if (response.status === 200) return isIndexType(mediaTypeOf(response));
  return ![404, 405, 501].includes(response.status);
}

function mediaTypeOf(response: HttpResponse): string {
  return response.headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

function filtersApplied(response: HttpResponse): string[] {
  return (response.headers.get('oci-filters-applied') ?? '').split(',').map((name) => name.trim());
}

/** Entries that are no descriptors make the whole list unfit: what is left out could be what was asked for. */
function referrersIn(document: unknown, what: string): Descriptor[] {
  const list = typeof document === 'object' && document !== null && 'manifests' in document ? document.manifests : 0;
  // What Go makes of a list that nobody filled.
  if (list === null) return [];
  if (Array.isArray(list)) return list.map(parseDescriptor);
  throw new ToolError('REGISTRY_UNEXPECTED_ANSWER', `the ${what} are not listed in an index`);
}

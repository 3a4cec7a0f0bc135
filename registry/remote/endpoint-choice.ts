import { ToolError } from '../../core/index.ts';
import type { RegistryEndpoint } from '../hosts/endpoint.ts';
import type { HttpResponse } from './http.ts';

/**
 * What a request is for: `resolve` finds what a name means and `pull` reads content by its digest, which mirrors may do as
 * well; `push` writes, or asks what is there already; `registry` asks what only the registry itself knows, such as its
 * tags; `login` tries a credential of it.
 */
export type Purpose = 'resolve' | 'pull' | 'push' | 'registry' | 'login';

export interface Wanted {
  readonly purpose: Purpose;
  readonly byDigest: boolean;
}

interface Choosable {
  readonly endpoint: RegistryEndpoint;
}

/**
 * Whom to ask, in this order; at least one.
 * @param known.resolved mirrors that knew a tag of this repository
 * @throws ToolError REGISTRY_DENIED when nothing may be pushed anywhere
 */
export function chosenEndpoints<E extends Choosable>(
  all: readonly E[],
  wanted: Wanted,
  known: { readonly registry: string; readonly resolved: ReadonlySet<E> },
): readonly E[] {
  switch (wanted.purpose) {
    case 'push': {
      const found = all.find(({ endpoint }) => endpoint.capabilities.has('push'));
      if (found !== undefined) return [found];
      throw new ToolError('REGISTRY_DENIED', `nothing may be pushed to ${known.registry}`, {
        hint: 'its configuration (hosts.toml) gives no server the capability push',
      });
    }
    case 'registry':
      return lastOf(all, ({ endpoint }) => endpoint.capabilities.has('pull') || endpoint.capabilities.has('resolve'));
    case 'login': {
      const own = all.findLast(({ endpoint }) => endpoint.credentialsOf === known.registry);
      if (own !== undefined) return [own];
      const server = all.at(-1)?.endpoint.credentialsOf ?? known.registry;
      throw new ToolError(
        'REGISTRY_DENIED',
        `${known.registry} is served by ${server}, which has credentials of its own`,
        {
          hint: `log in there: kiln login ${server}`,
        },
      );
    }
    case 'pull':
    case 'resolve': {
      const capability = wanted.byDigest ? 'pull' : 'resolve';
      const able = all.filter(
        (candidate) => candidate.endpoint.capabilities.has(capability) && mayAnswer(candidate, wanted, known.resolved),
      );
      return able.length > 0 ? able : lastOf(all, () => true);
    }
  }
}

function lastOf<E>(all: readonly E[], isFit: (candidate: E) => boolean): readonly E[] {
  const fit = all.filter(isFit);
  return (fit.length > 0 ? fit : all).slice(-1);
}

function mayAnswer<E extends Choosable>(candidate: E, { byDigest }: Wanted, resolved: ReadonlySet<E>): boolean {
  const { answers } = candidate.endpoint;
  if (answers === undefined) return true;
  // What a tag names has to come from where the tag was found: others may not have it.
  return answers === 'digests' ? byDigest : !byDigest || resolved.has(candidate);
}

/** False where another place may do better. */
export function isAnswer(response: HttpResponse): boolean {
  return (response.status < 400 && !isPageForPeople(response)) || response.status === 416;
}

/** Why a mirror is not worth another request; undefined when it just does not have this. */
export function mirrorFailure({ isMirror }: RegistryEndpoint, response: HttpResponse): string | undefined {
  const { status } = response;
  if (!isMirror || status === 404 || status === 429) return undefined;
  if (isPageForPeople(response)) return 'it answered with a page for people';
  return status === 401 || status === 403 || status >= 500 ? `it answered ${status}` : undefined;
}

/** Hotels answer everything with a page to log in at. */
export function isPageForPeople({ headers, url }: HttpResponse): boolean {
  return /^text\/html\b/i.test(headers.get('content-type') ?? '') && url.pathname.includes('/manifests/');
}

import { type CallOptions, isRepositoryName, ToolError } from '../../core/index.ts';
import { responseError } from './errors.ts';
import { discard, type HttpResponse } from './http.ts';
import { entriesOf, pagesOf } from './pages.ts';
import { RegistrySession, type RemoteOptions } from './session.ts';

const pageSize = 1000;

/**
 * The repositories that a registry tells of, by their paths, each once; what is no repository's name is passed over.
 * Registry API V2 of Docker, #listing-repositories: the distribution specification leaves it to the registries.
 * @throws ToolError REGISTRY_NO_CATALOG where the registry does not list them
 */
export async function* listRepositories(
  registry: string,
  options: RemoteOptions & CallOptions,
): AsyncGenerator<string, void> {
  const session = new RegistrySession(registry, options);
  const ask = async (query: string): Promise<HttpResponse> => {
    const response = await session.send({
      method: 'GET',
      to: `_catalog?${query}`,
      scopes: ['registry:catalog:*'],
      signal: options.signal,
    });
    if (response.status === 200) return response;
    if (response.status === 404 || response.status === 405) {
      await discard(response);
      throw noCatalog(registry, response.status);
    }
    const error = await responseError(response, { method: 'GET', registry, redact: (text) => session.redact(text) });
    // Public registries refuse it to everyone, however they are logged in.
    if (error.code !== 'REGISTRY_UNAUTHORIZED' && error.code !== 'REGISTRY_DENIED') throw error;
    throw new ToolError(error.code, error.message, {
      cause: error,
      hint: `log in: kiln login ${registry}; many public registries list their repositories to nobody`,
    });
  };
  const what = `repositories of ${registry}`;
  yield* entriesOf(what, pagesOf(what, `n=${pageSize}`, ask, options), new Set(), repositoriesIn);
}

function repositoriesIn(document: unknown): string[] {
  const list =
    typeof document === 'object' && document !== null && 'repositories' in document ? document.repositories : undefined;
  return Array.isArray(list) ? list.filter((name) => typeof name === 'string' && isRepositoryName(name)) : [];
}

function noCatalog(registry: string, status: number): ToolError {
  return new ToolError('REGISTRY_NO_CATALOG', `${registry} does not list its repositories (it answered ${status})`, {
    hint: 'look on its website; the tags of one repository are shown by: kiln repo tags REPOSITORY',
  });
}

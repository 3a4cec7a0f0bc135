import type { CallOptions, ToolError } from '../../core/index.ts';
import type { Asked } from './errors.ts';
import type { HttpResponse } from './http.ts';

/** What a registry has to let one do, for the scope of a token. */
export type Access = 'pull' | 'push' | 'delete';

export interface RepositoryCall extends CallOptions {
  readonly access: Access;
  readonly headers?: Readonly<Record<string, string>>;
}

/** How the parts of a RemoteRepository ask the registry: one repository, one session. */
export interface RepositoryCalls {
  /** `host/path` */
  readonly name: string;
  /** @param path what follows the repository's name: `tags/list?n=100` */
  ask(method: 'GET' | 'HEAD' | 'DELETE', path: string, call: RepositoryCall): Promise<HttpResponse>;
  failure(response: HttpResponse, method: string, notFound?: Asked['notFound']): Promise<ToolError>;
}

/** @returns `repository:web:pull,push` */
export function repositoryScope(repository: string, access: Access): string {
  const actions = { pull: 'pull', push: 'pull,push', delete: 'pull,push,delete' } as const;
  return `repository:${repository}:${actions[access]}`;
}

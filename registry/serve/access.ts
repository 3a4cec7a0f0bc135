import { isRepositoryName } from '../../core/index.ts';
import type { Route } from './route.ts';

/** What a request needs. Docker's token authentication, "Requesting a token": `repository:NAME:pull,push` */
export interface Access {
  readonly type: 'repository' | 'registry';
  readonly name: string;
  /** Each of these is needed. */
  readonly actions: readonly string[];
}

/** Who sent a request, and what else they may do. */
export interface Sender {
  /** For logs and notifications; undefined for anybody. */
  readonly name: string | undefined;
  may(access: Access): boolean;
}

export interface Authenticator {
  /**
   * @param authorization the header of that name
   * @param needed without which nothing is done
   * @param wished what the sender had better ask for as well
   * @throws RequestError 401 with a challenge; 429
   */
  admit(authorization: string | undefined, needed: readonly Access[], wished: readonly Access[]): Promise<Sender>;
}

export const everybody: Sender = { name: undefined, may: () => true };

/** A registry that asks nobody who they are. */
export const openToAll: Authenticator = { admit: async () => everybody };

/** What a request to this address needs. */
export function neededAccess(route: Route, method: string): readonly Access[] {
  switch (route.kind) {
    case 'base':
      return [];
    case 'catalog':
      return [{ type: 'registry', name: 'catalog', actions: ['*'] }];
    default:
      return [{ type: 'repository', name: route.repository, actions: actionsOf(route, method) }];
  }
}

/** A mount reads from another repository; without that, it is an upload. */
export function wishedAccess(route: Route, query: URLSearchParams): readonly Access[] {
  const from = query.get('from');
  if (route.kind !== 'uploads' || from === null || !query.has('mount') || !isRepositoryName(from)) return [];
  return [pullOf(from)];
}

export function pullOf(repository: string): Access {
  return { type: 'repository', name: repository, actions: ['pull'] };
}

function actionsOf(route: Route, method: string): readonly string[] {
  if (method === 'GET' || method === 'HEAD') return route.kind === 'upload' ? ['pull', 'push'] : ['pull'];
  // Whoever may begin an upload may let go of it.
  return method === 'DELETE' && route.kind !== 'upload' ? ['delete'] : ['pull', 'push'];
}

import { canonicalJson, type Digest, unreachable } from '../../core/index.ts';
import type { Mount } from '../plan/plan.ts';
import type { Preimage } from '../workshop/step-cache.ts';
import { absoluteDestination } from './destinations.ts';

/** A bind as it enters a key. */
export interface KeyedBind {
  /** Where it is seen, absolute. */
  readonly to: string;
  /** Names its content. */
  readonly selection: { readonly listing: Digest };
}

/**
 * What mounts contribute to a step's key: where each is and what it is called. Of binds also the content; never that
 * of secrets, agents and caches, nor how a cache is shared.
 */
export function mountsInKey(mounts: readonly Mount[], cwd: string, binds: readonly KeyedBind[]): Preimage {
  if (mounts.length === 0) return [];
  const contents = binds.map(({ to, selection }) => [`${bindInput}${to}`, selection.listing] as const);
  return [['mounts', mounts.map((mount) => canonicalJson(described(mount, cwd))).sort()], ...contents.sort(byName)];
}

/** What the inputs that hold the listing of a bind begin with. */
export const bindInput = 'bind ';

function byName([a]: readonly [string, Digest], [b]: readonly [string, Digest]): number {
  return a < b ? -1 : 1;
}

function described(mount: Mount, cwd: string): Readonly<Record<string, string | number | boolean>> {
  switch (mount.kind) {
    case 'cache': {
      const cache = absoluteDestination(mount.folder, cwd);
      return { cache, id: mount.id ?? cache };
    }
    case 'secret':
      return {
        secret: mount.id,
        ...(mount.to === undefined ? {} : { to: absoluteDestination(mount.to, cwd) }),
        ...(mount.env === undefined ? {} : { env: mount.env }),
      };
    case 'bind':
      return { bind: absoluteDestination(mount.to, cwd), ...(mount.writable ? { rw: true } : {}) };
    case 'tmpfs':
      return {
        tmpfs: absoluteDestination(mount.folder, cwd),
        ...(mount.sizeBytes === undefined ? {} : { size: mount.sizeBytes }),
      };
    case 'ssh':
      return { ssh: mount.id };
    default:
      throw unreachable(mount);
  }
}

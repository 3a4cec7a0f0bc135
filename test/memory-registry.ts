import { NotFoundError, type Reference, repositoryName, type Target, ToolError } from '../core/index.ts';
import { memoryTarget } from '../registry/index.ts';

/** Repositories in memory, for what asks registries. */
export interface MemoryRegistry {
  /** The repository of that name, made when it was never asked for. */
  at(name: string): Target;
  repository(reference: Reference): Target;
  /** A registry that does not answer. */
  readonly unreachable: Set<string>;
  /** What was asked for by name or digest. */
  readonly asked: string[];
}

export function memoryRegistry(): MemoryRegistry {
  const repositories = new Map<string, Target>();
  const unreachable = new Set<string>();
  const asked: string[] = [];
  const at = (name: string): Target => {
    const known = repositories.get(name) ?? memoryTarget();
    repositories.set(name, known);
    return known;
  };
  return {
    at,
    unreachable,
    asked,
    repository(reference) {
      const target = at(repositoryName(reference));
      const resolve: Target['resolve'] = async (name, options) => {
        asked.push(`${repositoryName(reference)} ${name}`);
        if (unreachable.has(reference.registry)) throw new ToolError('REGISTRY_UNREACHABLE', 'nobody is there');
        try {
          return await target.resolve(name, options);
        } catch (cause) {
          throw new NotFoundError('REFERENCE_NOT_FOUND', `there is no image ${name}`, { cause });
        }
      };
      return {
        resolve,
        has: (descriptor, options) => target.has(descriptor, options),
        read: (descriptor, options) => target.read(descriptor, options),
        write: (descriptor, content, options) => target.write(descriptor, content, options),
        tag: (descriptor, name, options) => target.tag(descriptor, name, options),
      };
    },
  };
}

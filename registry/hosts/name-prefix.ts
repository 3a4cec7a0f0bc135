import { errorCode, parseReference, type Reference } from '../../core/index.ts';

/** Where a name of registries.conf points to: `host[:port][/path]`. */
export interface NameLocation {
  readonly host: string;
  /** Without slashes at its ends; empty for the whole registry. */
  readonly path: string;
}

/**
 * Whether a repository lies below a prefix: the registry or path it names, or with `*.` at its beginning any host below
 * that domain. Only whole components count: `example.com/foo` is not the prefix of `example.com/foobar`.
 * @returns what follows the prefix in the name, without the slash; undefined when it is none
 */
export function afterPrefix(name: string, prefix: string): string | undefined {
  if (!prefix.startsWith('*.')) return after(name, prefix);
  const slash = name.indexOf('/');
  const host = name.slice(0, slash === -1 ? name.length : slash);
  const [domain = '', ...rest] = prefix.slice(1).split('/');
  // At least one label stands for the asterisk.
  if (!host.endsWith(domain) || host.length === domain.length) return undefined;
  return after(name, [host, ...rest].join('/'));
}

function after(name: string, prefix: string): string | undefined {
  if (name === prefix) return '';
  return name.startsWith(`${prefix}/`) ? name.slice(prefix.length + 1) : undefined;
}

/** Undefined for what is no `host[:port][/path]`. */
export function parseLocation(text: string): NameLocation | undefined {
  const slash = text.indexOf('/');
  const host = slash === -1 ? text : text.slice(0, slash);
  const path = slash === -1 ? '' : text.slice(slash + 1);
  if (slash !== -1 && path === '') return undefined;
  try {
    // The grammar of names; a port keeps a host without dots from being taken for a path.
    const sample = `${/:\d+$/.test(host) ? host : `${host}:1`}/${path === '' ? 'x' : path}`;
    const { tag, digest, repository } = parseReference(sample);
    if (tag !== undefined || digest !== undefined || repository !== (path === '' ? 'x' : path)) return undefined;
    return { host, path };
  } catch (error) {
    if (errorCode(error) === 'REFERENCE_INVALID') return undefined;
    throw error;
  }
}

/** The repository's name at a location: its path, and what followed the prefix. Empty when neither says anything. */
export function nameBelow(location: NameLocation, rest: string): Pick<Reference, 'registry' | 'repository'> {
  const repository = [location.path, rest].filter((part) => part !== '').join('/');
  const isHub = location.host === 'docker.io' || location.host === 'index.docker.io';
  if (!isHub) return { registry: location.host, repository };
  return {
    registry: 'docker.io',
    repository: repository === '' || repository.includes('/') ? repository : `library/${repository}`,
  };
}

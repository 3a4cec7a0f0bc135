import { parseReference, ToolError } from '../core/index.ts';

export interface LoginKey {
  /** As credentials are kept: `host[:port]`, or with a path for a part of the registry. */
  readonly key: string;
  readonly registry: string;
  /** The path, to be spread into options that take a repository. */
  readonly repository: { readonly repository?: string };
}

/**
 * A registry as `login` and `logout` take it: a host, a host and the beginning of names, or a URL as people paste it;
 * nothing means Docker's own.
 * @throws ToolError USAGE_REGISTRY
 */
export function loginKey(text: string | undefined): LoginKey {
  const written = text ?? 'docker.io';
  const withoutScheme = written.replace(/^https?:\/\//, '');
  const isUrl = withoutScheme !== written;
  const bare = withoutScheme.replace(isUrl ? /\/(?:v[12]\/?)?$/ : /\/(?:v[12]\/)?$/, '');
  const slash = bare.indexOf('/');
  const host = slash === -1 ? bare : bare.slice(0, slash);
  const path = slash === -1 ? undefined : bare.slice(slash + 1);
  try {
    // Any path will do: what is asked is whether the host is one.
    const { registry, tag, digest } = parseReference(`${host}/${path ?? 'x'}`);
    const isWhole = tag === undefined && digest === undefined;
    if (path === undefined && (registry === host || host === 'index.docker.io')) {
      return { key: registry, registry, repository: {} };
    }
    if (path !== undefined && registry === host && isWhole && !isUrl) {
      return { key: `${registry}/${path}`, registry, repository: { repository: path } };
    }
  } catch {
    // Said below, about what was written.
  }
  throw new ToolError('USAGE_REGISTRY', `${JSON.stringify(text)} is not a registry`, {
    hint: 'write HOST or HOST:PORT, such as registry.example:5000',
  });
}

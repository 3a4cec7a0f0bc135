import { parseReference, ToolError } from '../core/index.ts';

/**
 * A registry as `login` and `logout` take it: a host, or a URL as people paste it; nothing means Docker's own.
 * @throws ToolError USAGE_REGISTRY
 */
export function registryName(text: string | undefined): string {
  const bare = (text ?? 'docker.io').replace(/^https?:\/\//, '').replace(/\/(?:v[12]\/?)?$/, '');
  try {
    // Any path will do: what is asked is whether the host is one.
    const { registry } = parseReference(`${bare}/x`);
    if (registry === bare || bare === 'index.docker.io') return registry;
  } catch {
    // Said below, about what was written.
  }
  throw new ToolError('USAGE_REGISTRY', `${JSON.stringify(text)} is not a registry`, {
    hint: 'write HOST or HOST:PORT, such as registry.example:5000',
  });
}

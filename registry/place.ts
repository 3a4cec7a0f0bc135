import { parseReference, type Reference, ToolError } from '../core/index.ts';

/** Where an image is, as it is named on a command line. */
export type Place =
  | { readonly kind: 'registry'; readonly reference: Reference }
  /** An OCI layout: a folder, or a tar of one. */
  | { readonly kind: 'oci' | 'oci-archive'; readonly path: string; readonly name?: string }
  | { readonly kind: 'docker-archive'; readonly path: string; readonly name?: string }
  /** Kiln's own store. */
  | { readonly kind: 'store'; readonly name: string };

/**
 * `docker://NAME`, `oci:DIR[:NAME]`, `oci-archive:FILE[:NAME]`, `docker-archive:FILE[:NAME]`, `kiln:NAME`, or a bare name.
 * @param bare what a name without prefix means
 * @throws ToolError PLACE_INVALID, REFERENCE_INVALID
 */
export function parsePlace(text: string, bare: 'registry' | 'store'): Place {
  const [, prefix, rest = ''] = /^(docker|oci|oci-archive|docker-archive|kiln):(.*)$/s.exec(text) ?? [];
  if (prefix === undefined) return bare === 'store' ? { kind: 'store', name: text } : registryPlace(text);
  if (prefix === 'docker' && rest.startsWith('//')) return registryPlace(rest.slice(2));
  if (prefix === 'kiln' && rest !== '') return { kind: 'store', name: rest };
  if (prefix === 'oci' || prefix === 'oci-archive' || prefix === 'docker-archive') {
    const [, path = '', name] = /^([^:]+)(?::(.+))?$/s.exec(rest) ?? [];
    if (path !== '') return { kind: prefix, path, ...(name === undefined ? {} : { name }) };
  }
  throw new ToolError('PLACE_INVALID', `${JSON.stringify(text)} names no place of images`, {
    hint: 'write docker://NAME, oci:DIR[:NAME], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME] or kiln:NAME',
  });
}

function registryPlace(text: string): Place {
  return { kind: 'registry', reference: parseReference(text) };
}

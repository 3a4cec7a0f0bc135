import { formatReference, parseReference, type Reference, ToolError, withDefaultTag } from '../../core/index.ts';

/** Where an image is, as it is named on a command line. */
export type Place =
  | { readonly kind: 'registry'; readonly reference: Reference }
  | FilePlace
  /** Kiln's own store. */
  | { readonly kind: 'store'; readonly name: string };

/** An OCI layout, as a folder or a tar, or a tar that `docker load` reads. */
export interface FilePlace {
  readonly kind: 'oci' | 'oci-archive' | 'docker-archive';
  readonly path: string;
  readonly name?: string;
}

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

/** As `parsePlace` reads it. Of a registry's or the store's image that is its name alone. */
export function placeText(place: Place): string {
  switch (place.kind) {
    case 'registry':
      return formatReference(withDefaultTag(place.reference));
    case 'store':
      return place.name;
    default:
      return `${place.kind}:${place.path}${place.name === undefined ? '' : `:${place.name}`}`;
  }
}

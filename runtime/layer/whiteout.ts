import type { ByteString } from './entry.ts';

/** image-spec, layer.md#whiteouts */
export const whiteoutPrefix = '.wh.';
const opaqueName = '.wh..wh..opq';
/** What aufs kept beside the files; peers skip it. */
const aufsPrefix = '.wh..wh.';

export function whiteoutMarker(path: ByteString): string {
  return joined(parentOf(path), whiteoutPrefix + nameOf(path));
}

export function opaqueMarker(directory: ByteString): string {
  return joined(directory, opaqueName);
}

/** What the last component of a clean path says of the layers below. */
export type Marker =
  | { readonly kind: 'none' | 'aufs' | 'malformed' }
  | { readonly kind: 'opaque' | 'whiteout'; readonly path: ByteString };

export function markerOf(path: ByteString): Marker {
  if (!path.includes(whiteoutPrefix)) return { kind: 'none' };
  const name = nameOf(path);
  const parent = parentOf(path);
  const isUnder = parent.split('/').some((component) => component.startsWith(whiteoutPrefix));
  if (isUnder)
    return parent.split('/').some((c) => c.startsWith(aufsPrefix)) ? { kind: 'aufs' } : { kind: 'malformed' };
  if (name === opaqueName) return { kind: 'opaque', path: parent };
  if (name.startsWith(aufsPrefix)) return { kind: 'aufs' };
  if (!name.startsWith(whiteoutPrefix)) return { kind: 'none' };
  const hidden = name.slice(whiteoutPrefix.length);
  if (hidden === '' || hidden === '.' || hidden === '..') return { kind: 'malformed' };
  return { kind: 'whiteout', path: joined(parent, hidden) };
}

/** The path of the directory that holds it; `''` for what is in the root. */
export function parentOf(path: ByteString): ByteString {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0)) as ByteString;
}

export function nameOf(path: ByteString): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function joined(parent: ByteString, name: string): ByteString {
  return (parent === '' ? name : `${parent}/${name}`) as ByteString;
}

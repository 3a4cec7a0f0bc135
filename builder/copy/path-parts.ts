import type { ByteString } from '../../runtime/index.ts';

/** The components of a path or pattern as it is written; `..` stops at the root. */
export function pathParts(written: string): string[] {
  const parts: string[] = [];
  for (const part of written.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts;
}

/** A path below a directory; `''` is the root, or the directory itself. */
export function joinPath(directory: ByteString, path: ByteString): ByteString {
  if (directory === '' || path === '') return (directory + path) as ByteString;
  return `${directory}/${path}` as ByteString;
}

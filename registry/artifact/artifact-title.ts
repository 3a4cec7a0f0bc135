import { ToolError } from '../../core/index.ts';

declare const titleBrand: unique symbol;

/** A relative path with `/` between its names, none of which is empty, `.` or `..`: it stays below where it begins. */
export type ArtifactTitle = string & { readonly [titleBrand]: true };

const maxTitleBytes = 4000;
const maxNameBytes = 255;

/**
 * Reads the name that a layer's annotation gives to a file. It may be hostile: whatever could lead out of the folder it is
 * written to is refused, and so is what would not show in a list of files.
 * @throws ToolError ARTIFACT_TITLE_UNSAFE
 */
export function parseArtifactTitle(text: string): ArtifactTitle {
  const path = text.replace(/^(?:\.\/+)+/, '').replace(/\/+$/, '');
  if (Buffer.byteLength(path) > maxTitleBytes) throw unsafe(text, 'it is too long');
  if (path.startsWith('/')) throw unsafe(text, 'it is an absolute path');
  if (/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufffd\ud800-\udfff]/u.test(path)) {
    throw unsafe(text, 'it has control characters');
  }
  if (path.includes('\\')) throw unsafe(text, 'it has a backslash');
  for (const name of path.split('/')) {
    if (name === '..') throw unsafe(text, 'it leads out of the folder');
    if (name === '' || name === '.') throw unsafe(text, 'it has an empty name');
    if (Buffer.byteLength(name) > maxNameBytes) throw unsafe(text, 'a name in it is too long');
  }
  return path as ArtifactTitle;
}

function unsafe(text: string, why: string): ToolError {
  return new ToolError(
    'ARTIFACT_TITLE_UNSAFE',
    `the artifact has a file ${JSON.stringify(text.slice(0, 200))}: ${why}`,
    {
      hint: 'tell who published it; nothing was written',
    },
  );
}

import {
  type CallOptions,
  type Descriptor,
  digestHex,
  formatReference,
  isDigest,
  NotFoundError,
  nearest,
  type ReadableContent,
  type Resolver,
  readVerified,
  shortDigest,
  withDefaultTag,
} from '../../core/index.ts';
import { imageNameAnnotation } from '../archive/image-archive.ts';
import { referrerOf } from '../artifact/referrer.ts';
import { refNameAnnotation, withoutRefName } from '../layout/oci-index.ts';
import { tryParseReference } from './find-image.ts';

const shownNames = 12;

/**
 * The image that a name means among those a layout lists: its ref.name, its full name, its digest or the beginning of
 * that, `@N` for the Nth entry as Skopeo counts, or, without a name, the only one there.
 * @param entries of `index.json`, names in their annotations
 * @param where named in errors
 * @throws NotFoundError REFERENCE_NOT_FOUND, with the names there are
 */
export async function chooseImage(
  content: ReadableContent & Resolver,
  entries: readonly Descriptor[],
  name: string | undefined,
  where: string,
  options: CallOptions = {},
): Promise<Descriptor> {
  if (name === undefined || name === '') return withoutNames(await onlyImage(content, entries, where, options));
  const found = entryNamed(entries, name);
  if (found !== undefined) return withoutNames(found);
  // A platform's image lies below an index, not in the list.
  if (isDigest(name)) return content.resolve(name, options);
  const names = namesOf(entries);
  const near = nearest(name, names);
  throw new NotFoundError('REFERENCE_NOT_FOUND', `there is no image ${JSON.stringify(name)} in ${where}`, {
    hint: `${near === undefined ? '' : `did you mean ${near}? `}${listed(names)}`,
  });
}

/** What users can write to get one of the entries. */
export function namesOf(entries: readonly Descriptor[]): string[] {
  const names = entries.map(
    ({ digest, annotations = {} }) =>
      annotations[refNameAnnotation] ?? annotations[imageNameAnnotation] ?? `sha256:${shortDigest(digest)}`,
  );
  return [...new Set(names)];
}

/** The full name, `host/path:tag`, that an entry of a layout gives its image. Tags alone, and what is no name, are none. */
export function fullNameOf(entry: Descriptor | undefined): string | undefined {
  const full = entry?.annotations?.[imageNameAnnotation];
  const short = entry?.annotations?.[refNameAnnotation];
  const text = full ?? (short !== undefined && /[/:]/.test(short) ? short : undefined);
  const reference = text === undefined ? undefined : tryParseReference(text);
  if (reference === undefined || reference.digest !== undefined) return undefined;
  return formatReference(withDefaultTag(reference));
}

/** An entry without the names, which are the layout's own affair. */
export function withoutNames(descriptor: Descriptor): Descriptor {
  const { annotations = {}, ...rest } = withoutRefName(descriptor);
  const { [imageNameAnnotation]: _name, ...others } = annotations;
  return Object.keys(others).length === 0 ? rest : { ...rest, annotations: others };
}

/** Artifacts that refer to another manifest stand in the list beside it, without a name. */
async function onlyImage(
  content: ReadableContent,
  entries: readonly Descriptor[],
  where: string,
  options: CallOptions,
): Promise<Descriptor> {
  const distinct = [...new Map(entries.map((entry) => [entry.digest, entry])).values()];
  const candidates = distinct.length < 2 ? distinct : await withoutReferrers(content, distinct, options);
  const [only] = candidates;
  if (only !== undefined && candidates.length === 1) return only;
  throw new NotFoundError(
    'REFERENCE_NOT_FOUND',
    only === undefined ? `there is no image in ${where}` : `${where} holds ${candidates.length} images: say which`,
    only === undefined ? {} : { hint: listed(namesOf(candidates)) },
  );
}

async function withoutReferrers(
  content: ReadableContent,
  entries: readonly Descriptor[],
  options: CallOptions,
): Promise<Descriptor[]> {
  const kept: Descriptor[] = [];
  for (const entry of entries) {
    const isNamed = entry.annotations?.[refNameAnnotation] !== undefined;
    if (isNamed || !(await hasSubject(content, entry, options))) kept.push(entry);
  }
  return kept;
}

async function hasSubject(content: ReadableContent, entry: Descriptor, options: CallOptions): Promise<boolean> {
  try {
    return referrerOf(entry, await readVerified(content, entry, options)) !== undefined;
  } catch {
    options.signal?.throwIfAborted();
    return false;
  }
}

function entryNamed(entries: readonly Descriptor[], name: string): Descriptor | undefined {
  const [, position] = /^@(\d{1,6})$/.exec(name) ?? [];
  if (position !== undefined) return entries[Number(position)];
  const reference = tryParseReference(name);
  const full = reference === undefined ? undefined : formatReference(withDefaultTag(reference));
  return (
    entries.find(({ annotations }) => annotations?.[refNameAnnotation] === name) ??
    entries.find(({ annotations }) => annotations?.[imageNameAnnotation] === name) ??
    entries.find(({ annotations }) => full !== undefined && annotations?.[imageNameAnnotation] === full) ??
    entries.find(({ digest }) => digest === name) ??
    entryByShortDigest(entries, name)
  );
}

function entryByShortDigest(entries: readonly Descriptor[], name: string): Descriptor | undefined {
  const [, hex] = /^(?:sha256:)?([0-9a-f]{8,64})$/.exec(name) ?? [];
  const found = hex === undefined ? [] : entries.filter(({ digest }) => digestHex(digest).startsWith(hex));
  return new Set(found.map(({ digest }) => digest)).size === 1 ? found[0] : undefined;
}

function listed(names: readonly string[]): string {
  if (names.length === 0) return 'it holds none';
  const more = names.length - shownNames;
  return `it holds: ${names.slice(0, shownNames).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

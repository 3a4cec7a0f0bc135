import path from 'node:path';
import {
  type CallOptions,
  type Descriptor,
  type Digest,
  isDigest,
  isTag,
  LockFolder,
  type ReferrerKeeper,
  repositoryName,
  type Target,
  ToolError,
} from '../core/index.ts';
import {
  type OpenedDestination,
  type OpenedSource,
  openDestination,
  openRepository,
  openSource,
  type Place,
  parsePlace,
  type RemoteRepository,
} from '../registry/index.ts';
import type { Context } from './context.ts';
import { type RegistryFlags, remoteOptions } from './registry-flags.ts';
import { homeOf, makeHome, openContent } from './store.ts';

/** A place as a verb about objects of registries takes it: a bare name means a registry. Paths are absolute. */
export function objectPlace({ folder }: Context, text: string): Place {
  const place = parsePlace(text, 'registry');
  return 'path' in place ? { ...place, path: path.resolve(folder, place.path) } : place;
}

/** A tag or digest beside what a place names; undefined where the text is more than that. */
export function besidePlace(place: Place, text: string): Place | undefined {
  if (!isTag(text) && !isDigest(text)) return undefined;
  if (place.kind !== 'registry') return { ...place, name: text };
  const { registry, repository } = place.reference;
  const named = isDigest(text) ? { digest: text } : { tag: text };
  return { kind: 'registry', reference: { registry, repository, ...named } };
}

/** Whether two places are in one repository, one layout, one store. */
export function isBeside(a: Place, b: Place): boolean {
  if (a.kind === 'registry' && b.kind === 'registry') {
    return repositoryName(a.reference) === repositoryName(b.reference);
  }
  if (a.kind === 'store' || b.kind === 'store') return a.kind === b.kind;
  return 'path' in a && 'path' in b && a.path === b.path;
}

/** The manifest or index a place names, with what is around it. */
export async function openObject(context: Context, flags: Partial<RegistryFlags>, place: Place): Promise<OpenedSource> {
  const store = place.kind === 'store' ? { store: await openContent(context) } : {};
  return openSource(place, { remote: remoteOptions(context, flags), ...store, signal: context.signal });
}

/**
 * A place to add something to. Archives are written anew, so that only what is whole by itself can go there.
 * @throws ToolError USAGE_ARGUMENTS
 */
export async function openObjectDestination(
  context: Context,
  flags: Partial<RegistryFlags>,
  place: Place,
  options: { readonly isWhole?: boolean } = {},
): Promise<OpenedDestination> {
  if (place.kind === 'docker-archive' || (place.kind === 'oci-archive' && !options.isWhole)) {
    throw new ToolError('USAGE_ARGUMENTS', `nothing can be added to an archive: ${place.kind}:${place.path}`, {
      hint: 'use a folder, oci:DIR, and kiln copy from there into an archive',
    });
  }
  const home = await makeHome(homeOf(context));
  const store = place.kind === 'store' ? { store: await openContent(context) } : {};
  return openDestination(place, {
    remote: remoteOptions(context, flags),
    locks: new LockFolder(path.join(home, 'locks')),
    ...store,
    signal: context.signal,
  });
}

/**
 * A repository named on a command line, with neither tag nor digest.
 * @throws ToolError USAGE_ARGUMENTS
 */
export function openNamedRepository(context: Context, flags: Partial<RegistryFlags>, text: string): RemoteRepository {
  const place = parsePlace(text, 'registry');
  if (place.kind !== 'registry') {
    throw new ToolError('USAGE_ARGUMENTS', `${JSON.stringify(text)} is no repository of a registry`);
  }
  const { tag, digest } = place.reference;
  if (tag !== undefined || digest !== undefined) {
    throw new ToolError('USAGE_ARGUMENTS', `${JSON.stringify(text)} names one image, where a repository is needed`, {
      hint: `leave ${tag === undefined ? `@${digest}` : `:${tag}`} away`,
    });
  }
  return openRepository(place.reference, remoteOptions(context, flags));
}

/**
 * `REPOSITORY@DIGEST`, or `oci:DIR:DIGEST`.
 * @throws ToolError USAGE_ARGUMENTS
 */
export function blobReference(context: Context, text: string): { readonly place: Place; readonly digest: Digest } {
  const place = objectPlace(context, text);
  const digest = place.kind === 'registry' ? place.reference.digest : place.name;
  if (digest !== undefined && isDigest(digest)) return { place, digest };
  throw new ToolError('USAGE_ARGUMENTS', `${JSON.stringify(text)} names no blob`, {
    hint: 'write REPOSITORY@sha256:…, or oci:DIR:sha256:…',
  });
}

/** The tag or digest, and the repository it is in. @throws ToolError USAGE_ARGUMENTS */
export function namedInRepository(
  context: Context,
  flags: Partial<RegistryFlags>,
  place: Extract<Place, { kind: 'registry' }>,
): { readonly repository: RemoteRepository; readonly reference: string } {
  const { tag, digest } = place.reference;
  const reference = digest ?? tag;
  if (reference !== undefined) {
    return { repository: openRepository(place.reference, remoteOptions(context, flags)), reference };
  }
  throw new ToolError('USAGE_ARGUMENTS', `${place.reference.repository} needs a tag or a digest`, {
    hint: 'write REPOSITORY:TAG or REPOSITORY@sha256:…',
  });
}

/** Layouts have to be told what to keep for its subject's sake; registries read it in the manifest. */
export async function keepReferrer(target: Target, descriptor: Descriptor, options: CallOptions): Promise<void> {
  if ('keepReferrer' in target) await (target as Target & ReferrerKeeper).keepReferrer(descriptor, options);
}

import {
  type CallOptions,
  type Descriptor,
  formatReference,
  type ReadableContent,
  type Reference,
  type Resolver,
  unreachable,
  withDefaultTag,
} from '../../core/index.ts';
import { openDockerArchive } from '../archive/docker-archive.ts';
import { ImageArchiveReader } from '../archive/index.ts';
import { layoutDescriptors, refNameAnnotation } from '../layout/oci-index.ts';
import type { OciLayout } from '../layout/oci-layout.ts';
import { OciLayoutReader } from '../layout/oci-layout-reader.ts';
import { openRepository, type RemoteOptions } from '../remote/index.ts';
import { chooseImage, fullNameOf } from './choose-image.ts';
import { findImage } from './find-image.ts';
import { type FilePlace, type Place, placeText } from './place.ts';

export interface PlaceOptions extends CallOptions {
  /** How registries are spoken to. */
  readonly remote: RemoteOptions;
  /** Kiln's own store; without it, places in the store cannot be opened. */
  readonly store?: OciLayout;
}

/** An image where it is. Disposing it lets go of what was opened. */
export interface OpenedSource extends AsyncDisposable {
  /** All that is there; the optional abilities of content (`referrers`, `tags`) are there where the place has them. */
  readonly content: ReadableContent & Resolver;
  /** What the name means: a manifest or an index. */
  readonly root: Descriptor;
  /** As it can be written on a command line again; of the registry and the store, the full name. */
  readonly name: string;
  /** The image's full name, `host/path:tag`, where the place tells one. */
  readonly imageName?: string;
}

/**
 * Finds the image that a place names. Paths are as they are: relative ones are relative to the process.
 * @throws NotFoundError REFERENCE_NOT_FOUND (its hint lists the names there are), IMAGE_NOT_FOUND, LAYOUT_NOT_FOUND;
 *   ToolError LAYOUT_INVALID, IMAGE_AMBIGUOUS, REGISTRY_*
 */
export async function openSource(place: Place, options: PlaceOptions): Promise<OpenedSource> {
  const call: CallOptions = options.signal === undefined ? {} : { signal: options.signal };
  const found = await find(place, options, call);
  return { ...found, async [Symbol.asyncDispose]() {} };
}

type Found = Omit<OpenedSource, typeof Symbol.asyncDispose>;

async function find(place: Place, options: PlaceOptions, call: CallOptions): Promise<Found> {
  switch (place.kind) {
    case 'registry': {
      const reference = withDefaultTag(place.reference);
      const content = openRepository(reference, options.remote);
      const root = await content.resolve(reference.digest ?? reference.tag ?? 'latest', call);
      return { content, root, name: formatReference(reference), ...imageName(withoutDigest(reference)) };
    }
    case 'store': {
      const content = storeOf(options);
      const { descriptor: root, name } = await findImage(content, place.name, call);
      return { content, root, name: name ?? root.digest, ...imageName(name) };
    }
    case 'oci': {
      const layout = await OciLayoutReader.open(place.path);
      return listed(place, layout, layoutDescriptors(await layout.readIndex()), call);
    }
    case 'oci-archive': {
      const archive = await ImageArchiveReader.open(place.path, call);
      return listed(place, archive, archive.entries, call);
    }
    case 'docker-archive': {
      const archive = await openDockerArchive(place.path, call);
      return listed(place, archive, archive.entries, call);
    }
    default:
      throw unreachable(place);
  }
}

async function listed(
  place: FilePlace,
  content: ReadableContent & Resolver,
  entries: readonly Descriptor[],
  call: CallOptions,
): Promise<Found> {
  const root = await chooseImage(content, entries, place.name, place.path, call);
  const same = entries.filter(({ digest }) => digest === root.digest);
  const named = same.find(({ annotations }) => annotations?.[refNameAnnotation] === place.name) ?? same[0];
  return { content, root, name: placeText(place), ...imageName(fullNameOf(named)) };
}

function imageName(name: string | undefined): { readonly imageName?: string } {
  return name === undefined ? {} : { imageName: name };
}

function withoutDigest({ registry, repository, tag }: Reference): string | undefined {
  return tag === undefined ? undefined : formatReference({ registry, repository, tag });
}

export function storeOf({ store }: PlaceOptions): OciLayout {
  if (store === undefined) throw new TypeError('a place in the store needs the store');
  return store;
}

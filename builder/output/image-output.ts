import {
  type CallOptions,
  type Descriptor,
  digestHex,
  isIndexType,
  maxManifestBytes,
  parseIndex,
  type ReadableContent,
  readVerified,
  sha256,
} from '../../core/index.ts';
import { compressedImage, copyImage, ImageArchive, type NamedImage, writeOciFolder } from '../../registry/index.ts';
import { compressedLayers } from '../base/compressed-layers.ts';
import type { BuiltTarget } from '../engine/build-images.ts';
import type { Workshop } from '../workshop/workshop.ts';
import type { OutputCompression } from './output.ts';

/** Images as they leave: their root may differ from the store's, when layers are compressed on the way. */
interface Outgoing {
  readonly content: ReadableContent;
  readonly images: readonly NamedImage[];
}

/** Writes built images into an archive that does not exist yet. */
export async function writeArchive(
  workshop: Workshop,
  targets: readonly BuiltTarget[],
  file: string,
  options: CallOptions & { readonly docker: boolean; readonly compression: OutputCompression },
): Promise<void> {
  await using archive = await ImageArchive.create(file, options);
  await withOutgoing(workshop, targets, options, async ({ content, images }) => {
    for (const { descriptor, names } of images) {
      await copyInOrder(content, archive, descriptor, options);
      await archive.add(descriptor);
      for (const name of names) await archive.tag(descriptor, name);
    }
  });
  await archive.finish(options);
}

/** Puts built images into an OCI layout in a folder. */
export async function writeFolder(
  workshop: Workshop,
  targets: readonly BuiltTarget[],
  folder: string,
  options: CallOptions & { readonly compression: OutputCompression },
): Promise<void> {
  // Another build's images in it would otherwise be forgotten by the one that writes the index last.
  const lock = `folder-${digestHex(sha256(folder))}`;
  await using _alone = await workshop.locks.acquire(lock, 'exclusive', options);
  await withOutgoing(workshop, targets, options, ({ content, images }) =>
    writeOciFolder(content, folder, images, { signal: options.signal, locks: workshop.locks }),
  );
}

/** One blob after the other, so that an archive of the same images has the same bytes. */
async function copyInOrder(
  content: ReadableContent,
  archive: ImageArchive,
  root: Descriptor,
  { signal }: CallOptions,
): Promise<void> {
  if (isIndexType(root.mediaType)) {
    const { manifests } = parseIndex(await readVerified(content, root, { signal, maxBytes: maxManifestBytes }));
    for (const child of manifests) await copyInOrder(content, archive, child, { signal });
  }
  await copyImage(content, archive, root, { signal, concurrency: 1 });
}

async function withOutgoing(
  workshop: Workshop,
  targets: readonly BuiltTarget[],
  { signal, compression }: CallOptions & { readonly compression: OutputCompression },
  use: (outgoing: Outgoing) => Promise<void>,
): Promise<void> {
  const { content, options } = workshop;
  if (compression === 'uncompressed') {
    return use({ content, images: targets.map(({ descriptor, names }) => ({ descriptor, names })) });
  }
  await using scratch = await (await workshop.scratch()).make('output');
  const images: NamedImage[] = [];
  const views: ReadableContent[] = [];
  for (const { descriptor, names } of targets) {
    const view = await compressedImage(content, descriptor, {
      signal,
      compression: { algorithm: compression },
      scratch: async () => scratch.path,
      platform: options.platform,
      remembered: compressedLayers(workshop),
    });
    views.push(view.content);
    images.push({ descriptor: view.root, names });
  }
  await use({ content: firstOf(views), images });
}

/** What any of several places has. */
function firstOf(places: readonly ReadableContent[]): ReadableContent {
  const holder = async (descriptor: Descriptor, options?: CallOptions): Promise<ReadableContent | undefined> => {
    for (const place of places) if (await place.has(descriptor, options)) return place;
    return undefined;
  };
  return {
    has: async (descriptor, options) => (await holder(descriptor, options)) !== undefined,
    async read(descriptor, options) {
      const place = (await holder(descriptor, options)) ?? places[0];
      if (place === undefined) throw new TypeError('there is no place to read from');
      return place.read(descriptor, options);
    },
  };
}

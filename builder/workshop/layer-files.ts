import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import {
  type CallOptions,
  type DiffId,
  digestAlgorithm,
  digestHex,
  type Image,
  IntegrityError,
  layerCompression,
  mapConcurrent,
  type ReadableContent,
  ToolError,
  verifying,
} from '../../core/index.ts';
import { decompressed } from '../../runtime/index.ts';
import type { Workshop } from './workshop.ts';

type Layer = Image['layers'][number];

/** The tars of layers as files. */
export interface LayerFiles extends AsyncDisposable {
  /** In the order of the layers; not to be written to. */
  readonly files: readonly string[];
}

/**
 * The uncompressed tars of layers: those that are stored so in the store as they are, the others decompressed into
 * scratch and verified, until disposed.
 * @param options.content where the layers are; the store unless said
 * @throws IntegrityError LAYER_DIFFID_MISMATCH, BLOB_*; ToolError MANIFEST_INVALID, LAYER_*
 */
export async function openLayerFiles(
  workshop: Workshop,
  layers: readonly Layer[],
  options: CallOptions & { readonly content?: ReadableContent } = {},
): Promise<LayerFiles> {
  const { content = workshop.content, signal } = options;
  const isAtHand = ({ descriptor }: Layer): boolean =>
    content === workshop.content && layerCompression(descriptor.mediaType) === 'none';
  await using cleanup = new AsyncDisposableStack();
  const scratch = layers.every(isAtHand) ? undefined : cleanup.use(await (await workshop.scratch()).make('layers'));
  const files = await mapConcurrent(layers.entries(), { concurrency: 2, signal }, ([index, layer], call) =>
    scratch === undefined || isAtHand(layer)
      ? storedFile(workshop, layer)
      : decompressedFile(content, layer, path.join(scratch.path, `${index}.tar`), call),
  );
  const kept = cleanup.move();
  return { files, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

async function storedFile(workshop: Workshop, { descriptor, diffId }: Layer): Promise<string> {
  if (descriptor.digest === diffId) return workshop.content.blobFile(diffId);
  throw new ToolError('MANIFEST_INVALID', `layer ${descriptor.digest} is not compressed, yet its diff_id is ${diffId}`);
}

async function decompressedFile(
  content: ReadableContent,
  { descriptor, diffId }: Layer,
  file: string,
  { signal }: CallOptions,
): Promise<string> {
  const checked = verifying(descriptor);
  const feeding = pipeline(await content.read(descriptor, { signal }), checked, { signal });
  const tar = decompressed(checked, layerCompression(descriptor.mediaType) ?? 'none', { signal });
  const writing = pipeline(tar, checkedTar(diffId), createWriteStream(file, { flags: 'wx', mode: 0o600 }), { signal });
  const [fed, written] = await Promise.allSettled([feeding, writing]);
  // A blob that is not what it should be is the cause of whatever the decompressor says of it.
  if (fed.status === 'rejected' && fed.reason instanceof IntegrityError) throw fed.reason;
  if (written.status === 'rejected') throw written.reason;
  if (fed.status === 'rejected') throw fed.reason;
  return file;
}

/** Passes a tar on, and fails at its end when it is not the one. */
export function checkedTar(diffId: DiffId): (tar: AsyncIterable<Buffer>) => AsyncGenerator<Buffer, void> {
  return async function* (tar) {
    const hash = createHash(digestAlgorithm(diffId));
    for await (const chunk of tar) {
      hash.update(chunk);
      yield chunk;
    }
    if (hash.digest('hex') === digestHex(diffId)) return;
    throw new IntegrityError('LAYER_DIFFID_MISMATCH', `the layer ${diffId} decompresses to other bytes`, {
      hint: 'the image is damaged or lying; pull it again or tell who published it',
    });
  };
}

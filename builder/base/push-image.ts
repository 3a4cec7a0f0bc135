import {
  type CallOptions,
  type Descriptor,
  formatReference,
  NotFoundError,
  parseDescriptor,
  type Reference,
  withDefaultTag,
} from '../../core/index.ts';
import { type CompressedLayerMemory, type CopyEvent, copyImage, gzippedImage } from '../../registry/index.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { rememberOrigin } from './origins.ts';
import { findLocal } from './pull-image.ts';

export interface PushOptions extends CallOptions {
  readonly onEvent?: (event: CopyEvent) => void;
}

export interface PushedImage {
  readonly name: string;
  /** The manifest as the registry has it now. */
  readonly descriptor: Descriptor;
}

/**
 * Sends a local image to the registry in its name. Layers that were built here are compressed on the way, those that
 * were pulled keep their bytes; what the registry has is skipped.
 * @throws NotFoundError IMAGE_NOT_FOUND; ToolError REGISTRY_*
 */
export async function pushImage(workshop: Workshop, reference: Reference, options: PushOptions): Promise<PushedImage> {
  const wanted = withDefaultTag(reference);
  const name = formatReference(wanted);
  const local = await findLocal(workshop, name, options);
  if (local === undefined) throw imageNotFound(name);
  const { content, records } = workshop;
  const { signal, onEvent } = options;
  const remote = workshop.repository(wanted);
  await using scratch = await (await workshop.scratch()).make('push');

  const outgoing = await gzippedImage(content, local, {
    signal,
    scratch: scratch.path,
    platform: workshop.options.platform,
    alreadyThere: (descriptor) => remote.has(descriptor, options),
    remembered: compressedLayers(workshop),
  });
  const descriptor = await copyImage(outgoing.content, remote, outgoing.root, {
    signal,
    ...(onEvent === undefined ? {} : { onEvent }),
  });
  await remote.tag(descriptor, wanted.tag ?? descriptor.digest, options);
  await rememberOrigin(records, { name, localDigest: local.digest, registryDigest: descriptor.digest });
  return { name, descriptor };
}

/** What a layer's compressed form was the last time: a registry that has it need not get it again. */
export function compressedLayers({ records }: Workshop): CompressedLayerMemory {
  return {
    async get(diffId) {
      const record = await records.read('compressed-v1', diffId);
      try {
        return record === undefined ? undefined : parseDescriptor(record);
      } catch {
        return undefined;
      }
    },
    set: (diffId, descriptor) => records.write('compressed-v1', diffId, descriptor),
  };
}

export function imageNotFound(name: string): NotFoundError {
  return new NotFoundError('IMAGE_NOT_FOUND', `there is no image ${name} in the store`, {
    hint: 'see `kiln images` for what there is; build or pull it first',
  });
}

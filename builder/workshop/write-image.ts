import {
  type CallOptions,
  type Descriptor,
  describe,
  type ImageConfig,
  type Index,
  type Manifest,
  mediaTypes,
  type Platform,
  serializeImageConfig,
  serializeManifest,
  streamOf,
} from '../../core/index.ts';
import type { Workshop } from './workshop.ts';

/** Writes config and manifest; gives the manifest's descriptor. */
export async function writeImage(
  workshop: Workshop,
  config: ImageConfig,
  layers: readonly Descriptor[],
  annotations: Readonly<Record<string, string>>,
  options: CallOptions = {},
): Promise<Descriptor> {
  const configBytes = serializeImageConfig(config);
  const configDescriptor = describe(mediaTypes.config, configBytes);
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: configDescriptor,
    layers: layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
  const bytes = serializeManifest(manifest);
  const descriptor = describe(mediaTypes.manifest, bytes);
  await workshop.content.write(configDescriptor, streamOf(configBytes), options);
  await workshop.content.write(descriptor, streamOf(bytes), options);
  return descriptor;
}

/** Writes an index over images of several platforms; gives its descriptor. image-spec, image-index.md */
export async function writeIndex(
  workshop: Workshop,
  images: readonly { readonly platform: Platform; readonly descriptor: Descriptor }[],
  annotations: Readonly<Record<string, string>>,
  options: CallOptions = {},
): Promise<Descriptor> {
  const index: Index = {
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    manifests: images.map(({ platform, descriptor: { mediaType, digest, size } }) => ({
      mediaType,
      digest,
      size,
      platform,
    })),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
  const bytes = serializeManifest(index);
  const descriptor = describe(mediaTypes.index, bytes);
  await workshop.content.write(descriptor, streamOf(bytes), options);
  return descriptor;
}

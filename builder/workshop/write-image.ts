import {
  type CallOptions,
  type Descriptor,
  describe,
  type ImageConfig,
  type Manifest,
  mediaTypes,
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

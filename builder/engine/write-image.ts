import {
  type CallOptions,
  type Descriptor,
  describe,
  type ImageConfig,
  type Manifest,
  mediaTypes,
  serializeImageConfig,
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
    ...(Object.keys(annotations).length === 0 ? {} : { annotations: sorted(annotations) }),
  };
  const bytes = new TextEncoder().encode(JSON.stringify(manifest));
  const descriptor = describe(mediaTypes.manifest, bytes);
  await workshop.content.write(configDescriptor, streamOf(configBytes), options);
  await workshop.content.write(descriptor, streamOf(bytes), options);
  return descriptor;
}

function sorted(annotations: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(annotations).sort(([a], [b]) => (a < b ? -1 : 1)));
}

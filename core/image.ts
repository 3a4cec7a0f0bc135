import type { CallOptions } from './cancellation.ts';
import type { ReadableContent } from './content.ts';
import { type Descriptor, isIndexType, layerCompression } from './descriptor.ts';
import type { DiffId } from './digest.ts';
import { NotFoundError, ToolError } from './errors.ts';
import { type ImageConfig, maxConfigBytes, parseImageConfig } from './image-config.ts';
import { readVerified } from './integrity.ts';
import { type Index, type Manifest, maxManifestBytes, parseIndex, parseManifest } from './manifest.ts';
import { formatPlatform, type Platform, samePlatform } from './platform.ts';

/** A read-only, verified view of one platform's image. Layer bytes stay where they are. */
export interface Image {
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
  /** Lowest first. */
  readonly layers: readonly Layer[];
  /** Annotations of the manifest. */
  readonly annotations: Readonly<Record<string, string>>;
}

export interface Layer {
  readonly descriptor: Descriptor;
  readonly diffId: DiffId;
}

/**
 * Opens the image a descriptor names; out of an index it takes the one for `platform`.
 * @throws NotFoundError PLATFORM_NOT_FOUND; ToolError MANIFEST_INVALID, CONFIG_INVALID; IntegrityError
 */
export async function openImage(
  content: ReadableContent,
  descriptor: Descriptor,
  options: CallOptions & { readonly platform: Platform },
): Promise<Image> {
  const bytes = await readVerified(content, descriptor, { signal: options.signal, maxBytes: maxManifestBytes });
  if (isIndexType(descriptor.mediaType)) {
    return openImage(content, selectPlatform(parseIndex(bytes), options.platform), options);
  }
  const manifest = parseManifest(bytes);
  const config = parseImageConfig(
    await readVerified(content, manifest.config, { signal: options.signal, maxBytes: maxConfigBytes }),
  );
  return {
    descriptor,
    manifest,
    config,
    layers: pairLayers(manifest, config),
    annotations: manifest.annotations ?? {},
  };
}

/** @throws NotFoundError PLATFORM_NOT_FOUND */
export function selectPlatform(index: Index, platform: Platform): Descriptor {
  const found = index.manifests.find((child) => child.platform !== undefined && samePlatform(child.platform, platform));
  if (found !== undefined) return found;
  const only = index.manifests.length === 1 ? index.manifests[0] : undefined;
  if (only !== undefined && only.platform === undefined) return only;
  const available = index.manifests.flatMap((child) =>
    child.platform === undefined ? [] : [formatPlatform(child.platform)],
  );
  throw new NotFoundError(
    'PLATFORM_NOT_FOUND',
    `there is no image for ${formatPlatform(platform)}; the index has ${available.join(', ') || 'none'}`,
  );
}

function pairLayers(manifest: Manifest, config: ImageConfig): Layer[] {
  if (manifest.layers.length !== config.diffIds.length) {
    throw new ToolError(
      'MANIFEST_INVALID',
      `the manifest has ${manifest.layers.length} layers and its config ${config.diffIds.length} diff_ids`,
    );
  }
  return manifest.layers.map((descriptor, position) => {
    const diffId = config.diffIds[position];
    if (diffId === undefined || layerCompression(descriptor.mediaType) === undefined) {
      throw new ToolError(
        'MANIFEST_INVALID',
        `layer ${position + 1} has a type that is not a layer's: ${descriptor.mediaType}`,
      );
    }
    return { descriptor, diffId };
  });
}

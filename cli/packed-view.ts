import { compressedLayers, type Workshop } from '../builder/index.ts';
import type { CallOptions, Descriptor, ReadableContent } from '../core/index.ts';
import { type Compression, type CompressionOptions, compressedImage, type ImageView } from '../registry/index.ts';
import { decompressed } from '../runtime/index.ts';

export interface PackedViewOptions
  extends CallOptions,
    Pick<CompressionOptions, 'destination' | 'concurrency' | 'onEvent'> {
  /** A folder for compressed layers. */
  readonly scratch: string;
}

/** The image with its layers packed as they are to travel; undefined: as they are. */
export async function packedView(
  workshop: Workshop,
  content: ReadableContent,
  root: Descriptor,
  compression: Compression | undefined,
  options: PackedViewOptions,
): Promise<ImageView> {
  if (compression === undefined || (compression.algorithm === 'none' && !compression.force)) return { content, root };
  return compressedImage(content, root, {
    ...options,
    scratch: async () => options.scratch,
    platform: workshop.options.platform,
    remembered: compressedLayers(workshop),
    decompress: decompressed,
    compression,
  });
}

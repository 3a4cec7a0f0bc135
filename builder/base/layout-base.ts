import { type CallOptions, type Image, openImage, type Platform } from '../../core/index.ts';
import { copyImage, OciLayout } from '../../registry/index.ts';
import type { Workshop } from '../workshop/workshop.ts';
import type { OpenBase } from './image-base.ts';

/** Opens an image of an OCI layout on disk and takes it into the store, verified. */
export async function openLayoutBase(
  workshop: Workshop,
  layout: { readonly path: string; readonly name?: string },
  options: CallOptions & { readonly platform: Platform },
): Promise<OpenBase> {
  const source = await OciLayout.openReadOnly(layout.path);
  const top = await source.resolve(layout.name ?? '', options);
  const found: Image = await openImage(source, top, options);
  await copyImage(source, workshop.content, found.descriptor, { signal: options.signal });
  const image = await openImage(workshop.content, found.descriptor, options);
  // The folder is this machine's own affair; the name inside it says what the image is.
  return { image, record: { name: `oci:${layout.name ?? ''}`, digest: top.digest } };
}

import {
  type CallOptions,
  type Digest,
  formatReference,
  type Image,
  type Platform,
  type Reference,
  withDefaultTag,
} from '../../core/index.ts';
import type { Pins } from '../lock/pins.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { registryDigestOf } from './origins.ts';
import { findLocalImage, pullImage } from './pull-image.ts';

/** Where a stage's file system came from, as it is recorded on the image. */
export interface BaseRecord {
  readonly name: string;
  readonly digest: Digest;
}

export interface OpenBase {
  readonly image: Image;
  readonly record: BaseRecord;
}

/**
 * Opens an image to build on: the one in the store, or, when it is missing or `pull` is set, the registry's. The record
 * carries the registry's digest where it is known, since that is what a later check compares with.
 */
export async function openImageBase(
  workshop: Workshop,
  reference: Reference,
  options: CallOptions & { readonly platform: Platform; readonly pull: boolean; readonly pins: Pins },
): Promise<OpenBase> {
  const name = formatReference(withDefaultTag(reference));
  const image = options.pull ? undefined : await findLocalImage(workshop, name, options);
  if (image === undefined) {
    const pulled = await pullImage(workshop, reference, options);
    return { image: pulled.image, record: { name, digest: pulled.registryDigest } };
  }
  const { digest } = image.descriptor;
  return { image, record: { name, digest: (await registryDigestOf(workshop.records, name, digest)) ?? digest } };
}

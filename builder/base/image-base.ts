import {
  type CallOptions,
  formatReference,
  type Image,
  openImage,
  type Platform,
  type Reference,
  withDefaultTag,
} from '../../core/index.ts';
import type { BaseRecord } from '../engine/stage-state.ts';
import type { Workshop } from '../engine/workshop.ts';
import { registryDigestOf } from './origins.ts';
import { findLocal, pullImage } from './pull-image.ts';

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
  options: CallOptions & { readonly platform: Platform; readonly pull: boolean },
): Promise<OpenBase> {
  const name = formatReference(withDefaultTag(reference));
  const local = options.pull ? undefined : await findLocal(workshop, name, options);
  if (local === undefined) {
    const pulled = await pullImage(workshop, reference, options);
    return { image: pulled.image, record: { name, digest: pulled.registryDigest } };
  }
  const image = await openImage(workshop.content, local, options);
  return {
    image,
    record: { name, digest: (await registryDigestOf(workshop.records, name, local.digest)) ?? local.digest },
  };
}

import {
  type CallOptions,
  type Digest,
  errorCode,
  formatReference,
  type Image,
  NotFoundError,
  type Platform,
  type Reference,
  withDefaultTag,
} from '../../core/index.ts';
import type { Pins } from '../lock/pins.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { registryDigestOf } from './origins.ts';
import { findLocal, findLocalImage, pullImage } from './pull-image.ts';

/** Where a stage's file system came from, as it is recorded on the image. */
export interface BaseRecord {
  readonly name: string;
  readonly digest: Digest;
}

export interface OpenBase {
  readonly image: Image;
  readonly record: BaseRecord;
}

export interface ImageBaseOptions extends CallOptions {
  readonly platform: Platform;
  /** Asks the registry, whatever is here and whatever the pins say. */
  readonly pull: boolean;
  readonly pins: Pins;
}

/**
 * Opens an image to build on: what the pins say a tag means; else the one in the store; else, and always with `pull`,
 * the registry's. An answer of the registry becomes a pin. A digest needs none, and an image that never came from a
 * registry cannot have one. The record carries the registry's digest where it is known, since that is what a later
 * check compares with.
 */
export async function openImageBase(
  workshop: Workshop,
  reference: Reference,
  options: ImageBaseOptions,
): Promise<OpenBase> {
  const { pins, pull } = options;
  const wanted = withDefaultTag(reference);
  const name = formatReference(wanted);
  const isLocked = wanted.digest === undefined;
  const pinned = isLocked && !pull ? pins.find('images', name) : undefined;
  if (pinned !== undefined) {
    const image = await openPinned(workshop, wanted, pinned, options);
    return { image, record: { name, digest: pinned } };
  }
  const found = await openUnpinned(workshop, wanted, options);
  if (isLocked && found.registryDigest !== undefined) pins.keep('images', name, found.registryDigest);
  return { image: found.image, record: { name, digest: found.registryDigest ?? found.image.descriptor.digest } };
}

async function openUnpinned(
  workshop: Workshop,
  reference: Reference,
  options: ImageBaseOptions,
): Promise<{ readonly image: Image; readonly registryDigest: Digest | undefined }> {
  const name = formatReference(reference);
  const image = options.pull ? undefined : await findLocalImage(workshop, name, options);
  if (image === undefined) return pullImage(workshop, reference, options);
  return { image, registryDigest: await registryDigestOf(workshop.records, name, image.descriptor.digest) };
}

/**
 * The image that a tag meant when it was locked, asking nobody when it is here. A tag that means another image in the
 * store keeps meaning that one: the locked image then lies beside it under its digest.
 */
async function openPinned(
  workshop: Workshop,
  reference: Reference,
  digest: Digest,
  options: ImageBaseOptions,
): Promise<Image> {
  const name = formatReference(reference);
  const tagged = await findLocalImage(workshop, name, options);
  const taggedDigest = tagged && (await registryDigestOf(workshop.records, name, tagged.descriptor.digest));
  if (tagged !== undefined && taggedDigest === digest) return tagged;

  const { registry, repository } = reference;
  const byDigest = { registry, repository, digest };
  const beside = await findLocalImage(workshop, formatReference(byDigest), options);
  const isTaken = (await findLocal(workshop, name, options)) !== undefined;
  if (tagged !== undefined && taggedDigest === undefined) {
    workshop.options.onWarning(
      `${name} in the store is not what the lock file says; the build takes ${digest} (--no-lock takes the one in the store)`,
    );
  }
  if (beside !== undefined) return beside;
  try {
    const pulled = isTaken
      ? await pullImage(workshop, byDigest, options)
      : await pullImage(workshop, reference, { ...options, at: digest });
    return pulled.image;
  } catch (error) {
    throw errorCode(error) === 'REFERENCE_NOT_FOUND' ? goneError(name, digest, error) : error;
  }
}

function goneError(name: string, digest: Digest, cause: unknown): NotFoundError {
  return new NotFoundError('REFERENCE_NOT_FOUND', `${name} is locked to ${digest}, which its registry does not have`, {
    cause,
    hint: `take what the name means now: kiln update . ${name}`,
  });
}

import { createHash } from 'node:crypto';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import {
  type Descriptor,
  describe,
  mediaTypes,
  type Platform,
  parseReference,
  sha256,
  streamOf,
  type Target,
} from '../core/index.ts';
import { openCredentials, openRepository, type RemoteRepository } from '../registry/index.ts';

/** How a layer is stored, and by whose media types. */
export interface ImageForm {
  readonly types: 'oci' | 'docker';
  readonly compression: 'none' | 'gzip' | 'zstd';
}

const layerTypes = {
  oci: { none: mediaTypes.layer, gzip: mediaTypes.layerGzip, zstd: mediaTypes.layerZstd },
  docker: { none: mediaTypes.dockerLayer, gzip: mediaTypes.dockerLayerGzip, zstd: mediaTypes.layerZstd },
} as const;

export interface ImageParts {
  /** Tars, lowest first. */
  readonly layers: readonly Buffer[];
  readonly form?: ImageForm;
  readonly platform?: Platform;
  /** What the config claims instead of the truth. */
  readonly diffIds?: readonly string[];
  readonly command?: readonly string[];
}

/** A repository of a registry on loopback, without credentials. */
export function openLoopbackRepository(name: string): RemoteRepository {
  return openRepository(parseReference(name), { credentials: openCredentials({ files: [] }) });
}

/** Puts an image together from tars, byte for byte as said, and writes it to a place. Its manifest's descriptor. */
export async function putImage(target: Target, parts: ImageParts): Promise<Descriptor> {
  const {
    layers,
    form = { types: 'oci', compression: 'gzip' },
    platform = { os: 'linux', architecture: 'amd64' },
  } = parts;
  const isDocker = form.types === 'docker';
  const put = async (mediaType: string, bytes: Uint8Array): Promise<Descriptor> => {
    const descriptor = describe(mediaType, bytes);
    await target.write(descriptor, streamOf(bytes));
    return descriptor;
  };
  const blobs: Descriptor[] = [];
  for (const tar of layers)
    blobs.push(await put(layerTypes[form.types][form.compression], packed(tar, form.compression)));
  const config = {
    ...platform,
    config: { Cmd: parts.command ?? ['/bin/sh'], Env: ['PATH=/bin'] },
    rootfs: { type: 'layers', diff_ids: parts.diffIds ?? layers.map((tar) => sha256(tar)) },
    history: layers.map(() => ({ created: '1970-01-01T00:00:01Z', created_by: 'test' })),
  };
  return put(
    isDocker ? mediaTypes.dockerManifest : mediaTypes.manifest,
    jsonBytes({
      schemaVersion: 2,
      mediaType: isDocker ? mediaTypes.dockerManifest : mediaTypes.manifest,
      config: await put(isDocker ? mediaTypes.dockerConfig : mediaTypes.config, jsonBytes(config)),
      layers: blobs,
    }),
  );
}

/** Puts an index over images. */
export async function putIndex(
  target: Target,
  images: readonly (Descriptor & { readonly platform: Platform })[],
  types: ImageForm['types'] = 'oci',
): Promise<Descriptor> {
  const mediaType = types === 'docker' ? mediaTypes.dockerManifestList : mediaTypes.index;
  const bytes = jsonBytes({ schemaVersion: 2, mediaType, manifests: images });
  const descriptor = describe(mediaType, bytes);
  await target.write(descriptor, streamOf(bytes));
  return descriptor;
}

/** Bytes that do not compress and are the same each time. */
export function noise(size: number, seed: string): Buffer {
  const blocks: Buffer[] = [];
  for (let at = 0; at * 65_536 < size; at++) {
    blocks.push(createHash('shake256', { outputLength: 65_536 }).update(`${seed} ${at}`).digest());
  }
  return Buffer.concat(blocks).subarray(0, size);
}

function packed(tar: Buffer, compression: ImageForm['compression']): Buffer {
  if (compression === 'none') return tar;
  return compression === 'gzip' ? gzipSync(tar, { level: 1 }) : zstdCompressSync(tar);
}

function jsonBytes(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

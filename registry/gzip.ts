import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  type CallOptions,
  type Descriptor,
  type DiffId,
  type Digest,
  describe,
  type Index,
  IntegrityError,
  isIndexType,
  type Layer,
  layerCompression,
  type Manifest,
  maxManifestBytes,
  mediaTypes,
  openImage,
  type Platform,
  parseDigest,
  parseIndex,
  parseManifest,
  type ReadableContent,
  readVerified,
  serializeManifest,
  streamOf,
  ToolError,
  verifying,
} from '../core/index.ts';
import { gzipped } from './deflate.ts';

/** Remembers what a layer became when it was compressed, between processes. What it says is checked, not trusted. */
export interface CompressedLayerMemory {
  get(diffId: DiffId): Promise<Descriptor | undefined>;
  set(diffId: DiffId, compressed: Descriptor): Promise<void>;
}

export interface GzipOptions extends CallOptions {
  /** A folder for the compressed layers; the caller removes it when the copy is over. */
  readonly scratch: string;
  readonly platform: Platform;
  /** Whether the destination has a blob: a layer that need not travel need not be compressed. */
  readonly alreadyThere?: (descriptor: Descriptor) => Promise<boolean>;
  readonly remembered: CompressedLayerMemory;
}

/**
 * A view of an image, or of an index with its images, in which no layer is uncompressed: tar layers are gzip, the
 * manifest names them by their new digests and has OCI types, the config is as it was. An image in which nothing has to
 * be compressed stays what it is, digest and all.
 * @throws IntegrityError; ToolError MANIFEST_INVALID
 */
export async function gzippedImage(
  content: ReadableContent,
  root: Descriptor,
  options: GzipOptions,
): Promise<{ root: Descriptor; content: ReadableContent }> {
  const view = new GzippedContent(content, options);
  return { root: await view.convert(root), content: view };
}

class GzippedContent implements ReadableContent {
  readonly #content: ReadableContent;
  readonly #options: GzipOptions;
  readonly #manifests = new Map<Digest, Uint8Array>();
  readonly #files = new Map<Digest, string>();
  /** Layers that were not compressed, because the destination has the result. */
  readonly #skipped = new Map<Digest, Layer>();

  constructor(content: ReadableContent, options: GzipOptions) {
    this.#content = content;
    this.#options = options;
  }

  async has(descriptor: Descriptor, options?: CallOptions): Promise<boolean> {
    const { digest } = descriptor;
    if (this.#manifests.has(digest) || this.#files.has(digest) || this.#skipped.has(digest)) return true;
    return this.#content.has(descriptor, options);
  }

  async read(descriptor: Descriptor, options: CallOptions = {}): Promise<Readable> {
    const manifest = this.#manifests.get(descriptor.digest);
    if (manifest !== undefined) return streamOf(manifest);
    const skipped = this.#skipped.get(descriptor.digest);
    if (skipped !== undefined && !this.#files.has(descriptor.digest)) await this.#compressAgain(skipped, descriptor);
    const file = this.#files.get(descriptor.digest);
    return file === undefined
      ? this.#content.read(descriptor, options)
      : createReadStream(file, { highWaterMark: 1024 * 1024 });
  }

  async convert(descriptor: Descriptor): Promise<Descriptor> {
    this.#options.signal?.throwIfAborted();
    return isIndexType(descriptor.mediaType) ? this.#convertIndex(descriptor) : this.#convertManifest(descriptor);
  }

  async #convertIndex(descriptor: Descriptor): Promise<Descriptor> {
    const index = parseIndex(await this.#manifestBytes(descriptor));
    const manifests: Descriptor[] = [];
    for (const child of index.manifests) {
      const converted = (await this.#content.has(child, this.#options)) ? await this.convert(child) : child;
      manifests.push(converted === child ? child : { ...child, ...converted });
    }
    if (manifests.every((child, position) => child === index.manifests[position])) return descriptor;
    return this.#keepManifest({ ...index, mediaType: mediaTypes.index, manifests });
  }

  async #convertManifest(descriptor: Descriptor): Promise<Descriptor> {
    const manifest = parseManifest(await this.#manifestBytes(descriptor));
    if (manifest.layers.every((layer) => layerCompression(layer.mediaType) !== 'none')) return descriptor;
    const image = await openImage(this.#content, descriptor, this.#options);
    const layers: Descriptor[] = [];
    // One after the other: the blocks of one layer already keep every core busy.
    for (const layer of image.layers) layers.push(await this.#convertLayer(layer));
    return this.#keepManifest({
      ...manifest,
      mediaType: mediaTypes.manifest,
      config: { ...manifest.config, mediaType: ociConfigType(manifest.config.mediaType) },
      layers,
    });
  }

  async #convertLayer(layer: Layer): Promise<Descriptor> {
    const { descriptor, diffId } = layer;
    if (layerCompression(descriptor.mediaType) !== 'none') {
      const gzip = descriptor.mediaType === mediaTypes.dockerLayerGzip;
      return gzip ? { ...descriptor, mediaType: mediaTypes.layerGzip } : descriptor;
    }
    if (descriptor.digest !== diffId) {
      throw new ToolError(
        'MANIFEST_INVALID',
        `layer ${descriptor.digest} is not compressed, yet its diff_id is ${diffId}`,
      );
    }
    const { annotations } = descriptor;
    const compressed = (await this.#findCompressed(layer)) ?? (await this.#compress(layer));
    return {
      mediaType: mediaTypes.layerGzip,
      digest: compressed.digest,
      size: compressed.size,
      ...(annotations === undefined ? {} : { annotations }),
    };
  }

  async #findCompressed(layer: Layer): Promise<Descriptor | undefined> {
    const known = await this.#options.remembered.get(layer.diffId);
    if (known === undefined) return undefined;
    if (await this.#content.has(known, this.#options)) return known;
    if (!(await this.#options.alreadyThere?.(known))) return undefined;
    this.#skipped.set(known.digest, layer);
    return known;
  }

  async #compress(layer: Layer): Promise<Descriptor> {
    const { scratch, remembered, signal } = this.#options;
    await mkdir(scratch, { recursive: true });
    const file = path.join(scratch, `layer-${randomBytes(6).toString('hex')}.gz`);
    const hash = createHash('sha256');
    let size = 0;
    await pipeline(
      await this.#content.read(layer.descriptor, this.#options),
      verifying(layer.descriptor),
      gzipped,
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          hash.update(chunk);
          size += chunk.byteLength;
          yield chunk;
        }
      },
      createWriteStream(file, { flags: 'wx', mode: 0o600 }),
      { signal },
    );
    const compressed = { mediaType: mediaTypes.layerGzip, digest: parseDigest(`sha256:${hash.digest('hex')}`), size };
    this.#files.set(compressed.digest, file);
    await remembered.set(layer.diffId, compressed);
    return compressed;
  }

  /** The destination lost a layer it had. Another version of zlib may give other bytes than those remembered. */
  async #compressAgain(layer: Layer, wanted: Descriptor): Promise<void> {
    const { digest } = await this.#compress(layer);
    if (digest === wanted.digest) return;
    throw new IntegrityError(
      'BLOB_DIGEST_MISMATCH',
      `layer ${layer.diffId} is no longer compressed to ${wanted.digest}`,
      {
        hint: 'push again',
      },
    );
  }

  #manifestBytes(descriptor: Descriptor): Promise<Buffer> {
    return readVerified(this.#content, descriptor, { signal: this.#options.signal, maxBytes: maxManifestBytes });
  }

  #keepManifest(manifest: Manifest | Index): Descriptor {
    const bytes = serializeManifest(manifest);
    const descriptor = describe(manifest.mediaType, bytes);
    this.#manifests.set(descriptor.digest, bytes);
    return descriptor;
  }
}

function ociConfigType(mediaType: string): string {
  return mediaType === mediaTypes.dockerConfig ? mediaTypes.config : mediaType;
}

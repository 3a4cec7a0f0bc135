import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
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
  InFlight,
  type IngestedBlob,
  IntegrityError,
  isIndexType,
  type Layer,
  layerCompression,
  type Manifest,
  mapConcurrent,
  maxManifestBytes,
  mediaTypes,
  openImage,
  type Platform,
  parseDigest,
  parseIndex,
  parseManifest,
  type ReadableContent,
  type ReadOptions,
  readVerified,
  serializeManifest,
  streamOf,
} from '../../core/index.ts';
import type { BlobEvent } from '../copy/copy-blob.ts';
import { type Compression, defaultCompression, layerTypeOf, settingsText } from './compression.ts';
import { type LayerDestination, LayerSender } from './layer-sender.ts';
import { type Decompress, type PackingOptions, packedLayer } from './packed-layer.ts';

/** Remembers what layers became when they were compressed, between processes. What it says is checked, not trusted. */
export interface CompressedLayerMemory {
  /** @param settings of the compression, as `settingsText` has it */
  get(diffId: DiffId, settings: string): Promise<Descriptor | undefined>;
  set(diffId: DiffId, settings: string, compressed: Descriptor): Promise<void>;
}

export interface CompressionOptions extends CallOptions {
  /** A folder for layers that have to wait; the caller removes it when the copy is over. */
  readonly scratch: () => Promise<string>;
  readonly platform: Platform;
  readonly remembered: CompressedLayerMemory;
  /** gzip unless said. */
  readonly compression?: Compression;
  /** For `force`. */
  readonly decompress?: Decompress;
  /** Layers go there while they are compressed; what is there need not be compressed. */
  readonly destination?: LayerDestination;
  /** Repositories of the destination's registry that may have a layer already. */
  readonly mountSources?: (form: Descriptor) => Promise<readonly string[]>;
  /** Keeps other processes from doing the same for as long as it is held. */
  readonly alone?: (key: string, call: CallOptions) => Promise<AsyncDisposable>;
  /** Layers on their way at once; 3 unless said. */
  readonly concurrency?: number;
  /** Of layers on their way to the destination, by their descriptors in the image as it was. */
  readonly onEvent?: (event: BlobEvent) => void;
}

const defaultConcurrency = 3;

/**
 * A view of an image, or of an index with its images, in which the layers are packed as wanted: tar layers always,
 * compressed ones by `force`. The manifest names them by their new digests and has OCI types, the config is as it was.
 * An image in which no layer changes stays what it is, digest and all. With a destination, the layers are there when
 * this returns.
 * @throws IntegrityError; ToolError MANIFEST_INVALID, REGISTRY_*
 */
export async function compressedImage(
  content: ReadableContent,
  root: Descriptor,
  options: CompressionOptions,
): Promise<{ root: Descriptor; content: ReadableContent }> {
  const view = new CompressedContent(content, options);
  return { root: await view.convert(root), content: view };
}

class CompressedContent implements ReadableContent {
  readonly #content: ReadableContent;
  readonly #options: CompressionOptions;
  readonly #compression: Compression;
  readonly #sender: LayerSender | undefined;
  readonly #manifests = new Map<Digest, Uint8Array>();
  readonly #files = new Map<Digest, string>();
  /** Layers of which only the destination has the new form. */
  readonly #elsewhere = new Map<Digest, Layer>();
  readonly #converted = new Map<DiffId, Descriptor>();
  readonly #converting = new InFlight<Descriptor>();

  constructor(content: ReadableContent, options: CompressionOptions) {
    this.#content = content;
    this.#options = options;
    this.#compression = options.compression ?? defaultCompression;
    const { destination, onEvent, mountSources = async () => [] } = options;
    const settings = settingsText(this.#compression);
    this.#sender =
      destination === undefined ? undefined : new LayerSender(destination, { settings, mountSources, onEvent });
  }

  async has(descriptor: Descriptor, options?: CallOptions): Promise<boolean> {
    const { digest } = descriptor;
    if (this.#manifests.has(digest) || this.#files.has(digest) || this.#elsewhere.has(digest)) return true;
    return this.#content.has(descriptor, options);
  }

  async read(descriptor: Descriptor, options: ReadOptions = {}): Promise<Readable> {
    const manifest = this.#manifests.get(descriptor.digest);
    if (manifest !== undefined) return streamOf(manifest.subarray(options.from ?? 0));
    const elsewhere = this.#elsewhere.get(descriptor.digest);
    if (elsewhere !== undefined && !this.#files.has(descriptor.digest)) await this.#packAgain(elsewhere, descriptor);
    const file = this.#files.get(descriptor.digest);
    return file === undefined
      ? this.#content.read(descriptor, options)
      : createReadStream(file, { start: options.from ?? 0, highWaterMark: 1024 * 1024 });
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
    if (!manifest.layers.some((layer) => this.#changes(layer))) return descriptor;
    const image = await openImage(this.#content, descriptor, this.#options);
    const known = await this.#convertKnown(manifest, image.layers);
    if (known !== undefined) return known;
    // Where nothing takes them in while they are made, one after the other: the blocks of one keep every core busy.
    const concurrency = this.#sender === undefined ? 1 : (this.#options.concurrency ?? defaultConcurrency);
    const { signal } = this.#options;
    const layers = await mapConcurrent(image.layers, { concurrency, signal }, async (layer, call) =>
      this.#changes(layer.descriptor) ? this.#convertLayer(layer, call) : kept(layer.descriptor),
    );
    return this.#keepManifest(withLayers(manifest, layers));
  }

  /** The manifest of layers whose new forms are all remembered, when the destination has it: then it has these, too. */
  async #convertKnown(manifest: Manifest, layers: readonly Layer[]): Promise<Descriptor | undefined> {
    if (this.#sender === undefined) return undefined;
    const forms: Descriptor[] = [];
    for (const layer of layers) {
      const form = this.#changes(layer.descriptor) ? await this.#remembered(layer) : kept(layer.descriptor);
      if (form === undefined) return undefined;
      forms.push(withAnnotations(form, layer));
    }
    const converted = withLayers(manifest, forms);
    const bytes = serializeManifest(converted);
    const descriptor = describe(converted.mediaType, bytes);
    if (!(await this.#sender.hasManifest(descriptor, this.#options))) return undefined;
    layers.forEach((layer, position) => {
      const form = forms[position];
      if (form !== undefined && this.#changes(layer.descriptor)) this.#elsewhere.set(form.digest, layer);
      this.#options.onEvent?.({ type: 'skip', descriptor: layer.descriptor });
    });
    return this.#keepManifest(converted);
  }

  #changes({ mediaType }: Descriptor): boolean {
    const { algorithm, force } = this.#compression;
    const was = layerCompression(mediaType);
    return was !== undefined && was !== algorithm && (was === 'none' || force === true);
  }

  async #convertLayer(layer: Layer, call: CallOptions): Promise<Descriptor> {
    const form = await this.#converting.run(layer.diffId, async () => {
      const done = this.#converted.get(layer.diffId);
      if (done !== undefined) return done;
      const key = `${layer.diffId} ${settingsText(this.#compression)}`;
      await using _alone = await this.#options.alone?.(key, call);
      const form = (await this.#findForm(layer, call)) ?? (await this.#pack(layer, call));
      this.#converted.set(layer.diffId, form);
      return form;
    });
    return withAnnotations(form, layer);
  }

  /** What needs no packing: it is here, as from a pull, or at the destination. */
  async #findForm(layer: Layer, call: CallOptions): Promise<Descriptor | undefined> {
    const known = await this.#remembered(layer);
    if (known === undefined) return undefined;
    if (await this.#content.has(known, call)) return known;
    if (!(await this.#sender?.isThere(layer, known, call))) return undefined;
    this.#elsewhere.set(known.digest, layer);
    return known;
  }

  async #pack(layer: Layer, call: CallOptions): Promise<Descriptor> {
    const sender = this.#sender;
    const sent = await sender?.send(layer, (onRead) => this.#open(layer, { ...call, onRead }), call);
    const form = sent === undefined ? await this.#packToFile(layer, call) : this.#formOf(sent);
    if (sent !== undefined) this.#elsewhere.set(form.digest, layer);
    else if (sender !== undefined) await sender.sendWhole(layer, form, this, call);
    await this.#options.remembered.set(layer.diffId, settingsText(this.#compression), form);
    return form;
  }

  #open(layer: Layer, options: CallOptions & Pick<PackingOptions, 'onRead'>): Promise<Readable> {
    const { decompress } = this.#options;
    const compression = this.#compression;
    return packedLayer(this.#content, layer, {
      ...options,
      compression,
      ...(decompress === undefined ? {} : { decompress }),
    });
  }

  async #packToFile(layer: Layer, { signal }: CallOptions): Promise<Descriptor> {
    const file = path.join(await this.#options.scratch(), `layer-${randomBytes(6).toString('hex')}`);
    const hash = createHash('sha256');
    let size = 0;
    await pipeline(
      await this.#open(layer, { signal }),
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
    const form = this.#formOf({ digest: parseDigest(`sha256:${hash.digest('hex')}`), size });
    this.#files.set(form.digest, file);
    return form;
  }

  #formOf({ digest, size }: IngestedBlob): Descriptor {
    return { mediaType: layerTypeOf(this.#compression), digest, size };
  }

  async #remembered({ diffId }: Layer): Promise<Descriptor | undefined> {
    const known = await this.#options.remembered.get(diffId, settingsText(this.#compression));
    return known === undefined ? undefined : this.#formOf(known);
  }

  /** The destination lost a layer it had. Another version of zlib may give other bytes than those remembered. */
  async #packAgain(layer: Layer, wanted: Descriptor): Promise<void> {
    const form = await this.#packToFile(layer, this.#options);
    await this.#options.remembered.set(layer.diffId, settingsText(this.#compression), form);
    if (form.digest === wanted.digest) return;
    throw new IntegrityError(
      'BLOB_DIGEST_MISMATCH',
      `layer ${layer.diffId} is no longer compressed to ${wanted.digest}`,
      { hint: 'push again' },
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

function withLayers(manifest: Manifest, layers: readonly Descriptor[]): Manifest {
  const { config } = manifest;
  const mediaType = config.mediaType === mediaTypes.dockerConfig ? mediaTypes.config : config.mediaType;
  return { ...manifest, mediaType: mediaTypes.manifest, config: { ...config, mediaType }, layers };
}

/** A layer that stays as it is, in a manifest of OCI's. */
function kept(layer: Descriptor): Descriptor {
  const { mediaType } = layer;
  if (mediaType === mediaTypes.dockerLayerGzip) return { ...layer, mediaType: mediaTypes.layerGzip };
  return mediaType === mediaTypes.dockerLayer ? { ...layer, mediaType: mediaTypes.layer } : layer;
}

function withAnnotations(form: Descriptor, { descriptor: { annotations } }: Layer): Descriptor {
  return annotations === undefined ? form : { ...form, annotations };
}

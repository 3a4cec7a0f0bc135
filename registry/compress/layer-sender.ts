import type { Readable } from 'node:stream';
import {
  type CallOptions,
  type Descriptor,
  errorCode,
  type IngestedBlob,
  type Layer,
  type Mounter,
  type ReadableContent,
  sleep,
  type Target,
} from '../../core/index.ts';
import { type BlobEvent, copyBlob } from '../copy/copy-blob.ts';

/** Where layers go while they are made; without `ingest`, once they are made. */
export interface LayerDestination extends Target, Partial<Mounter> {
  /** @param options `key` says what the bytes are, whatever their digest will be */
  ingest?(content: Readable, options: CallOptions & { readonly key: string }): Promise<IngestedBlob>;
}

export interface SendingOptions {
  /** How layers are compressed: two of one diffId and equal settings have equal bytes. */
  readonly settings: string;
  /** Repositories of the destination's registry that may have it, too. */
  readonly mountSources: (form: Descriptor) => Promise<readonly string[]>;
  /** Of layers by their descriptors before compression, bytes as they are read. */
  readonly onEvent?: ((event: BlobEvent) => void) | undefined;
}

const attempts = 3;
const transientCodes = [
  'REGISTRY_UNREACHABLE',
  'REGISTRY_STALLED',
  'REGISTRY_UNAVAILABLE',
  'REGISTRY_RATE_LIMITED',
  'REGISTRY_UPLOAD_LOST',
];

/** Brings layers to a place in a form they get on the way. */
export class LayerSender {
  readonly #destination: LayerDestination;
  readonly #options: SendingOptions;
  #takesStreams: boolean;

  constructor(destination: LayerDestination, options: SendingOptions) {
    this.#destination = destination;
    this.#options = options;
    this.#takesStreams = destination.ingest !== undefined;
  }

  hasManifest(descriptor: Descriptor, { signal }: CallOptions): Promise<boolean> {
    return this.#destination.has(descriptor, { signal });
  }

  /** Whether the destination has a layer's form, or can take it over from another repository. */
  async isThere(layer: Layer, form: Descriptor, { signal }: CallOptions): Promise<boolean> {
    const { descriptor } = layer;
    if (await this.#destination.has(form, { signal })) {
      this.#tell({ type: 'skip', descriptor });
      return true;
    }
    for (const repository of await this.#options.mountSources(form)) {
      if (!(await this.#destination.mount?.(form, repository, { signal }))) continue;
      this.#tell({ type: 'mount', descriptor });
      return true;
    }
    return false;
  }

  /**
   * Sends a layer while it is made; undefined when the destination wants it whole.
   * @param open gives the bytes anew for each attempt
   */
  async send(
    { descriptor, diffId }: Layer,
    open: (onRead: (bytes: number) => void) => Promise<Readable>,
    { signal }: CallOptions,
  ): Promise<IngestedBlob | undefined> {
    if (!this.#takesStreams) return undefined;
    this.#tell({ type: 'start', descriptor });
    for (let attempt = 1; ; attempt++) {
      const content = await open((bytes) => this.#tell({ type: 'progress', descriptor, bytes }));
      try {
        const key = `${diffId} ${this.#options.settings}`;
        const blob = await this.#destination.ingest?.(content, { key, signal });
        if (blob !== undefined) this.#tell({ type: 'done', descriptor });
        return blob;
      } catch (error) {
        signal?.throwIfAborted();
        if (errorCode(error) === 'REGISTRY_CHUNKS_REFUSED') {
          this.#takesStreams = false;
          return undefined;
        }
        if (attempt >= attempts || !transientCodes.includes(errorCode(error) ?? '')) throw error;
      } finally {
        content.destroy();
      }
      await sleep(500 * attempt, { signal });
    }
  }

  /** Sends a layer that is made. */
  async sendWhole(layer: Layer, form: Descriptor, content: ReadableContent, { signal }: CallOptions): Promise<void> {
    const { descriptor } = layer;
    await copyBlob(content, this.#destination, form, {
      signal,
      mountFrom: [],
      onEvent: (event) => this.#tell({ ...event, descriptor }),
    });
  }

  #tell(event: BlobEvent): void {
    this.#options.onEvent?.(event);
  }
}

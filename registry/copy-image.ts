import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  type CallOptions,
  childrenOf,
  type Descriptor,
  errorCode,
  isIndexType,
  limiter,
  type Mounter,
  mapConcurrent,
  maxManifestBytes,
  type Platform,
  parseIndex,
  type ReadableContent,
  readVerified,
  selectPlatform,
  sleep,
  streamOf,
  type Target,
  ToolError,
} from '../core/index.ts';
import { isForeignLayer, isManifestLike } from './manifest-type.ts';

export type CopyEvent =
  | { readonly type: 'skip' | 'start' | 'done' | 'mount'; readonly descriptor: Descriptor }
  /** `bytes` is how much of the blob has passed so far. */
  | { readonly type: 'progress'; readonly descriptor: Descriptor; readonly bytes: number };

export interface CopyOptions extends CallOptions {
  /** Blobs on their way at once; 4 unless said. */
  readonly concurrency?: number;
  readonly onEvent?: (event: CopyEvent) => void;
  /** A repository of the destination's registry that may have the blobs already. */
  readonly mountFrom?: string;
  /** Of an index, only the image for this platform; the destination gets that image instead of the index. */
  readonly platform?: Platform;
}

const defaultConcurrency = 4;
const maxDepth = 4;
const attempts = 3;
const transientCodes = ['REGISTRY_UNREACHABLE', 'REGISTRY_STALLED', 'REGISTRY_UNAVAILABLE', 'REGISTRY_RATE_LIMITED'];

/**
 * Copies an image, or an index with all its images, between any two places: children before parents, what is there
 * skipped, identical content once, blobs side by side. The destination verifies digest and size of everything.
 * @returns the root as it is at the destination
 * @throws IntegrityError; NotFoundError; ToolError of either place
 */
export async function copyImage(
  source: ReadableContent,
  destination: Target,
  root: Descriptor,
  options: CopyOptions = {},
): Promise<Descriptor> {
  const chosen = await choose(source, root, options);
  await new Copy(source, destination, options).run(chosen, 0, options);
  return chosen;
}

async function choose(source: ReadableContent, root: Descriptor, options: CopyOptions): Promise<Descriptor> {
  if (options.platform === undefined || !isIndexType(root.mediaType)) return root;
  const bytes = await readVerified(source, root, { signal: options.signal, maxBytes: maxManifestBytes });
  return choose(source, selectPlatform(parseIndex(bytes), options.platform), options);
}

class Copy {
  readonly #source: ReadableContent;
  readonly #destination: Target;
  readonly #options: CopyOptions;
  readonly #limit: <R>(task: () => Promise<R>) => Promise<R>;
  /** What was begun, by digest and type: in one copy nothing goes twice. */
  readonly #begun = new Map<string, Promise<void>>();

  constructor(source: ReadableContent, destination: Target, options: CopyOptions) {
    this.#source = source;
    this.#destination = destination;
    this.#options = options;
    this.#limit = limiter(options.concurrency ?? defaultConcurrency);
  }

  run(descriptor: Descriptor, depth: number, call: CallOptions): Promise<void> {
    const key = `${descriptor.digest} ${descriptor.size} ${descriptor.mediaType}`;
    let begun = this.#begun.get(key);
    if (begun === undefined) {
      begun = isManifestLike(descriptor) ? this.#manifest(descriptor, depth, call) : this.#blob(descriptor, call);
      this.#begun.set(key, begun);
    }
    return begun;
  }

  async #manifest(descriptor: Descriptor, depth: number, call: CallOptions): Promise<void> {
    if (depth > maxDepth) {
      throw new ToolError(
        'MANIFEST_INVALID',
        `${descriptor.digest} lies deeper than ${maxDepth} indexes in one another`,
      );
    }
    if (await this.#destination.has(descriptor, call)) return this.#tell({ type: 'skip', descriptor });
    const bytes = await readVerified(this.#source, descriptor, { signal: call.signal, maxBytes: maxManifestBytes });
    const children = childrenOf(descriptor.mediaType, bytes).filter((child) => !isForeignLayer(child));
    await mapConcurrent(children, { concurrency: 64, signal: call.signal }, (child, options) =>
      this.run(child, depth + 1, options),
    );
    this.#tell({ type: 'start', descriptor });
    await this.#destination.write(descriptor, streamOf(bytes), call);
    this.#tell({ type: 'done', descriptor });
  }

  #blob(descriptor: Descriptor, call: CallOptions): Promise<void> {
    return this.#limit(async () => {
      call.signal?.throwIfAborted();
      if (await this.#destination.has(descriptor, call)) return this.#tell({ type: 'skip', descriptor });
      if (await this.#mounted(descriptor, call)) return this.#tell({ type: 'mount', descriptor });
      this.#tell({ type: 'start', descriptor });
      for (let attempt = 1; !(await this.#transferred(descriptor, attempt, call)); attempt++) {
        await sleep(500 * attempt, call);
      }
      this.#tell({ type: 'done', descriptor });
    });
  }

  async #mounted(descriptor: Descriptor, call: CallOptions): Promise<boolean> {
    const { mountFrom } = this.#options;
    if (mountFrom === undefined || !isMounter(this.#destination)) return false;
    return this.#destination.mount(descriptor, mountFrom, call);
  }

  /** False when it failed in a way that may pass. A stream cannot be sent twice, so it is opened anew. */
  async #transferred(descriptor: Descriptor, attempt: number, call: CallOptions): Promise<boolean> {
    try {
      const content = await this.#source.read(descriptor, call);
      await this.#write(descriptor, content, call);
      return true;
    } catch (error) {
      if (attempt < attempts && transientCodes.includes(errorCode(error) ?? '')) return false;
      throw error;
    }
  }

  async #write(descriptor: Descriptor, content: Readable, call: CallOptions): Promise<void> {
    const { onEvent } = this.#options;
    if (onEvent === undefined) return this.#destination.write(descriptor, content, call);
    const counted = counting((bytes) => onEvent({ type: 'progress', descriptor, bytes }));
    const feeding = pipeline(content, counted, { signal: call.signal });
    const writing = this.#destination.write(descriptor, counted, call).finally(() => counted.destroy());
    const [fed, written] = await Promise.allSettled([feeding, writing]);
    if (fed.status === 'rejected' && errorCode(fed.reason) !== 'ERR_STREAM_PREMATURE_CLOSE') throw fed.reason;
    if (written.status === 'rejected') throw written.reason;
  }

  #tell(event: CopyEvent): void {
    this.#options.onEvent?.(event);
  }
}

function isMounter(target: Target): target is Target & Mounter {
  return 'mount' in target && typeof target.mount === 'function';
}

function counting(onBytes: (bytes: number) => void): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      bytes += chunk.byteLength;
      onBytes(bytes);
      callback(null, chunk);
    },
  });
}

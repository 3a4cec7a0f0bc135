import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  type CallOptions,
  type Descriptor,
  errorCode,
  IntegrityError,
  type Mounter,
  type PartialBlob,
  type ReadableContent,
  type Resumer,
  sleep,
  streamOf,
  type Target,
} from '../../core/index.ts';
import { JoinedWork } from './joined-work.ts';

export type BlobEvent =
  | { readonly type: 'skip' | 'start' | 'done' | 'mount'; readonly descriptor: Descriptor }
  /** `bytes` is how much of the blob has passed so far, or was there before. */
  | { readonly type: 'progress'; readonly descriptor: Descriptor; readonly bytes: number };

export interface BlobCopyOptions {
  /** Repositories of the destination's registry that may have the blob, in the order to ask them. */
  readonly mountFrom: readonly string[];
  readonly onEvent?: (event: BlobEvent) => void;
}

/** Smaller blobs are not worth keeping half. */
export const resumableBytes = 1024 * 1024;

const attempts = 3;
const transientCodes = ['REGISTRY_UNREACHABLE', 'REGISTRY_STALLED', 'REGISTRY_UNAVAILABLE', 'REGISTRY_RATE_LIMITED'];
/** `{}`: what artifacts without a config name as theirs; not every place has it. image-spec, manifest.md#guidance-for-an-empty-descriptor */
const emptyJson = 'sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a';

/** Blobs on their way, of all copies of this process. */
const underWay = new JoinedWork();

/** Brings a blob from one place to another, unless it is there: mounted, resumed, or whole. */
export async function copyBlob(
  source: ReadableContent,
  destination: Target,
  descriptor: Descriptor,
  options: BlobCopyOptions & CallOptions,
): Promise<void> {
  const transfer = new BlobTransfer(source, destination, descriptor, options);
  for (let isDone = false; !isDone; ) {
    options.signal?.throwIfAborted();
    if (await destination.has(descriptor, options)) return options.onEvent?.({ type: 'skip', descriptor });
    isDone = await underWay.run(destination, descriptor.digest, () => transfer.run(), options);
  }
}

class BlobTransfer {
  readonly #source: ReadableContent;
  readonly #destination: Target;
  readonly #descriptor: Descriptor;
  readonly #options: BlobCopyOptions & CallOptions;

  constructor(
    source: ReadableContent,
    destination: Target,
    descriptor: Descriptor,
    options: BlobCopyOptions & CallOptions,
  ) {
    this.#source = source;
    this.#destination = destination;
    this.#descriptor = descriptor;
    this.#options = options;
  }

  async run(): Promise<void> {
    if (await this.#mounted()) return this.#tell('mount');
    this.#tell('start');
    const isResumed = isResumer(this.#destination) && this.#descriptor.size >= resumableBytes;
    await (isResumed ? this.#resumed(this.#destination) : this.#whole());
    this.#tell('done');
  }

  async #mounted(): Promise<boolean> {
    const destination = this.#destination;
    if (!isMounter(destination)) return false;
    for (const repository of this.#options.mountFrom) {
      if (await destination.mount(this.#descriptor, repository, this.#options)) return true;
    }
    return false;
  }

  /** A stream cannot be sent twice, so it is opened anew for each attempt. */
  async #whole(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#write(await this.#read(0));
      } catch (error) {
        if (attempt >= attempts || !isTransient(error)) throw error;
      }
      await sleep(500 * attempt, this.#options);
    }
  }

  async #resumed(destination: Resumer): Promise<void> {
    await using partial = await destination.resume(this.#descriptor, this.#options);
    if (partial === undefined) return;
    let mayBeStale = partial.bytes > 0;
    for (let attempt = 1; ; attempt++) {
      const before = partial.bytes;
      try {
        return await this.#append(partial);
      } catch (error) {
        // What lay here was not the beginning of the blob: it is gone now, and the blob is fetched whole, once.
        if (mayBeStale && error instanceof IntegrityError) {
          mayBeStale = false;
          continue;
        }
        if (!isTransient(error)) throw error;
        // Who gets on is not given up.
        if (partial.bytes - before >= resumableBytes) attempt = 1;
        if (attempt >= attempts) throw error;
      }
      await sleep(500 * attempt, this.#options);
    }
  }

  async #append(partial: PartialBlob): Promise<void> {
    const from = partial.bytes;
    // All of it may be here, but for the check.
    const content = from === this.#descriptor.size ? streamOf(Buffer.alloc(0)) : await this.#read(from);
    await this.#counted(content, from, (counted) => partial.append(counted, this.#options));
  }

  async #read(from: number): Promise<Readable> {
    const { digest, size } = this.#descriptor;
    if (digest === emptyJson && size === 2) return streamOf(Buffer.from('{}'));
    const { signal } = this.#options;
    return this.#source.read(this.#descriptor, { signal, ...(from === 0 ? {} : { from }) });
  }

  #write(content: Readable): Promise<void> {
    return this.#counted(content, 0, (counted) => this.#destination.write(this.#descriptor, counted, this.#options));
  }

  async #counted(content: Readable, from: number, write: (content: Readable) => Promise<void>): Promise<void> {
    const { onEvent, signal } = this.#options;
    if (onEvent === undefined) return write(content);
    const descriptor = this.#descriptor;
    const counter = counting(from, (bytes) => onEvent({ type: 'progress', descriptor, bytes }));
    const feeding = pipeline(content, counter, { signal });
    const writing = write(counter).finally(() => counter.destroy());
    const [fed, written] = await Promise.allSettled([feeding, writing]);
    // Whoever stops reading early has a reason of its own, which comes back as one of these.
    const isEcho = (error: unknown) => ['ERR_STREAM_PREMATURE_CLOSE', 'ABORT_ERR'].includes(errorCode(error) ?? '');
    if (fed.status === 'rejected' && !isEcho(fed.reason)) throw fed.reason;
    if (written.status === 'rejected') throw written.reason;
  }

  #tell(type: 'start' | 'done' | 'mount'): void {
    this.#options.onEvent?.({ type, descriptor: this.#descriptor });
  }
}

function isTransient(error: unknown): boolean {
  return transientCodes.includes(errorCode(error) ?? '');
}

function isMounter(target: Target): target is Target & Mounter {
  return 'mount' in target && typeof target.mount === 'function';
}

function isResumer(target: Target): target is Target & Resumer {
  return 'resume' in target && typeof target.resume === 'function';
}

function counting(from: number, onBytes: (bytes: number) => void): Transform {
  let bytes = from;
  return new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      bytes += chunk.byteLength;
      onBytes(bytes);
      callback(null, chunk);
    },
  });
}

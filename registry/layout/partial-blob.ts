import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  type CallOptions,
  type Descriptor,
  digestAlgorithm,
  digestHex,
  type LockFolder,
  type PartialBlob,
} from '../../core/index.ts';
import { IncomingFile } from './incoming-file.ts';

export interface PartialBlobPlace {
  /** Holds the beginnings of blobs; on the file system that they will end in. */
  readonly folder: string;
  readonly locks: LockFolder;
  /** Whether the blob has come, whole. */
  isHere(): Promise<boolean>;
  /** Puts the whole blob where it belongs. */
  commit(incoming: IncomingFile): Promise<void>;
}

/**
 * Opens the beginning of a blob, alone: who else wants to write it waits, in this process and in others. Undefined when
 * the blob has come meanwhile.
 */
export async function openPartialBlob(
  place: PartialBlobPlace,
  descriptor: Descriptor,
  options: CallOptions = {},
): Promise<PartialBlob | undefined> {
  const lockName = `incoming-${digestAlgorithm(descriptor.digest)}-${digestHex(descriptor.digest)}`;
  const lock = await place.locks.acquire(lockName, 'exclusive', options);
  try {
    if (!(await place.isHere())) {
      const incoming = await IncomingFile.resume(place.folder, descriptor, options);
      return new LockedBlob(incoming, place, descriptor, { lock, lockName });
    }
    place.locks.forget(lockName);
  } catch (error) {
    await lock[Symbol.asyncDispose]();
    throw error;
  }
  await lock[Symbol.asyncDispose]();
  return undefined;
}

class LockedBlob implements PartialBlob {
  readonly #incoming: IncomingFile;
  readonly #place: PartialBlobPlace;
  readonly #descriptor: Descriptor;
  readonly #held: { readonly lock: AsyncDisposable; readonly lockName: string };

  constructor(
    incoming: IncomingFile,
    place: PartialBlobPlace,
    descriptor: Descriptor,
    held: { readonly lock: AsyncDisposable; readonly lockName: string },
  ) {
    this.#incoming = incoming;
    this.#place = place;
    this.#descriptor = descriptor;
    this.#held = held;
  }

  get bytes(): number {
    return this.#incoming.size;
  }

  async append(content: Readable, options: CallOptions = {}): Promise<void> {
    const sink = (chunks: AsyncIterable<Buffer>) => this.#incoming.appendRest(chunks, this.#descriptor);
    await pipeline(content, sink, { signal: options.signal });
    await this.#place.commit(this.#incoming);
    this.#place.locks.forget(this.#held.lockName);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#incoming[Symbol.asyncDispose]();
    } finally {
      await this.#held.lock[Symbol.asyncDispose]();
    }
  }
}

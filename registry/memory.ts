import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  type CallOptions,
  type Descriptor,
  type Digest,
  NotFoundError,
  type ReadOptions,
  streamOf,
  type Target,
  verifying,
} from '../core/index.ts';

/** Content held in memory: for tests, and for what is small and about to be copied. */
export function memoryTarget(): Target {
  return new MemoryTarget();
}

class MemoryTarget implements Target {
  readonly name = 'memory';
  readonly #blobs = new Map<Digest, Buffer>();
  readonly #names = new Map<string, Descriptor>();

  async has(descriptor: Descriptor): Promise<boolean> {
    return this.#blobs.get(descriptor.digest)?.byteLength === descriptor.size;
  }

  async read(descriptor: Descriptor, options: ReadOptions = {}): Promise<Readable> {
    options.signal?.throwIfAborted();
    const bytes = this.#blobs.get(descriptor.digest);
    if (bytes === undefined) throw new NotFoundError('BLOB_NOT_FOUND', `${descriptor.digest} is not in memory`);
    return streamOf(bytes.subarray(options.from ?? 0));
  }

  async resolve(reference: string): Promise<Descriptor> {
    const found = this.#names.get(reference);
    if (found === undefined)
      throw new NotFoundError('REFERENCE_NOT_FOUND', `there is no image ${JSON.stringify(reference)} in memory`);
    return found;
  }

  async write(descriptor: Descriptor, content: Readable, options: CallOptions = {}): Promise<void> {
    if (await this.has(descriptor)) {
      content.destroy();
      return;
    }
    const chunks: Buffer[] = [];
    await pipeline(
      content,
      verifying(descriptor),
      async (verified: AsyncIterable<Buffer>) => {
        for await (const chunk of verified) chunks.push(chunk);
      },
      { signal: options.signal },
    );
    this.#blobs.set(descriptor.digest, Buffer.concat(chunks));
  }

  async tag(descriptor: Descriptor, reference: string): Promise<void> {
    if (!(await this.has(descriptor)))
      throw new NotFoundError('BLOB_NOT_FOUND', `${descriptor.digest} cannot be tagged: it is not in memory`);
    this.#names.set(reference, descriptor);
  }
}

import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import ssri from 'ssri';
import type { CallOptions } from './cancellation.ts';
import type { ReadableContent } from './content.ts';
import type { Descriptor } from './descriptor.ts';
import { type Digest, digestAlgorithm, digestHex } from './digest.ts';
import { errorCode, IntegrityError, ToolError } from './errors.ts';

/**
 * A stream to put into a `pipeline`: passes bytes on and fails at the end, or as soon as there are too many, when they
 * are not the descriptor's.
 * @throws IntegrityError BLOB_DIGEST_MISMATCH, BLOB_SIZE_MISMATCH (through the pipeline)
 */
export function verifying(descriptor: Descriptor): Transform {
  const integrity = ssri.fromHex(digestHex(descriptor.digest), digestAlgorithm(descriptor.digest));
  let seen = 0;
  const checker = ssri.integrityStream({
    integrity,
    size: descriptor.size,
    algorithms: [digestAlgorithm(descriptor.digest)],
  });
  let failure: unknown;
  checker.on('error', (error: unknown) => {
    failure ??= error;
  });
  return new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      seen += chunk.length;
      if (seen > descriptor.size) return callback(sizeMismatch(descriptor, `more than ${descriptor.size}`));
      checker.write(chunk);
      checker.resume();
      callback(null, chunk);
    },
    flush(callback) {
      checker.end();
      checker.resume();
      callback(failure === undefined ? null : asIntegrityError(failure, descriptor, seen));
    },
  });
}

/**
 * For who counted and hashed by himself.
 * @throws IntegrityError BLOB_DIGEST_MISMATCH, BLOB_SIZE_MISMATCH
 */
export function checkMatches(descriptor: Descriptor, found: { readonly size: number; readonly digest: Digest }): void {
  if (found.size !== descriptor.size) throw sizeMismatch(descriptor, String(found.size));
  if (found.digest !== descriptor.digest) throw digestMismatch(descriptor);
}

/** @throws IntegrityError BLOB_SIZE_MISMATCH as soon as there are more bytes than the blob has */
export function checkNotLonger(descriptor: Descriptor, size: number): void {
  if (size > descriptor.size) throw sizeMismatch(descriptor, `more than ${descriptor.size}`);
}

/**
 * Reads a small blob whole and verifies it.
 * @throws IntegrityError; ToolError BLOB_TOO_LARGE when the descriptor claims more than `maxBytes`
 */
export async function readVerified(
  content: Pick<ReadableContent, 'read'>,
  descriptor: Descriptor,
  options: CallOptions & { readonly maxBytes?: number } = {},
): Promise<Buffer> {
  const maxBytes = options.maxBytes ?? 4 * 1024 * 1024;
  if (descriptor.size > maxBytes) {
    throw new ToolError(
      'BLOB_TOO_LARGE',
      `${descriptor.mediaType} ${descriptor.digest} claims ${descriptor.size} bytes; the limit is ${maxBytes}`,
    );
  }
  const source = await content.read(descriptor, options);
  const chunks: Buffer[] = [];
  await pipeline(
    source,
    verifying(descriptor),
    async (verified: AsyncIterable<Buffer>) => {
      for await (const chunk of verified) chunks.push(chunk);
    },
    { signal: options.signal },
  );
  return Buffer.concat(chunks);
}

/** A stream over bytes at hand, one chunk. */
export function streamOf(bytes: Uint8Array): Readable {
  return Readable.from([Buffer.from(bytes)], { objectMode: false });
}

function asIntegrityError(error: unknown, descriptor: Descriptor, seen: number): Error {
  if (errorCode(error) === 'EBADSIZE') return sizeMismatch(descriptor, String(seen));
  if (errorCode(error) !== 'EINTEGRITY') return error instanceof Error ? error : new TypeError(String(error));
  return digestMismatch(descriptor);
}

function digestMismatch(descriptor: Descriptor): IntegrityError {
  return new IntegrityError(
    'BLOB_DIGEST_MISMATCH',
    `the bytes received for ${descriptor.digest} are not what that digest names`,
    {
      hint: 'fetch it again; if this repeats, the place it came from is damaged or lying',
    },
  );
}

function sizeMismatch(descriptor: Descriptor, found: string): IntegrityError {
  return new IntegrityError(
    'BLOB_SIZE_MISMATCH',
    `${descriptor.digest} should have ${descriptor.size} bytes and has ${found}`,
    {
      hint: 'fetch it again; if this repeats, the place it came from is damaged or lying',
    },
  );
}

import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { type CallOptions, type Digest, type IngestedBlob, parseDigest } from '../../core/index.ts';
import { gzipped } from '../compress/deflate.ts';

/** A tar that was compressed into a file. */
export interface PackedFolder extends IngestedBlob {
  /** Of the tar within. */
  readonly tarDigest: Digest;
}

/** Compresses a tar into a new file; equal tars make equal files on every machine. */
export async function packedFolder(
  tar: AsyncIterable<Buffer>,
  file: string,
  options: CallOptions = {},
): Promise<PackedFolder> {
  const [inner, outer] = [createHash('sha256'), createHash('sha256')];
  let size = 0;
  const hashedTar = async function* () {
    for await (const chunk of tar) {
      inner.update(chunk);
      yield chunk;
    }
  };
  const counted = async function* (chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      outer.update(chunk);
      size += chunk.byteLength;
      yield chunk;
    }
  };
  await pipeline(
    hashedTar,
    (tarChunks: AsyncIterable<Buffer>) => gzipped(tarChunks),
    counted,
    createWriteStream(file, { flags: 'wx', mode: 0o600 }),
    {
      signal: options.signal,
    },
  );
  return {
    digest: parseDigest(`sha256:${outer.digest('hex')}`),
    size,
    tarDigest: parseDigest(`sha256:${inner.digest('hex')}`),
  };
}

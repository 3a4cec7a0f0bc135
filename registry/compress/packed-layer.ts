import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  type CallOptions,
  checkMatches,
  checkNotLonger,
  type Descriptor,
  digestAlgorithm,
  IntegrityError,
  type Layer,
  layerCompression,
  parseDigest,
  type ReadableContent,
  ToolError,
} from '../../core/index.ts';
import { type Compression, compress } from './compression.ts';

/** Opens a compressed layer; what the runtime has for it. */
export type Decompress = (blob: Readable, compression: 'gzip' | 'zstd', options?: CallOptions) => Readable;

export interface PackingOptions extends CallOptions {
  readonly compression: Compression;
  /** For layers that come compressed. */
  readonly decompress?: Decompress;
  /** How much of the layer, as it was, has been read. */
  readonly onRead?: (bytes: number) => void;
}

/**
 * A layer's bytes in another packing. What is read is verified, whatever was packed before: the stream fails at its end
 * when the layer is not what its descriptor or the image's config says.
 * @throws ToolError MANIFEST_INVALID; IntegrityError (through the stream)
 */
export async function packedLayer(
  content: ReadableContent,
  layer: Layer,
  { compression, decompress, onRead, signal }: PackingOptions,
): Promise<Readable> {
  const { descriptor, diffId } = layer;
  const was = layerCompression(descriptor.mediaType) ?? 'none';
  if (was === 'none' && descriptor.digest !== diffId) {
    throw new ToolError(
      'MANIFEST_INVALID',
      `layer ${descriptor.digest} is not compressed, yet its diff_id is ${diffId}`,
    );
  }
  if (was !== 'none' && decompress === undefined) throw new TypeError('nothing is at hand to decompress layers');
  const blob = await content.read(descriptor, { signal });
  const counted = verified(blob, descriptor, onRead);
  const tar =
    was === 'none' || decompress === undefined
      ? counted
      : withDiffId(decompress(Readable.from(counted, { objectMode: false }), was, { signal }), layer);
  const packed = compress(tar as AsyncIterable<Buffer>, compression);
  return Readable.from(packed, { objectMode: false, ...(signal === undefined ? {} : { signal }) });
}

/** As `verifying`, without a stream of its own: hashing is a third of what zstd takes. */
async function* verified(
  chunks: AsyncIterable<Buffer>,
  descriptor: Descriptor,
  onRead: PackingOptions['onRead'],
): AsyncGenerator<Buffer> {
  const algorithm = digestAlgorithm(descriptor.digest);
  const hash = createHash(algorithm);
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.byteLength;
    checkNotLonger(descriptor, size);
    hash.update(chunk);
    onRead?.(size);
    yield chunk;
  }
  checkMatches(descriptor, { size, digest: parseDigest(`${algorithm}:${hash.digest('hex')}`) });
}

async function* withDiffId(tar: AsyncIterable<Buffer>, { descriptor, diffId }: Layer): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  for await (const chunk of tar) {
    hash.update(chunk);
    yield chunk;
  }
  const found = parseDigest(`sha256:${hash.digest('hex')}`);
  if (found === diffId) return;
  throw new IntegrityError('LAYER_DIFFID_MISMATCH', `layer ${descriptor.digest} holds ${found}, not ${diffId}`, {
    hint: 'the image is damaged; pull it again',
  });
}

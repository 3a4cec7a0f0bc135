import { type CallOptions, canonicalJson, type Image, mediaTypes, parseDiffId, sha256 } from '../../core/index.ts';
import { mergedEntries } from '../../runtime/index.ts';
import { writeLayer } from '../workshop/layers.ts';
import type { Workshop } from '../workshop/workshop.ts';

type Layer = Image['layers'][number];

/** Several neighbouring layers as one with the same effect; made once. All must be uncompressed in the store. */
export async function mergedLayer(workshop: Workshop, layers: readonly Layer[], options: CallOptions): Promise<Layer> {
  const { records, content } = workshop;
  const key = sha256(canonicalJson(layers.map(({ diffId }) => diffId)));
  const known = parseMerged(await records.read('merged-v1', key));
  if (known !== undefined && (await content.has(known.descriptor, options))) return known;
  const files = layers.map(({ diffId }) => content.blobFile(diffId));
  const written = await writeLayer(workshop, mergedEntries(files, { isComplete: false, ...options }), options);
  if (written === undefined) throw new TypeError('merged layers came out empty');
  const { diffId, descriptor } = written.layer;
  await records.write('merged-v1', key, { diffId, size: descriptor.size });
  return written.layer;
}

function parseMerged(record: unknown): Layer | undefined {
  if (typeof record !== 'object' || record === null || !('diffId' in record) || !('size' in record)) return undefined;
  const { diffId, size } = record;
  if (typeof size !== 'number' || typeof diffId !== 'string') return undefined;
  const digest = parseDiffId(diffId);
  return { diffId: digest, descriptor: { mediaType: mediaTypes.layer, digest, size } };
}

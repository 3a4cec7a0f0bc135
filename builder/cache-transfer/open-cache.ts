import { pipeline } from 'node:stream/promises';
import {
  type CallOptions,
  type Descriptor,
  type DiffId,
  formatReference,
  layerCompression,
  maxManifestBytes,
  mediaTypes,
  parseManifest,
  type ReadableContent,
  type Resolver,
  readVerified,
  ToolError,
  verifying,
  withDefaultTag,
} from '../../core/index.ts';
import { OciLayout } from '../../registry/index.ts';
import { decompressed } from '../../runtime/index.ts';
import type { CachedResult } from '../workshop/step-cache.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { type CachePlace, localCacheName } from './cache-place.ts';
import { cacheArtifactType, cacheRecordsType, maxCacheRecordsBytes, parseCacheRecords } from './cache-records.ts';
import type { CacheSource } from './cache-source.ts';

/** A cache that was opened: its records are here, its layers where they were. */
interface OpenedCache {
  readonly content: ReadableContent;
  readonly results: ReadonlyMap<string, CachedResult>;
  readonly blobs: ReadonlyMap<DiffId, Descriptor>;
}

/**
 * A cache elsewhere. It is asked for its records when the first result is missing here, and for a layer when that is
 * wanted. One that is missing, damaged or out of reach is a warning, once, and has nothing. What it says of a key is
 * believed; that a layer is the one it names is verified.
 */
export function cacheSource(workshop: Workshop, place: CachePlace): CacheSource {
  const name = placeText(place);
  let opening: Promise<OpenedCache | undefined> | undefined;
  const warn = (what: string, error: unknown): void => {
    const why = error instanceof Error ? error.message : String(error);
    workshop.options.onWarning(`cache ${name}: ${what}: ${why}`);
  };
  const opened = async (options: CallOptions): Promise<OpenedCache | undefined> => {
    opening ??= openCache(workshop, place, options).catch((error: unknown) => {
      options.signal?.throwIfAborted();
      warn('not used', error);
      return undefined;
    });
    return opening;
  };
  return {
    async find(key, options = {}) {
      return (await opened(options))?.results.get(key);
    },
    async fetchLayer({ diffId, size }, options = {}) {
      const cache = await opened(options);
      const blob = cache?.blobs.get(diffId);
      if (cache === undefined || blob === undefined) return false;
      try {
        await fetchLayer(workshop, cache.content, blob, { diffId, size }, options);
        return true;
      } catch (error) {
        options.signal?.throwIfAborted();
        warn(`layer ${diffId} not used`, error);
        return false;
      }
    },
  };
}

/** What a user calls it. */
export function placeText(place: CachePlace): string {
  return place.kind === 'local' ? place.folder : formatReference(withDefaultTag(place.reference));
}

async function openCache(workshop: Workshop, place: CachePlace, options: CallOptions): Promise<OpenedCache> {
  const { content, name } = await openPlace(workshop, place);
  const root = await content.resolve(name, options);
  const { signal } = options;
  const manifest = parseManifest(await readVerified(content, root, { signal, maxBytes: maxManifestBytes }));
  if (manifest.artifactType !== cacheArtifactType || manifest.config.mediaType !== cacheRecordsType) {
    throw new ToolError('CACHE_INVALID', 'what is there is no cache of Kiln’s', {
      hint: 'images hold no cache; export one with --cache-to',
    });
  }
  const bytes = await readVerified(content, manifest.config, { signal, maxBytes: maxCacheRecordsBytes });
  const { records, layers } = parseCacheRecords(bytes);
  if (layers.length !== manifest.layers.length) throw new ToolError('CACHE_INVALID', 'layers and records do not fit');
  const blobs = new Map<DiffId, Descriptor>();
  for (const [index, { diffId }] of layers.entries()) {
    const blob = manifest.layers[index];
    if (blob !== undefined) blobs.set(diffId, blob);
  }
  return { content, blobs, results: new Map(records.map(({ key, result }) => [key, result])) };
}

async function openPlace(
  workshop: Workshop,
  place: CachePlace,
): Promise<{ readonly content: ReadableContent & Resolver; readonly name: string }> {
  if (place.kind === 'local') return { content: await OciLayout.openReadOnly(place.folder), name: localCacheName };
  const reference = withDefaultTag(place.reference);
  return { content: workshop.repository(reference), name: reference.digest ?? reference.tag ?? 'latest' };
}

/** The blob is verified by its digest before it is decompressed to the end, the tar by its own before it is kept. */
async function fetchLayer(
  workshop: Workshop,
  content: ReadableContent,
  blob: Descriptor,
  { diffId, size }: Required<CachedResult>,
  { signal }: CallOptions,
): Promise<void> {
  const compression = layerCompression(blob.mediaType);
  if (compression === undefined) throw new ToolError('CACHE_INVALID', `a layer has the type ${blob.mediaType}`);
  const checked = verifying(blob);
  const feeding = pipeline(await content.read(blob, { signal }), checked, { signal });
  const tar = decompressed(checked, compression, { signal });
  // The tar may have no more bytes than its result says: nothing small can fill the disk.
  const writing = workshop.content.write({ mediaType: mediaTypes.layer, digest: diffId, size }, tar, { signal });
  const [written] = await Promise.allSettled([writing.finally(() => checked.destroy()), feeding]);
  if (written.status === 'rejected') throw written.reason;
}

import { readdir, rmdir } from 'node:fs/promises';
import path from 'node:path';
import {
  type CacheKey,
  type CallOptions,
  type Descriptor,
  type DiffId,
  describe,
  errorCode,
  formatPlatform,
  LockFolder,
  type Manifest,
  mediaTypes,
  parseManifest,
  type ReadableContent,
  readVerified,
  serializeImageConfig,
  serializeManifest,
  streamOf,
  type Target,
  ToolError,
  withDefaultTag,
} from '../../core/index.ts';
import {
  type CopyEvent,
  compressedImage,
  copyImage,
  type LayerDestination,
  memoryTarget,
  OciLayout,
} from '../../registry/index.ts';
import { compressedLayers } from '../base/compressed-layers.ts';
import type { BuildRequest, BuildResult } from '../engine/build-images.ts';
import type { Plan } from '../plan/plan.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { type CacheDestination, type CachePlace, localCacheName } from './cache-place.ts';
import {
  type CacheContent,
  type CacheLayer,
  type CacheRecord,
  cacheArtifactType,
  cacheRecordsType,
  serializeCacheRecords,
} from './cache-records.ts';

export interface ExportedCache {
  readonly descriptor: Descriptor;
  readonly results: number;
  readonly layers: number;
}

/**
 * Puts the results of a build's steps where other machines find them. The same results give the same bytes; what is
 * there already is not sent again.
 * @throws ToolError REGISTRY_*, LAYOUT_INVALID
 */
export async function exportCache(
  workshop: Workshop,
  request: Pick<BuildRequest, 'plans'>,
  result: Pick<BuildResult, 'trace' | 'targets'>,
  { place, mode, compression }: CacheDestination,
  options: CallOptions & { readonly onEvent?: (event: CopyEvent) => void } = {},
): Promise<ExportedCache> {
  const { signal, onEvent } = options;
  const content = await collect(workshop, keysOf(request.plans, result, mode), options);
  await using scratch = await (await workshop.scratch()).make('cache');
  const send = async (target: LayerDestination): Promise<Descriptor> => {
    const view = await layersView(workshop, content.layers, {
      signal,
      compression,
      scratch: scratch.path,
      destination: target,
      ...(onEvent === undefined ? {} : { onEvent }),
    });
    const { own, root } = await cacheManifest(content, view.layers);
    return copyImage(either(own, view.content), target, root, {
      signal,
      ...(onEvent === undefined ? {} : { onEvent }),
    });
  };
  const descriptor = await sendTo(workshop, place, send, options);
  return { descriptor, results: content.records.length, layers: content.layers.length };
}

async function sendTo(
  workshop: Workshop,
  place: CachePlace,
  send: (target: LayerDestination) => Promise<Descriptor>,
  options: CallOptions,
): Promise<Descriptor> {
  if (place.kind === 'registry') {
    const reference = withDefaultTag(place.reference);
    const remote = workshop.repository(reference);
    const descriptor = await send(remote);
    await remote.tag(descriptor, reference.tag ?? 'latest', options);
    return descriptor;
  }
  await requireCacheFolder(place.folder);
  // In the folder itself: builds with stores of their own may write into one.
  const locks = new LockFolder(path.join(place.folder, '.lock'));
  const layout = await OciLayout.open(place.folder, { locks });
  await using _alone = await locks.acquire('cache', 'exclusive', options);
  const descriptor = await send(layout);
  await layout.tag(descriptor, localCacheName, options);
  // The name was the moment of change; what only the cache before it needed goes now, so that the folder never grows
  // beyond what it is good for.
  const blobs = (await layout.blobs(options)).map(({ digest }) => digest);
  await layout.removeBlobs(blobs, { ...options, usedBeforeMs: Number.POSITIVE_INFINITY });
  await rmdir(path.join(place.folder, '.incoming')).catch(() => undefined);
  return descriptor;
}

/** What a layout has that somebody else is making, or was when it was killed. */
const beginnings = /^(?:blobs|index\.json|\.lock|\.incoming|\.(?:index\.json|oci-layout)\.[0-9a-f]{12})$/;

/**
 * That a folder can take a cache: there is none yet, or it is empty, or a layout.
 * @throws ToolError USAGE_CACHE
 */
export async function requireCacheFolder(folder: string): Promise<void> {
  try {
    const names = await readdir(folder);
    if (names.includes('oci-layout') || names.every((name) => beginnings.test(name))) return;
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') return;
    throw new ToolError('USAGE_CACHE', `${folder} cannot take a cache (${errorCode(cause)})`, { cause });
  }
  throw new ToolError('USAGE_CACHE', `${folder} is neither empty nor a cache`, {
    hint: 'name a folder that does not exist yet',
  });
}

/** Keys of the build, each once: of all its stages, or of those that the targets are made of. */
function keysOf(
  plans: readonly Plan[],
  { trace, targets }: Pick<BuildResult, 'trace' | 'targets'>,
  mode: CacheDestination['mode'],
): ReadonlySet<CacheKey> {
  const stages = new Set(plans.flatMap((plan) => targets.flatMap(({ target }) => stagesUnder(plan, target))));
  const isWanted = ({ stage, platform }: { readonly stage: string; readonly platform: string }) =>
    mode === 'max' || stages.has(`${platform} ${stage}`);
  return new Set([...trace.steps, ...trace.merges].filter(isWanted).map(({ key }) => key));
}

/** A target and the stages it goes on from, as the trace calls them. */
function stagesUnder(plan: Plan, target: string): string[] {
  const stages: string[] = [];
  for (let name: string | undefined = target; name !== undefined; ) {
    stages.push(`${formatPlatform(plan.platform)} ${name}`);
    const base = plan.stages.find((stage) => stage.name === name)?.base;
    name = base?.kind === 'stage' ? base.stage : undefined;
  }
  return stages;
}

/** What is on record for the keys, with layers that are here. */
async function collect(workshop: Workshop, keys: Iterable<CacheKey>, options: CallOptions): Promise<CacheContent> {
  const records: CacheRecord[] = [];
  const layers = new Map<DiffId, CacheLayer>();
  for (const key of [...keys].sort()) {
    const [result, preimage] = [await workshop.cache.find(key), await workshop.cache.preimageOf(key)];
    if (result === undefined || preimage === undefined) continue;
    const { diffId, size } = result;
    if (diffId !== undefined) {
      if (!(await workshop.content.has({ mediaType: mediaTypes.layer, digest: diffId, size }, options))) continue;
      layers.set(diffId, { diffId, size });
    }
    records.push({ key, preimage, result });
  }
  return { records, layers: [...layers.values()].sort((a, b) => (a.diffId < b.diffId ? -1 : 1)) };
}

/** Layers of the store as they are sent: their descriptors in the same order, and where their bytes are. */
async function layersView(
  workshop: Workshop,
  layers: readonly CacheLayer[],
  options: CallOptions & {
    readonly compression: CacheDestination['compression'];
    readonly scratch: string;
    readonly destination: LayerDestination;
    readonly onEvent?: (event: CopyEvent) => void;
  },
): Promise<{ readonly layers: readonly Descriptor[]; readonly content: ReadableContent }> {
  const { content, options: shop } = workshop;
  const descriptors = layers.map(({ diffId, size }) => ({ mediaType: mediaTypes.layer, digest: diffId, size }));
  if (options.compression === 'uncompressed' || layers.length === 0) return { layers: descriptors, content };
  // Compression speaks of images: these layers are one, for as long as it takes.
  const config = serializeImageConfig({
    ...shop.platform,
    config: {},
    diffIds: layers.map(({ diffId }) => diffId),
    history: [],
  });
  const own = memoryTarget();
  const root = await put(own, mediaTypes.manifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: await putBytes(own, mediaTypes.config, config),
    layers: descriptors,
  });
  const view = await compressedImage(either(own, content), root, {
    signal: options.signal,
    scratch: async () => options.scratch,
    platform: shop.platform,
    destination: options.destination,
    remembered: compressedLayers(workshop),
    ...(options.onEvent === undefined ? {} : { onEvent: options.onEvent }),
  });
  const manifest = parseManifest(await readVerified(view.content, view.root, { signal: options.signal }));
  return { layers: manifest.layers, content: view.content };
}

async function cacheManifest(
  content: CacheContent,
  layers: readonly Descriptor[],
): Promise<{ readonly own: Target; readonly root: Descriptor }> {
  const own = memoryTarget();
  const config = await putBytes(own, cacheRecordsType, serializeCacheRecords(content));
  const root = await put(own, mediaTypes.manifest, {
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    artifactType: cacheArtifactType,
    config,
    layers: layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
  });
  return { own, root };
}

function put(target: Target, mediaType: string, manifest: Manifest): Promise<Descriptor> {
  return putBytes(target, mediaType, serializeManifest(manifest));
}

async function putBytes(target: Target, mediaType: string, bytes: Uint8Array): Promise<Descriptor> {
  const descriptor = describe(mediaType, bytes);
  await target.write(descriptor, streamOf(bytes));
  return descriptor;
}

/** The first place where it is has the say. */
function either(first: ReadableContent, second: ReadableContent): ReadableContent {
  return {
    has: async (descriptor, options) => (await first.has(descriptor, options)) || second.has(descriptor, options),
    read: async (descriptor, options) =>
      (await first.has(descriptor, options)) ? first.read(descriptor, options) : second.read(descriptor, options),
  };
}

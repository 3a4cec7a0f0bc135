import { isDeepStrictEqual } from 'node:util';
import { layersAnnotation, sourcesAnnotation } from '../../builder/index.ts';
import {
  asRecord,
  type ContainerDefaults,
  canonicalJson,
  type Descriptor,
  type Digest,
  describe,
  type HistoryEntry,
  type Image,
  type Manifest,
  mediaTypes,
  serializeManifest,
} from '../../core/index.ts';
import { baseDigestAnnotation, baseNameAnnotation } from '../sources.ts';

/** A base as it is written on an image. */
export interface RecordedBase {
  readonly name?: string;
  readonly digest: Digest;
}

export interface RebasedParts {
  readonly image: Image;
  /** The image's config as it is, byte for byte: what Kiln does not know in it stays. */
  readonly rawConfig: Uint8Array;
  readonly old: { readonly image: Image; readonly record: RecordedBase };
  readonly fresh: { readonly image: Image; readonly record: RecordedBase };
  readonly config: ContainerDefaults;
}

/** Documents of an image on another base; its layers are blobs that there are. */
export interface RebasedImage {
  readonly descriptor: Descriptor;
  readonly manifest: Uint8Array;
  readonly config: { readonly descriptor: Descriptor; readonly bytes: Uint8Array };
  /** Lowest first: the new base's, then the image's own. */
  readonly layers: Image['layers'];
}

/** The same parts give the same bytes: nothing is asked for the time. */
export function rebasedImage(parts: RebasedParts): RebasedImage {
  const { image, old, fresh } = parts;
  const own = image.layers.slice(old.image.layers.length);
  const layers = [...fresh.image.layers, ...own];
  const configBytes = rebasedConfig(parts, layers);
  const config = describe(image.manifest.config.mediaType, configBytes);
  const annotations = rebasedAnnotations(parts);
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: image.manifest.mediaType,
    ...(image.manifest.artifactType === undefined ? {} : { artifactType: image.manifest.artifactType }),
    config,
    layers: [
      ...fresh.image.layers.map(({ descriptor }) => fitting(descriptor, image.manifest.mediaType)),
      ...image.manifest.layers.slice(old.image.layers.length),
    ],
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
  const bytes = serializeManifest(manifest);
  return {
    descriptor: describe(manifest.mediaType, bytes),
    manifest: bytes,
    config: { descriptor: config, bytes: configBytes },
    layers,
  };
}

function rebasedConfig({ image, rawConfig, old, fresh, config }: RebasedParts, layers: Image['layers']): Uint8Array {
  const raw = asRecord(JSON.parse(Buffer.from(rawConfig).toString('utf8')), 'an image config');
  const before = asRecord(raw.config ?? {}, 'config');
  const merged: ContainerDefaults = { ...config, ...rebasedLabels(config.Labels, fresh.record) };
  const defaults: Record<string, unknown> = { ...before };
  for (const key of defaultKeys) {
    if (merged[key] === undefined) delete defaults[key];
    else defaults[key] = merged[key];
  }
  const history = rebasedHistory(image, old.image, fresh.image);
  const document = {
    ...raw,
    config: defaults,
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: history.length === 0 ? undefined : history,
  };
  return new TextEncoder().encode(JSON.stringify(document));
}

/** What `ContainerDefaults` has: such a key goes when the merge has no value for it. */
const defaultKeys = [
  'User',
  'ExposedPorts',
  'Env',
  'Entrypoint',
  'Cmd',
  'Volumes',
  'WorkingDir',
  'Labels',
  'StopSignal',
  'Healthcheck',
  'Shell',
] as const satisfies readonly (keyof ContainerDefaults)[];

/** The new base's lines, then the image's own; none at all where the image's do not tell its layers apart. */
function rebasedHistory(image: Image, old: Image, fresh: Image): HistoryEntry[] {
  const own = ownHistory(image, old);
  const lines = [...fresh.config.history, ...own];
  const count = lines.filter((line) => line.empty_layer !== true).length;
  return count === fresh.layers.length + image.layers.length - old.layers.length ? lines : [];
}

function ownHistory({ config: { history } }: Image, old: Image): readonly HistoryEntry[] {
  const base = old.config.history;
  const isPrefix = base.length > 0 || old.layers.length === 0;
  if (isPrefix && base.every((line, index) => isDeepStrictEqual(line, history[index])))
    return history.slice(base.length);
  let layers = 0;
  const last = history.findIndex((line) => line.empty_layer !== true && ++layers === old.layers.length);
  return history.slice(last + 1);
}

function rebasedAnnotations({ image, old, fresh }: RebasedParts): Record<string, string> {
  const { annotations } = image;
  const { record } = fresh;
  const sources = annotations[sourcesAnnotation];
  const layers = annotations[layersAnnotation];
  return {
    ...annotations,
    ...(record.name === undefined ? {} : { [baseNameAnnotation]: record.name }),
    [baseDigestAnnotation]: record.digest,
    ...(sources === undefined ? {} : { [sourcesAnnotation]: rebasedSources(sources, old.record, record) }),
    ...(layers === undefined
      ? {}
      : { [layersAnnotation]: rebasedOrigins(layers, old.image.layers.length, fresh.image.layers.length, record) }),
  };
}

/** What Kiln built an image from: the base's record becomes the new one. A text that is no list stays as it is. */
function rebasedSources(text: string, old: RecordedBase, { name, digest }: RecordedBase): string {
  const list = listOf(text);
  if (list === undefined || name === undefined) return text;
  const isOld = (item: unknown) =>
    isRecord(item) && item.digest === old.digest && (old.name === undefined || item.name === old.name);
  const records = [...list.filter((item) => !isOld(item)), { name, digest }];
  const unique = new Map(records.map((item) => [canonicalJson(item), item]));
  return canonicalJson([...unique.keys()].sort().map((key) => unique.get(key)));
}

/** Which step made which layer: as many elements for the base as the new one has layers. */
function rebasedOrigins(text: string, before: number, after: number, { name, digest }: RecordedBase): string {
  const list = listOf(text);
  const first = list?.[0];
  if (list === undefined || list.length < before || !isRecord(first)) return text;
  const base = { ...first, kind: 'base', steps: [`FROM ${name ?? digest}`] };
  return canonicalJson([...Array.from({ length: after }, () => base), ...list.slice(before)]);
}

/** Builders that write no annotations write labels. */
function rebasedLabels(
  labels: ContainerDefaults['Labels'],
  { name, digest }: RecordedBase,
): Pick<ContainerDefaults, 'Labels'> {
  if (labels === undefined) return {};
  const has = (key: string) => Object.hasOwn(labels, key);
  return {
    Labels: {
      ...labels,
      ...(name !== undefined && has(baseNameAnnotation) ? { [baseNameAnnotation]: name } : {}),
      ...(has(baseDigestAnnotation) ? { [baseDigestAnnotation]: digest } : {}),
    },
  };
}

const ociTypes: Readonly<Record<string, string>> = {
  [mediaTypes.dockerLayer]: mediaTypes.layer,
  [mediaTypes.dockerLayerGzip]: mediaTypes.layerGzip,
};
const dockerTypes: Readonly<Record<string, string>> = {
  [mediaTypes.layer]: mediaTypes.dockerLayer,
  [mediaTypes.layerGzip]: mediaTypes.dockerLayerGzip,
};

/** The same blob under the name that manifests of this kind have for it; zstd has none in Docker's. */
function fitting({ mediaType, digest, size }: Descriptor, manifestType: string): Descriptor {
  const names = manifestType === mediaTypes.dockerManifest ? dockerTypes : ociTypes;
  return { mediaType: names[mediaType] ?? mediaType, digest, size };
}

function listOf(text: string): unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

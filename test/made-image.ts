import { gzipSync } from 'node:zlib';
import type { ImagePlace } from '../builder/index.ts';
import {
  type ContainerDefaults,
  type Descriptor,
  type Digest,
  describe,
  type HistoryEntry,
  mediaTypes,
  openImage,
  type Platform,
  parseDiffId,
  platformOf,
  serializeImageConfig,
  serializeManifest,
  sha256,
  streamOf,
  type Target,
} from '../core/index.ts';
import { memoryTarget } from '../registry/index.ts';
import type { Entry } from '../runtime/index.ts';
import { tarOf } from '../runtime/layer/odd-layers.testing.ts';

export interface MadeImageOptions {
  readonly config?: ContainerDefaults;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: Platform;
  readonly history?: readonly HistoryEntry[];
  readonly gzip?: boolean;
  readonly isNear?: boolean;
  /** Where it is written; a place of its own unless given. */
  readonly target?: Target;
}

/** An image in memory. */
export interface MadeImage extends ImagePlace {
  readonly root: Descriptor;
  readonly target: Target;
  /** Digests of what was read, in order. */
  readonly reads: Digest[];
}

/** Writes an image whose layers have these entries, lowest first. */
export async function madeImage(
  layers: readonly (readonly Entry[])[],
  options: MadeImageOptions = {},
): Promise<MadeImage> {
  const target = options.target ?? memoryTarget();
  const write = async (mediaType: string, bytes: Uint8Array) => {
    const descriptor = describe(mediaType, bytes);
    await target.write(descriptor, streamOf(bytes));
    return descriptor;
  };
  const written: Descriptor[] = [];
  const diffIds: Digest[] = [];
  for (const entries of layers) {
    const tar = await tarOf(entries);
    diffIds.push(sha256(tar));
    written.push(
      await write(options.gzip ? mediaTypes.layerGzip : mediaTypes.layer, options.gzip ? gzipSync(tar) : tar),
    );
  }
  const platform = options.platform ?? platformOf(process.arch);
  const config = serializeImageConfig({
    ...platform,
    created: '1970-01-01T00:00:01Z',
    config: options.config ?? {},
    diffIds: diffIds.map(parseDiffId),
    history: options.history ?? layers.map((_, index) => ({ created_by: `layer ${index + 1}` })),
  });
  const { annotations } = options;
  const manifest = serializeManifest({
    schemaVersion: 2,
    mediaType: mediaTypes.manifest,
    config: await write(mediaTypes.config, config),
    layers: written,
    ...(annotations === undefined ? {} : { annotations }),
  });
  const root = await write(mediaTypes.manifest, manifest);
  const reads: Digest[] = [];
  const content: ImagePlace['content'] = {
    has: (descriptor, call) => target.has(descriptor, call),
    read: (descriptor, call) => {
      reads.push(descriptor.digest);
      return target.read(descriptor, call);
    },
  };
  const image = await openImage(target, root, { platform });
  return { image, content, isNear: options.isNear ?? true, root, target, reads };
}

/** What a dpkg that has these packages says: `{ unzip: '6.0-28' }`. */
export function dpkgStatus(packages: Readonly<Record<string, string>>): string {
  return Object.entries(packages)
    .map(
      ([name, version]) => `Package: ${name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: ${version}\n`,
    )
    .join('\n');
}

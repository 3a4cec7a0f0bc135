import type { BuildResult, BuiltTarget } from '../builder/index.ts';
import {
  type CallOptions,
  type Descriptor,
  formatPlatform,
  maxManifestBytes,
  parseManifest,
  readVerified,
} from '../core/index.ts';
import type { OciLayout } from '../registry/index.ts';

/** Registry's descriptors of names that were pushed. */
export type PushedNames = ReadonlyMap<string, Descriptor>;

/**
 * `--metadata-file`: BuildKit's keys, and under `kiln` what each image is made of. Several targets stand under their
 * names. What was pushed is given by the registry's digest, which is what one pulls by.
 */
export async function buildMetadata(
  content: OciLayout,
  { targets, steps, cachedSteps }: BuildResult,
  pushed: PushedNames,
  options: CallOptions,
): Promise<string> {
  const described = await Promise.all(
    targets.map(async (target) => [target.target, await targetMetadata(content, target, pushed, options)] as const),
  );
  const [only] = described;
  const counts = { steps, cachedSteps };
  const document =
    described.length === 1 && only !== undefined
      ? { ...only[1], kiln: { ...only[1].kiln, ...counts } }
      : { ...Object.fromEntries(described), kiln: counts };
  return `${JSON.stringify(document, null, 2)}\n`;
}

async function targetMetadata(
  content: OciLayout,
  { target, descriptor, names, images }: BuiltTarget,
  pushed: PushedNames,
  options: CallOptions,
) {
  const there = names.flatMap((name) => pushed.get(name) ?? [])[0] ?? descriptor;
  const platforms = await Promise.all(images.map((image) => platformMetadata(content, image, options)));
  const [only] = platforms;
  const { mediaType, digest, size } = there;
  return {
    ...(platforms.length === 1 && only !== undefined ? { 'containerimage.config.digest': only.configDigest } : {}),
    'containerimage.descriptor': { mediaType, digest, size },
    'containerimage.digest': digest,
    ...(names.length === 0 ? {} : { 'image.name': names.join(',') }),
    kiln: {
      target,
      digest: descriptor.digest,
      names,
      pushed: Object.fromEntries(names.flatMap((name) => (pushed.has(name) ? [[name, pushed.get(name)?.digest]] : []))),
      platforms,
    },
  };
}

async function platformMetadata(
  content: OciLayout,
  { platform, descriptor, end }: BuiltTarget['images'][number],
  { signal }: CallOptions,
) {
  const manifest = parseManifest(await readVerified(content, descriptor, { signal, maxBytes: maxManifestBytes }));
  return {
    platform: formatPlatform(platform),
    digest: descriptor.digest,
    configDigest: manifest.config.digest,
    ...(end.base === undefined ? {} : { base: end.base }),
    layers: end.layers.map((layer, index) => ({
      diffId: layer.diffId,
      digest: layer.descriptor.digest,
      size: layer.descriptor.size,
      ...end.origins[index],
    })),
  };
}

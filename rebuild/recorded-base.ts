import {
  type CallOptions,
  type Descriptor,
  type Digest,
  type Image,
  isIndexType,
  maxManifestBytes,
  parseIndex,
  type ReadableContent,
  readVerified,
} from '../core/index.ts';
import { recordedBase } from './sources.ts';

/**
 * What an image says it lies on: its manifest, else the index it came out of, else its labels; undefined when it does not.
 * @param root what the image's name means: its manifest, or an index
 */
export async function readRecordedBase(
  { content, root }: { readonly content: Pick<ReadableContent, 'read'>; readonly root: Descriptor },
  image: Image,
  options: CallOptions,
): Promise<{ readonly name: string; readonly digest?: Digest } | undefined> {
  const own = recordedBase(image.annotations);
  if (own !== undefined) return own;
  if (isIndexType(root.mediaType)) {
    const bytes = await readVerified(content, root, { signal: options.signal, maxBytes: maxManifestBytes });
    const said = recordedBase(parseIndex(bytes).annotations ?? {});
    if (said !== undefined) return said;
  }
  return recordedBase(labelsOf(image));
}

/** Labels come out of JSON that anybody wrote. */
function labelsOf({ config }: Image): Record<string, string> {
  const texts = Object.entries(config.config.Labels ?? {}).filter(([, value]) => typeof value === 'string');
  return Object.fromEntries(texts);
}

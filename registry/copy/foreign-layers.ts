import type { Readable } from 'node:stream';
import {
  type CallOptions,
  type Descriptor,
  type ReadableContent,
  type ReadOptions,
  ToolError,
} from '../../core/index.ts';

/**
 * What happens to layers that their licence forbids to redistribute: they stay where their `urls` say, a copy without
 * them fails, or they are fetched from there. image-spec, layer.md#non-distributable-layers
 */
export type ForeignLayers = 'leave' | 'refuse' | ForeignLayerSource;

export interface ForeignLayerSource {
  /**
   * @param url one of the layer's `urls`, with https
   * @param options.size of the whole layer, in bytes
   */
  open(url: URL, options: ReadOptions & { readonly size: number }): Promise<Readable>;
}

/** The content with its foreign layers: from the place itself where it has them, else as it is allowed. */
export function foreignContent(source: ReadableContent, allowed: ForeignLayers): ReadableContent {
  return {
    has: (descriptor, options) => source.has(descriptor, options),
    async read(descriptor, options = {}) {
      if (await source.has(descriptor, callOf(options))) return source.read(descriptor, options);
      const urls = safeUrls(descriptor);
      if (typeof allowed === 'string') throw notAllowed(descriptor, urls);
      return readFirst(descriptor, urls, allowed, options);
    },
  };
}

async function readFirst(
  descriptor: Descriptor,
  urls: readonly URL[],
  from: ForeignLayerSource,
  options: ReadOptions,
): Promise<Readable> {
  let failure: unknown;
  for (const url of urls) {
    try {
      return await from.open(url, { ...options, size: descriptor.size });
    } catch (error) {
      options.signal?.throwIfAborted();
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
  throw new ToolError(
    'LAYER_FOREIGN',
    `the layer ${descriptor.digest} is not to be redistributed, and names no https address to fetch it from`,
  );
}

/** Only https, and nothing that would carry a password. */
function safeUrls({ urls = [] }: Descriptor): URL[] {
  const parsed = urls.slice(0, 10).flatMap((text) => (URL.canParse(text) ? [new URL(text)] : []));
  return parsed.filter((url) => url.protocol === 'https:' && url.username === '' && url.password === '');
}

function notAllowed({ digest }: Descriptor, urls: readonly URL[]): ToolError {
  const hosts = [...new Set(urls.map(({ host }) => host))];
  const where = hosts.length === 0 ? '' : `; its publisher has it at ${hosts.join(', ')}`;
  return new ToolError(
    'LAYER_FOREIGN',
    `the layer ${digest} is not to be redistributed and not in this place${where}`,
    {
      hint: 'allow to fetch it from there with --foreign-layers',
    },
  );
}

function callOf({ signal }: CallOptions): CallOptions {
  return { signal };
}

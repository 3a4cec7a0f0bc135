import path from 'node:path';
import type { ImagePlace } from '../builder/index.ts';
import {
  type CallOptions,
  type Descriptor,
  LockFolder,
  openImage,
  type Platform,
  type ReadableContent,
  type Resolver,
  ScratchSpace,
} from '../core/index.ts';
import {
  type OciLayout,
  type OpenedSource,
  openSource,
  type Place,
  parsePlace,
  type RemoteOptions,
} from '../registry/index.ts';
import type { Context } from './context.ts';
import { type RegistryFlags, remoteOptions } from './registry-flags.ts';
import { findImageHere } from './short-names.ts';
import { homeOf, makeHome, openContent } from './store.ts';

/** What verbs that look into images work with. */
export interface ImageTools extends AsyncDisposable, CallOptions {
  readonly context: Context;
  readonly remote: RemoteOptions;
  readonly store: OciLayout;
  /** A new, empty folder, gone with the tools. */
  scratch(): Promise<string>;
}

export async function openImageTools(context: Context, flags: Partial<RegistryFlags>): Promise<ImageTools> {
  const home = await makeHome(homeOf(context));
  const store = await openContent(context);
  let space: Promise<ScratchSpace> | undefined;
  return {
    context,
    remote: remoteOptions(context, flags),
    store,
    signal: context.signal,
    async scratch() {
      space ??= ScratchSpace.open(path.join(home, 'tmp'), new LockFolder(path.join(home, 'locks')), context);
      return (await (await space).make('images')).path;
    },
    async [Symbol.asyncDispose]() {
      await (await space)?.[Symbol.asyncDispose]();
    },
  };
}

/** An image that a command line names, with the source it is in. */
export interface FoundPlace extends AsyncDisposable {
  readonly place: Place;
  readonly content: ReadableContent & Resolver;
  readonly root: Descriptor;
  readonly name: string;
}

/**
 * A bare name is one of the store, also a short one that means another in full on this machine.
 * @throws as `parsePlace` and `openSource`
 */
export async function findPlace(text: string, tools: ImageTools): Promise<FoundPlace> {
  const { context, store, signal } = tools;
  const place = parsePlace(text, 'store');
  if (place.kind === 'store') {
    const { descriptor, name } = await findImageHere(context, store, place.name, { signal });
    return {
      place,
      content: store,
      root: descriptor,
      name: name ?? descriptor.digest,
      async [Symbol.asyncDispose]() {},
    };
  }
  const source: OpenedSource = await openSource(place, tools);
  return {
    place,
    content: place.kind === 'registry' ? nearFirst(store, source.content) : source.content,
    root: source.root,
    name: source.name,
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}

/** The image of one platform, as what looks into images takes it. */
export async function imagePlace(
  { content, root, place }: Pick<FoundPlace, 'content' | 'root' | 'place'>,
  platform: Platform,
  { store, signal }: ImageTools,
): Promise<ImagePlace> {
  const image = await openImage(content, root, { signal, platform });
  let isNear = true;
  for (const { descriptor } of place.kind === 'registry' ? image.layers : []) {
    isNear = isNear && (await store.has(descriptor, { signal }));
  }
  return { image, content, isNear };
}

/** What the store has need not be downloaded; bytes are verified wherever they come from. */
function nearFirst(store: OciLayout, remote: ReadableContent & Resolver): ReadableContent & Resolver {
  return {
    has: (descriptor, options) => remote.has(descriptor, options),
    resolve: (reference, options) => remote.resolve(reference, options),
    read: async (descriptor, options) =>
      (await store.has(descriptor, options)) ? store.read(descriptor, options) : remote.read(descriptor, options),
  };
}

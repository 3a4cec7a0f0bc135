import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline, type Readable } from 'node:stream';
import {
  type CallOptions,
  type DiffId,
  type Image,
  InFlight,
  layerCompression,
  type ReadableContent,
  ToolError,
  verifying,
} from '../../core/index.ts';
import { type ByteString, decompressed, type ListedEntry, listLayer } from '../../runtime/index.ts';

/** One platform's image, and where its layers are read. */
export interface ImagePlace {
  readonly image: Image;
  readonly content: ReadableContent;
  /** Its layers lie on this machine: to read them moves nothing. */
  readonly isNear: boolean;
}

/** Content that is looked into, by the end of its path: how much of it at most. */
const keptFiles: readonly (readonly [RegExp, number])[] = [
  [/(?:^|\/)os-release$/, 64 * 1024],
  [/(?:^|\/)dpkg\/(?:status|status\.d\/[^/]+)$/, 128 * 1024 * 1024],
  [/(?:^|\/)apk\/db\/installed$/, 128 * 1024 * 1024],
  [/(?:^|\/)rpm\/(?:rpmdb\.sqlite(?:-wal)?|Packages\.db)$/, 512 * 1024 * 1024],
];
/** Of all layers; more is an attack. */
const maxKeptFiles = 50_000;
const maxKeptBytes = 2 * 1024 * 1024 * 1024;
/** Of all layers together: three times the largest image known. Each takes between one and two kB of memory. */
const maxEntries = 1_500_000;

/** What layers say, each read once. Databases of packages are kept beside, in a folder of the caller's. */
export class LayerLists {
  readonly #folder: string;
  readonly #known = new Map<DiffId, readonly ListedEntry[]>();
  readonly #reading = new InFlight<readonly ListedEntry[]>();
  #entries = 0;
  #keptFiles = 0;
  #keptBytes = 0;

  /** @param folder empty, and the caller's to remove */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** @throws IntegrityError; ToolError LAYER_*; what the place throws */
  async of(place: Omit<ImagePlace, 'image'>, layer: Image['layers'][number], options: CallOptions) {
    const { diffId } = layer;
    const known = this.#known.get(diffId);
    if (known !== undefined) return known;
    return this.#reading.run(diffId, async () => {
      const tar = await openLayer(place, layer, options);
      const listed = await listLayer(tar, {
        ...options,
        diffId,
        keep: (file, size) => this.#keep(file, size),
        onEntry: () => this.#count(),
      });
      this.#known.set(diffId, listed);
      return listed;
    });
  }

  async all(place: Omit<ImagePlace, 'image'>, layers: Image['layers'], options: CallOptions) {
    const lists: (readonly ListedEntry[])[] = [];
    // One after the other: together they would only wait for the same disk, network and processor.
    for (const layer of layers) lists.push(await this.of(place, layer, options));
    return lists;
  }

  #keep(file: ByteString, size: number): string | undefined {
    const limit = keptFiles.find(([pattern]) => pattern.test(file))?.[1];
    if (limit === undefined || size > limit) return undefined;
    this.#keptFiles++;
    this.#keptBytes += size;
    if (this.#keptFiles > maxKeptFiles || this.#keptBytes > maxKeptBytes) {
      throw tooMuch('more databases of packages than any image has');
    }
    return path.join(this.#folder, String(this.#keptFiles));
  }

  #count(): void {
    if (++this.#entries > maxEntries) throw tooMuch(`more than ${maxEntries} entries`);
  }
}

/** The bytes of a file that was kept; undefined for one that was not. */
export async function keptBytes(file: string | undefined, options: CallOptions): Promise<Buffer | undefined> {
  return file === undefined
    ? undefined
    : readFile(file, options.signal === undefined ? {} : { signal: options.signal });
}

/** A layer's tar out of a place that nobody vouches for; that it is the right tar is checked by its diffId. */
async function openLayer(
  { content, isNear }: Omit<ImagePlace, 'image'>,
  { descriptor, diffId }: Image['layers'][number],
  options: CallOptions,
): Promise<Readable> {
  const blob = await content.read(descriptor, options);
  // A file that is no longer than it is need not be hashed twice; a registry might send bytes without an end.
  if (isNear && descriptor.digest === diffId) return blob;
  // A failure destroys the last stream with its error, which is where the reader meets it.
  const checked = pipeline(blob, verifying(descriptor), () => {});
  return decompressed(checked, layerCompression(descriptor.mediaType) ?? 'none', options);
}

function tooMuch(what: string): ToolError {
  return new ToolError('LAYER_INVALID', `the images have ${what}`, {
    hint: 'they are made to do harm; tell who published them',
  });
}

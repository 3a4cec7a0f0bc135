import { type CallOptions, type Digest, formatPlatform, type Image } from '../../core/index.ts';
import { FileTree } from '../../runtime/index.ts';
import { type PackageMove, packageMoves } from '../lock/moves.ts';
import { type ConfigChange, changedConfig } from './compare-configs.ts';
import { type CompareFilesOptions, changedFiles, type FileChange } from './compare-files.ts';
import { changedLayers, type LayerChanges, sharedBottom } from './compare-layer-stacks.ts';
import { factsNeedLower, type ImagePackages, type PackageKind, packagesOf } from './image-packages.ts';
import { type ImagePlace, LayerLists } from './layer-lists.ts';

export const diffSections = ['packages', 'config', 'layers', 'files'] as const;
export type DiffSection = (typeof diffSections)[number];

/** A package that two images do not have alike. */
export interface PackageChange extends PackageMove {
  readonly kind: PackageKind;
}

/** What differs between two images; a section that was not asked for is undefined. */
export interface ImageDiff {
  readonly before: SideFacts;
  readonly after: SideFacts;
  /** Nothing differs in the sections that were asked for. */
  readonly equal: boolean;
  readonly packages?: readonly PackageChange[];
  readonly config?: readonly ConfigChange[];
  readonly layers?: LayerChanges;
  readonly files?: readonly FileChange[];
  /**
   * False when layers that both have were left unread to move less: what one image alone has on top of them then counts
   * as added or removed, though it may replace what these layers have.
   */
  readonly sharedLayersRead: boolean;
  /** Sentences about what could not be compared. */
  readonly notes: readonly string[];
}

export interface SideFacts {
  /** Of the platform's manifest. */
  readonly digest: Digest;
  readonly platform: string;
  /** Bytes of all layers, as they are compressed. */
  readonly size: number;
}

export interface DiffOptions extends CallOptions, CompareFilesOptions {
  readonly sections: ReadonlySet<DiffSection>;
  /** Reads layers that both have even where that means to download them. */
  readonly deep?: boolean;
  /** An empty folder for files in passing. */
  readonly scratch: string;
}

/** What two images are made of, as far as it had to be read. */
export interface TreePair {
  readonly before: FileTree;
  readonly after: FileTree;
  /** False when only the layers on top of those that both have are in the trees. */
  readonly isComplete: boolean;
}

/**
 * Compares two images. Layers that both have at the bottom are read only when packages cannot be told without them, or
 * when they lie on this machine, or with `deep`.
 * @throws IntegrityError; ToolError LAYER_*; what the places throw
 */
export async function diffImages(before: ImagePlace, after: ImagePlace, options: DiffOptions): Promise<ImageDiff> {
  const { sections } = options;
  const sides = { before: sideOf(before.image), after: sideOf(after.image) };
  const config = sections.has('config') ? changedConfig(before.image, after.image) : undefined;
  const layers = sections.has('layers') ? changedLayers(before.image, after.image) : undefined;
  const content = await compareContent(before, after, options);
  const { packages, files } = content;
  const isSameStack = layers === undefined || layers.added.length + layers.removed.length === 0;
  const equal = isSameStack && [packages, config, files].every((list) => list === undefined || list.length === 0);
  return {
    ...sides,
    equal,
    ...(packages === undefined ? {} : { packages }),
    ...(config === undefined ? {} : { config }),
    ...(layers === undefined ? {} : { layers }),
    ...(files === undefined ? {} : { files }),
    sharedLayersRead: content.sharedLayersRead,
    notes: content.notes,
  };
}

/** The trees of two images: on top of the layers that both have, or whole. */
export async function readTrees(
  before: ImagePlace,
  after: ImagePlace,
  lists: LayerLists,
  options: CallOptions & { readonly whole: boolean | ((trees: TreePair) => boolean) },
): Promise<TreePair> {
  const shared = sharedBottom(before.image, after.image);
  const upper = async (place: ImagePlace) => lists.all(place, place.image.layers.slice(shared), options);
  const [was, is] = [await upper(before), await upper(after)];
  const treesOn = (bottom: Awaited<ReturnType<typeof upper>>, isComplete: boolean): TreePair => ({
    before: FileTree.of([...bottom, ...was], { isComplete }),
    after: FileTree.of([...bottom, ...is], { isComplete }),
    isComplete,
  });
  const top = treesOn([], shared === 0);
  const { whole } = options;
  if (shared === 0 || !(typeof whole === 'boolean' ? whole : whole(top))) return top;
  const near = before.isNear ? before : after;
  return treesOn(await lists.all(near, near.image.layers.slice(0, shared), options), true);
}

async function compareContent(before: ImagePlace, after: ImagePlace, options: DiffOptions) {
  const { sections, scratch, signal, deep = false } = options;
  const wantsPackages = sections.has('packages');
  const wantsFiles = sections.has('files');
  const isSame =
    before.image.layers.length === after.image.layers.length &&
    sharedBottom(before.image, after.image) === after.image.layers.length;
  if ((!wantsPackages && !wantsFiles) || isSame) {
    const none = (wanted: boolean) => (wanted ? [] : undefined);
    return { packages: none(wantsPackages), files: none(wantsFiles), sharedLayersRead: true, notes: [] };
  }
  const isNear = before.isNear || after.isNear;
  const trees = await readTrees(before, after, new LayerLists(scratch), {
    signal,
    whole: (top) => (wantsPackages && factsNeedLower(top.before, top.after)) || (wantsFiles && (deep || isNear)),
  });
  const files = wantsFiles
    ? [...changedFiles(trees.before, trees.after, { ...options, isComplete: trees.isComplete })]
    : undefined;
  const found = wantsPackages
    ? comparePackages(
        await packagesOf(trees.before, scratch, { signal }),
        await packagesOf(trees.after, scratch, { signal }),
      )
    : undefined;
  return { packages: found?.packages, files, sharedLayersRead: trees.isComplete, notes: found?.notes ?? [] };
}

/** What differs in packages, and what of them could not be told. */
export function comparePackages(
  before: ImagePackages,
  after: ImagePackages,
): { readonly packages: PackageChange[]; readonly notes: string[] } {
  const kinds = [...new Set([...before.sets.keys(), ...after.sets.keys()])].sort();
  const packages = kinds.flatMap((kind) =>
    packageMoves(before.sets.get(kind) ?? [], after.sets.get(kind) ?? []).map((move) => ({ kind, ...move })),
  );
  const unread = [...new Set([...before.unread, ...after.unread])];
  return {
    packages,
    notes: unread.map((file) => `packages in /${file} are not compared: it is in a format that is not read`),
  };
}

function sideOf({ descriptor, config, layers }: Image): SideFacts {
  return {
    digest: descriptor.digest,
    platform: formatPlatform(config),
    size: layers.reduce((sum, layer) => sum + layer.descriptor.size, 0),
  };
}

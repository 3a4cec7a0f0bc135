import {
  comparePackages,
  factsNeedLower,
  type ImagePackages,
  type ImagePlace,
  LayerLists,
  type OsRelease,
  type PackageChange,
  packagesOf,
  readTrees,
  releaseOf,
  sharedBottom,
  type TreePair,
  touchesPackages,
} from '../../builder/index.ts';
import { type CallOptions, formatPlatform, samePlatform } from '../../core/index.ts';
import { FileTree } from '../../runtime/index.ts';
import { BaseDifference, fileConflicts, removedLibraries, removedProgram } from './file-conflicts.ts';
import { type MergedConfig, mergeConfig } from './merge-config.ts';
import type { Reason } from './reason.ts';
import { releaseName } from './release.ts';

/** An image, what it lies on, and what it is to lie on. */
export interface RebaseSides {
  readonly image: ImagePlace;
  readonly old: ImagePlace;
  readonly fresh: ImagePlace;
}

/** What was found out about putting the image on the new base. */
export interface RebaseCheck {
  /** Empty when it is safe. */
  readonly reasons: readonly Reason[];
  /** What differs between the bases. */
  readonly packages: readonly PackageChange[];
  /** Sentences about what changes, and about what could not be checked. */
  readonly notes: readonly string[];
  readonly merged: MergedConfig;
}

/** What the bases' trees say of packages and release. */
interface BaseFacts {
  readonly trees: TreePair;
  readonly packages: readonly PackageChange[];
  readonly notes: readonly string[];
  readonly releases: readonly (OsRelease | undefined)[];
  readonly old: ImagePackages;
}

/**
 * Whether an image can be put on another state of its base without being built again: all that speaks against it. Reads the
 * layers in which the bases differ and those of the image's own; stores nothing.
 * @param scratch an empty folder
 * @throws IntegrityError; ToolError LAYER_*; what the places throw
 */
export async function checkRebase(sides: RebaseSides, scratch: string, options: CallOptions): Promise<RebaseCheck> {
  const { image, old, fresh } = sides;
  const lists = new LayerLists(scratch);
  const merged = mergeConfig(old.image.config.config, image.image.config.config, fresh.image.config.config);
  const platform = platformReasons(sides);
  // The files of other processors' programs all differ: a thousand reasons would say no more than this one.
  if (platform.length > 0) return { reasons: platform, packages: [], notes: merged.notes, merged };
  const bases = await baseFacts(old, fresh, lists, scratch, options);
  const isOnOld = sharedBottom(old.image, image.image) === old.image.layers.length;
  const own = isOnOld ? await ownReasons(sides, bases, lists, scratch, options) : [notOnOld(sides)];
  return {
    reasons: [
      ...own.filter(({ code }) => code === 'layers'),
      ...releaseReasons(bases.releases),
      ...merged.reasons,
      ...removedPackages(bases.packages),
      ...removedLibraries(new BaseDifference(bases.trees)),
      ...own.filter(({ code }) => code !== 'layers'),
    ],
    packages: bases.packages,
    notes: [...bases.notes, ...merged.notes],
    merged,
  };
}

async function baseFacts(
  before: ImagePlace,
  after: ImagePlace,
  lists: LayerLists,
  scratch: string,
  options: CallOptions,
): Promise<BaseFacts> {
  const trees = await readTrees(before, after, lists, {
    ...options,
    whole: (top) => factsNeedLower(top.before, top.after),
  });
  const old = await packagesOf(trees.before, scratch, options);
  const moved = comparePackages(old, await packagesOf(trees.after, scratch, options));
  const releases = [await releaseOf(trees.before, options), await releaseOf(trees.after, options)];
  return { trees, ...moved, releases, old };
}

async function ownReasons(
  { image, old }: RebaseSides,
  bases: BaseFacts,
  lists: LayerLists,
  scratch: string,
  options: CallOptions,
): Promise<Reason[]> {
  const { layers } = image.image;
  const ownLists = await lists.all(image, layers.slice(old.image.layers.length), options);
  const own = FileTree.of(ownLists, { isComplete: false });
  const difference = new BaseDifference(bases.trees);
  return [
    ...fileConflicts(own, difference),
    ...(bases.packages.length > 0 && touchesPackages(own)
      ? await ownPackages({ image, old }, ownLists, lists, scratch, options)
      : []),
    ...removedProgram(own, bases.trees, programOf(image)),
  ];
}

/** They were chosen, and their versions with them, for packages that the new base has in others. */
async function ownPackages(
  { image, old }: Pick<RebaseSides, 'image' | 'old'>,
  ownLists: Awaited<ReturnType<LayerLists['all']>>,
  lists: LayerLists,
  scratch: string,
  options: CallOptions,
): Promise<Reason[]> {
  const baseLists = await lists.all(old.isNear ? old : image, old.image.layers, options);
  const [base, whole] = [baseLists, [...baseLists, ...ownLists]].map((all) => FileTree.of(all, { isComplete: true }));
  if (base === undefined || whole === undefined) throw new TypeError('two trees were made');
  const { packages } = comparePackages(
    await packagesOf(base, scratch, options),
    await packagesOf(whole, scratch, options),
  );
  if (packages.length === 0) return [];
  const items = packages.map(({ name, from, to }) =>
    to === undefined ? `${name} (removed)` : from === undefined ? `${name} ${to}` : `${name} ${from} → ${to}`,
  );
  return [
    {
      code: 'packages',
      message: 'the image has packages of its own, which were installed for those of the old base',
      items,
    },
  ];
}

function platformReasons({ image, old, fresh }: RebaseSides): Reason[] {
  const wanted = image.image.config;
  return [old, fresh]
    .filter((base) => !samePlatform(base.image.config, wanted))
    .slice(0, 1)
    .map((base) => ({
      code: 'platform',
      message: `the image is for ${formatPlatform(wanted)}, and the ${base === old ? 'old' : 'new'} base for ${formatPlatform(base.image.config)}`,
    }));
}

function notOnOld({ image, old }: RebaseSides): Reason {
  const [all, shared] = [old.image.layers.length, sharedBottom(old.image, image.image)];
  const message = `the image does not lie on the old base: of its ${all} layers the image has ${shared === 0 ? 'none' : `the first ${shared}`} at its bottom`;
  return { code: 'layers', message };
}

function releaseReasons([before, after]: BaseFacts['releases']): Reason[] {
  const [was, is] = [before, after].map((release) => (release === undefined ? 'nothing' : releaseName(release)));
  if (was === is) return [];
  return [{ code: 'release', message: `the new base is another release: os-release says ${was} → ${is}` }];
}

function removedPackages(packages: readonly PackageChange[]): Reason[] {
  const items = packages.filter(({ to }) => to === undefined).map(({ name }) => name);
  if (items.length === 0) return [];
  return [{ code: 'removed', message: 'the new base does without packages that the image may need', items }];
}

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Where the program may be that the image starts, without leading `/`. */
function programOf({ image }: ImagePlace): string[] {
  const { Entrypoint = [], Cmd = [], Env = [] } = image.config.config;
  const [program = ''] = [...Entrypoint, ...Cmd];
  if (program.startsWith('/')) return [program.replace(/^\/+/, '')];
  if (program === '' || program.includes('/')) return [];
  const search = Env.findLast((line) => line.startsWith('PATH='))?.slice('PATH='.length) ?? defaultPath;
  const folders = search.split(':').filter((folder) => folder.startsWith('/'));
  return folders.map((folder) => `${folder.replace(/^\/+|\/+$/g, '')}/${program}`.replace(/^\//, ''));
}

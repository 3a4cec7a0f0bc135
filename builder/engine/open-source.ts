import { type CallOptions, type Image, parseReference, unreachable } from '../../core/index.ts';
import { RootView, type Snapshot } from '../../runtime/index.ts';
import { type BaseRecord, type OpenBase, openImageBase } from '../base/image-base.ts';
import { openLayoutBase } from '../base/layout-base.ts';
import type { IgnoreRules } from '../buildfile/ignore.ts';
import { ContextTree } from '../copy/context-tree.ts';
import { RootTree } from '../copy/root-tree.ts';
import type { SourceTree } from '../copy/source-tree.ts';
import type { CopySource, Preserved } from '../plan/plan.ts';
import type { BuildContext, StepScope } from './build-context.ts';
import { readFolderIgnoreRules } from './open-context.ts';

/** Where a copy or a bind mount takes files from. */
export interface OpenSource {
  readonly tree: SourceTree;
  /** Bases the files come from. */
  readonly records: readonly BaseRecord[];
  /** The root file system behind `tree`, where it is one. */
  readonly snapshot?: Snapshot;
}

export interface OpenSourceOptions {
  /** What of the metadata of a context's files counts, and whether owners do. */
  readonly preserve: readonly Preserved[];
}

/** A source that was found, and nothing more: nothing is unpacked or read yet. */
export type FoundSource =
  | { readonly kind: 'folder'; readonly name: string; readonly folder: string; readonly ignore: IgnoreRules }
  | {
      readonly kind: 'layers';
      readonly name: string;
      /** None: there are no files. */
      readonly layers: Image['layers'];
      readonly records: readonly BaseRecord[];
    };

export async function openSource(
  context: BuildContext,
  from: CopySource,
  options: OpenSourceOptions,
  scope: StepScope,
): Promise<OpenSource> {
  return openFound(context, await findSource(context, from, scope), options, scope);
}

/** Waits for a stage, pulls an image. */
export async function findSource(context: BuildContext, from: CopySource, scope: StepScope): Promise<FoundSource> {
  const { options } = context;
  switch (from.kind) {
    case 'context':
      return { kind: 'folder', name: 'the context', folder: options.contextFolder, ignore: options.ignore };
    case 'folder': {
      const ignore = await readFolderIgnoreRules(from.path, scope);
      return { kind: 'folder', name: `the context ${from.name}`, folder: from.path, ignore };
    }
    case 'stage': {
      const { layers, sources } = await context.stageEnd(from.stage, scope);
      return { kind: 'layers', name: `stage ${from.stage}`, layers, records: sources };
    }
    case 'image':
    case 'layout': {
      const name = from.kind === 'image' ? `image ${from.reference}` : `the layout ${from.path}`;
      const { image, record } = await openImage(context, from, scope);
      return { kind: 'layers', name, layers: image.layers, records: [record] };
    }
    default:
      throw unreachable(from);
  }
}

/** Unpacks the layers of a root file system that are not on disk yet. */
export async function openFound(
  { workshop }: BuildContext,
  found: FoundSource,
  { preserve }: OpenSourceOptions,
  options: CallOptions,
): Promise<OpenSource> {
  const { launcher } = workshop.options;
  const { name } = found;
  if (found.kind === 'folder') {
    return { tree: new ContextTree(found.folder, found.ignore, { name, preserve, launcher }), records: [] };
  }
  const snapshot = await workshop.snapshotOf(found.layers, options);
  const view = new RootView(launcher, snapshot);
  return {
    tree: new RootTree(name, view, { keepOwner: preserve.includes('owner') }),
    records: found.records,
    snapshot,
  };
}

function openImage(
  { workshop, platform, options: { pull, pins } }: BuildContext,
  from: Extract<CopySource, { kind: 'image' | 'layout' }>,
  { signal }: StepScope,
): Promise<OpenBase> {
  const options = { signal, platform, pull, pins };
  if (from.kind === 'image') return openImageBase(workshop, parseReference(from.reference), options);
  return openLayoutBase(workshop, from, options);
}

import { parseReference, ToolError } from '../../core/index.ts';
import { RootView } from '../../runtime/index.ts';
import { type BaseRecord, openImageBase } from '../base/image-base.ts';
import { ContextTree } from '../copy/context-tree.ts';
import { listingOf, requireUnchanged } from '../copy/listing.ts';
import { placeMatches } from '../copy/place.ts';
import { RootTree } from '../copy/root-tree.ts';
import { type Match, selectSources } from '../copy/select.ts';
import type { SourceTree } from '../copy/source-tree.ts';
import type { CopyStep } from '../plan/plan.ts';
import { clampTimes, type WrittenLayer, writeLayer } from '../workshop/layers.ts';
import type { Preimage } from '../workshop/step-cache.ts';
import type { BuildContext, StepScope } from './build-context.ts';
import { cachedLayer, commonPreimage, type LayerOutcome } from './cached-layer.ts';
import { userIn } from './run-step.ts';
import type { StageState } from './stage-state.ts';

/** Copies files into the stage: from source to tar, without unpacking anything. */
export async function copyStep(
  context: BuildContext,
  state: StageState,
  step: CopyStep,
  scope: StepScope,
): Promise<LayerOutcome> {
  const source = await openSource(context, step, scope);
  const matches = await selectSources(source.tree, step.paths, step.exclude, scope);
  const listing = await listingOf(matches, context.digests, scope);
  const preimage: Preimage = [
    ...commonPreimage(context, state),
    ['verb', 'copy'],
    ['files', listing.digest],
    ['to', step.to],
    ['workdir', state.config.WorkingDir ?? '/'],
    ['owner', step.owner ?? '0:0'],
    ...(step.mode === undefined ? [] : [['mode', step.mode] as const]),
  ];
  const outcome = await cachedLayer(context, state, preimage, () => write(context, state, step, matches, scope), scope);
  if (!outcome.cached) await context.workshop.records.write('listings-v1', listing.digest, listing.lines);
  return { ...outcome, state: { ...outcome.state, sources: [...outcome.state.sources, ...source.records] } };
}

async function write(
  context: BuildContext,
  state: StageState,
  step: CopyStep,
  matches: readonly Match[],
  scope: StepScope,
): Promise<WrittenLayer | undefined> {
  const { workshop, plan } = context;
  const snapshot = await workshop.snapshotOf(state.layers, scope);
  const view = new RootView(workshop.options.launcher, snapshot);
  const owner = step.owner === undefined ? { uid: 0, gid: 0 } : await ownerIn(context, state, step.owner, scope);
  const placement = {
    to: step.to,
    workdir: state.config.WorkingDir ?? '/',
    owner: { uid: owner.uid, gid: owner.gid },
    ...(step.mode === undefined ? {} : { mode: step.mode }),
  };
  const entries = await placeMatches(view, matches, placement, scope);
  const written = await writeLayer(workshop, clampTimes(entries, plan.sourceDateEpoch), scope);
  // Else the layer could hold other bytes than the key says, and be given to every later build with that key.
  if (step.from.kind === 'context') requireUnchanged(matches, context.digests);
  return written;
}

/** Docker gives `--chown 5` the group 5 as well, unlike `user = "5"`. */
async function ownerIn(
  context: BuildContext,
  state: StageState,
  owner: string,
  scope: StepScope,
): Promise<{ uid: number; gid: number }> {
  if (/^[0-9]+$/.test(owner)) return { uid: Number(owner), gid: Number(owner) };
  if (/^[0-9]+:[0-9]+$/.test(owner)) {
    const [uid, gid] = owner.split(':').map(Number);
    return { uid: uid ?? 0, gid: gid ?? 0 };
  }
  const snapshot = await context.workshop.snapshotOf(state.layers, scope);
  return userIn(context, snapshot, owner, scope);
}

interface OpenSource {
  readonly tree: SourceTree;
  readonly records: readonly BaseRecord[];
}

async function openSource(context: BuildContext, step: CopyStep, scope: StepScope): Promise<OpenSource> {
  const { from } = step;
  const { workshop, options } = context;
  switch (from.kind) {
    case 'context':
      return {
        tree: new ContextTree(options.contextFolder, options.ignore, { preserveMode: step.preserve.includes('mode') }),
        records: [],
      };
    case 'stage': {
      const state = await context.stageEnd(from.stage, scope);
      const snapshot = await workshop.snapshotOf(state.layers, scope);
      return {
        tree: new RootTree(`stage ${from.stage}`, new RootView(workshop.options.launcher, snapshot)),
        records: state.sources,
      };
    }
    case 'image': {
      const reference = parseReference(from.reference);
      const { image, record } = await openImageBase(workshop, reference, {
        ...scope,
        platform: context.platform,
        pull: options.pull,
        pins: options.pins,
      });
      if (image.layers.length === 0)
        throw new ToolError('COPY_SOURCE_NOT_FOUND', `image ${from.reference} has no files`);
      const snapshot = await workshop.snapshotOf(image.layers, scope);
      return {
        tree: new RootTree(`image ${from.reference}`, new RootView(workshop.options.launcher, snapshot)),
        records: [record],
      };
    }
    case 'folder':
    case 'layout':
      throw new Error('not yet');
  }
}

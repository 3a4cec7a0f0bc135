import { type CallOptions, canonicalJson, chainIdsOf, type Digest, isDigest } from '../../core/index.ts';
import type { BaseRecord } from '../base/image-base.ts';
import { listingOf } from '../copy/listing.ts';
import { type Match, selectSources } from '../copy/select.ts';
import { type Signature, signatureOf } from '../copy/signature.ts';
import type { CopyStep } from '../plan/plan.ts';
import type { BuildContext, StepScope } from './build-context.ts';
import { type FoundSource, findSource, openFound } from './open-source.ts';

/** The part of a step that says what it reads. */
export type SelectionRequest = Pick<CopyStep, 'from' | 'paths' | 'exclude' | 'preserve' | 'parents' | 'optional'>;

/** What a copy step reads, looked at no closer than the step's key needs. */
export interface CopySelection {
  /** Names all that is copied, by content. */
  readonly listing: Digest;
  readonly records: readonly BaseRecord[];
  /** Opens the source, should that not have been needed yet. */
  matches(options?: CallOptions): Promise<readonly Match[]>;
}

/**
 * Finds what a copy step reads. What an earlier build found out is taken over: for a stage or image, by its chain of
 * layers; for a folder, when no file in it looks different.
 * @throws ToolError COPY_*
 */
export async function openSelection(
  context: BuildContext,
  request: SelectionRequest,
  scope: StepScope,
): Promise<CopySelection> {
  const found = await findSource(context, request.from, scope);
  const select = async (options: CallOptions): Promise<readonly Match[]> => {
    const { tree } = await openFound(context, found, request, options);
    const { parents, optional } = request;
    return selectSources(tree, request.paths, request.exclude, { ...options, parents, optional });
  };
  return found.kind === 'folder'
    ? openFolder(context, request, found, await select(scope), scope)
    : openLayers(context, request, found, select, scope);
}

async function openFolder(
  context: BuildContext,
  request: SelectionRequest,
  found: Extract<FoundSource, { kind: 'folder' }>,
  matches: readonly Match[],
  scope: StepScope,
): Promise<CopySelection> {
  const { records } = context.workshop;
  context.options.contextUse?.add(found, matches);
  const key = selectionKey(request, 'folder', found.folder);
  const signature = signatureOf(matches, context.digests.nowMs);
  const common = { records: [], matches: async () => matches };
  const known = signature.isSettled ? parseRecord(await records.read('selections-v1', key), signature) : undefined;
  if (known !== undefined) return { ...common, listing: known };
  const listing = await listed(context, matches, scope);
  if (signature.isSettled) await records.write('selections-v1', key, { signature: signature.digest, listing });
  return { ...common, listing };
}

async function openLayers(
  context: BuildContext,
  request: SelectionRequest,
  found: Extract<FoundSource, { kind: 'layers' }>,
  select: (options: CallOptions) => Promise<readonly Match[]>,
  scope: StepScope,
): Promise<CopySelection> {
  const { records } = context.workshop;
  const key = selectionKey(
    request,
    'layers',
    chainIdsOf(found.layers.map((layer) => layer.diffId)).at(-1) ?? 'scratch',
  );
  let matches: Promise<readonly Match[]> | undefined;
  const selected = (options: CallOptions = {}) => {
    matches ??= select(options);
    return matches;
  };
  const common = { records: found.records, matches: selected };
  const known = parseRecord(await records.read('selections-v1', key), undefined);
  if (known !== undefined) return { ...common, listing: known };
  const listing = await listed(context, await selected(scope), scope);
  await records.write('selections-v1', key, { listing });
  return { ...common, listing };
}

/** Of many files the lines are as big as their entries: they are written at once, for `kiln explain`, and let go. */
async function listed(context: BuildContext, matches: readonly Match[], scope: StepScope): Promise<Digest> {
  const { digest, text } = await listingOf(matches, context.digests, scope);
  await context.workshop.records.write('listings-v1', digest, text);
  return digest;
}

/** Everything that decides what is selected, but the files themselves. */
function selectionKey(request: SelectionRequest, kind: FoundSource['kind'], place: string): string {
  const { paths, exclude, parents, optional, preserve } = request;
  return canonicalJson([kind, place, { paths, exclude, parents, optional, preserve: [...preserve].sort() }]);
}

function parseRecord(record: unknown, signature: Signature | undefined): Digest | undefined {
  if (typeof record !== 'object' || record === null) return undefined;
  const { listing, signature: seen } = record as { listing?: unknown; signature?: unknown };
  if (seen !== signature?.digest) return undefined;
  return typeof listing === 'string' && isDigest(listing) ? listing : undefined;
}

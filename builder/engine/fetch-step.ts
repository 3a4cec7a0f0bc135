import { unreachable } from '../../core/index.ts';
import { RootView } from '../../runtime/index.ts';
import { placeMatches } from '../copy/place.ts';
import type { FetchAccess } from '../fetch/fetch-access.ts';
import { type FetchedContent, withSmallFilesRead } from '../fetch/fetched-content.ts';
import { fileContent } from '../fetch/file-content.ts';
import { repositoryContent } from '../fetch/repository-content.ts';
import type { FetchStep } from '../plan/plan.ts';
import { clampTimes, type WrittenLayer, writeLayer } from '../workshop/layers.ts';
import type { Preimage } from '../workshop/step-cache.ts';
import type { BuildContext, StepScope } from './build-context.ts';
import { cachedLayer, commonPreimage, type LayerOutcome } from './cached-layer.ts';
import type { StageState } from './stage-state.ts';
import { ownerIn } from './user-lookup.ts';

/** Brings a file, the content of an archive, or a commit of a repository from the network into the stage. */
export async function fetchStep(
  context: BuildContext,
  state: StageState,
  step: FetchStep,
  scope: StepScope,
): Promise<LayerOutcome> {
  const content = await contentOf(context, step, scope);
  const preimage: Preimage = [
    ...commonPreimage(context, state),
    ['verb', 'fetch'],
    ...content.identity,
    ['to', step.to],
    ['workdir', state.config.WorkingDir ?? '/'],
    ['owner', step.owner ?? '0:0'],
    ...(step.mode === undefined ? [] : [['mode', step.mode] as const]),
  ];
  return cachedLayer(context, state, preimage, () => write(context, state, step, content, scope), scope);
}

function contentOf(context: BuildContext, step: FetchStep, scope: StepScope): Promise<FetchedContent> {
  const { workshop, options } = context;
  const { source, checksum, unpack, to } = step;
  const access = accessOf(context, scope);
  const again = options.noCache || options.noCacheStages?.has(scope.stage) === true;
  const rules = { pins: options.pins, refresh: options.pull, again };
  switch (source.kind) {
    case 'http':
      return fileContent(workshop, { url: source.url, checksum, unpack, to }, rules, access);
    case 'git':
      return repositoryContent(workshop, { ...source, checksum }, rules, access);
    default:
      throw unreachable(source);
  }
}

async function write(
  context: BuildContext,
  state: StageState,
  step: FetchStep,
  content: FetchedContent,
  scope: StepScope,
): Promise<WrittenLayer | undefined> {
  const { workshop, plan } = context;
  const snapshot = await workshop.snapshotOf(state.layers, scope);
  const owner = await ownerIn(context, state, step.owner ?? '0:0', scope);
  await using opened = await content.open(scope);
  const placement = {
    to: step.to,
    workdir: state.config.WorkingDir ?? '/',
    owner,
    ...(step.mode === undefined ? {} : { mode: step.mode }),
  };
  const view = new RootView(workshop.options.launcher, snapshot);
  const entries = await placeMatches(view, [opened.match], placement, scope);
  // Awaited here: the content goes away with this scope.
  return await writeLayer(workshop, clampTimes(withSmallFilesRead(entries), plan.sourceDateEpoch), scope);
}

function accessOf({ options }: BuildContext, { signal, vertex }: StepScope): FetchAccess {
  return {
    signal,
    proxies: options.proxies,
    secrets: options.secrets,
    sshAgents: options.sshAgents,
    sshKnownHosts: options.sshKnownHosts,
    onStatus: (text) => options.onEvent({ type: 'status', vertex, text }),
  };
}

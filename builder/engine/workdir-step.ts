import type { ByteString, DirectoryEntry } from '../../runtime/index.ts';
import { byteString, RootView } from '../../runtime/index.ts';
import { placeMatches } from '../copy/place.ts';
import type { WorkdirStep } from '../plan/plan.ts';
import { clampTimes, writeLayer } from '../workshop/layers.ts';
import type { BuildContext, StepScope } from './build-context.ts';
import { cachedLayer, commonPreimage, type LayerOutcome } from './cached-layer.ts';
import { joinWorkdir, type StageState } from './stage-state.ts';

/** Sets the folder for what follows and makes it when the image does not have it. */
export async function workdirStep(
  context: BuildContext,
  state: StageState,
  step: WorkdirStep,
  scope: StepScope,
): Promise<LayerOutcome> {
  const folder = joinWorkdir(state.config, step.path);
  const entered = { ...state, config: { ...state.config, WorkingDir: folder } };
  if (folder === '/') return { state: entered, cached: true };
  const preimage = [...commonPreimage(context, state), ['verb', 'workdir'], ['path', folder]] as const;

  return cachedLayer(
    context,
    entered,
    preimage,
    async () => {
      const snapshot = await context.workshop.snapshotOf(state.layers, scope);
      const view = new RootView(context.workshop.options.launcher, snapshot);
      const found = await view.resolve(byteString(folder));
      if (found.exists && (await view.lookup(found.path))?.type === 'directory') return undefined;
      const made: DirectoryEntry = {
        type: 'directory',
        path: '' as ByteString,
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime: { seconds: 1, nanoseconds: 0 },
      };
      const match = { name: '' as ByteString, isDirectory: true, entries: [made] };
      const entries = await placeMatches(view, [match], { to: folder, workdir: '/', owner: { uid: 0, gid: 0 } }, scope);
      return writeLayer(context.workshop, clampTimes(entries, context.plan.sourceDateEpoch), scope);
    },
    scope,
  );
}

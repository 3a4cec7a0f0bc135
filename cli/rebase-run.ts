import path from 'node:path';
import { isDigest, LockFolder, parsePlatform, ToolError } from '../core/index.ts';
import { type FoundBase, planRebase, type RebasePlan, writeRebased } from '../rebuild/index.ts';
import { openDestination, type Place, parsePlace } from '../registry/index.ts';
import type { RebaseFlags } from './commands/rebase.ts';
import { type FoundPlace, findPlace, type ImageTools, openImageTools } from './compared-image.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { CopyProgress } from './progress/copy.ts';
import { rebaseText, refusalText } from './rebase-report.ts';
import { printResult } from './result.ts';
import { basesOf, saidBase } from './stale-run.ts';
import { homeOf } from './store.ts';

/** `kiln rebase`. */
export async function runRebase(context: Context, flags: RebaseFlags, text: string): Promise<number> {
  await using tools = await openImageTools(context, flags);
  await using opened = new AsyncDisposableStack();
  const found = opened.use(await findPlace(text, tools));
  const destination = destinationOf(found, flags);
  const base = async (name: string | undefined) => (name === undefined ? undefined : saidBase(name, tools, opened));
  const [old, fresh] = [await base(flags['old-base']), await base(flags['new-base'])];
  const plan = await planRebase(
    { content: found.content, root: found.root, isNear: found.place.kind !== 'registry' },
    {
      signal: context.signal,
      bases: basesOf(tools),
      scratch: () => tools.scratch(),
      ...(flags.platform === undefined ? {} : { platform: parsePlatform(flags.platform) }),
      ...(old === undefined ? {} : { old }),
      ...(fresh === undefined ? {} : { fresh }),
    },
  );
  const isRefused = plan.images.some(({ state }) => state === 'unsafe');
  const written =
    plan.result === undefined || flags.check
      ? undefined
      : await write(context, plan, { found, destination, old, fresh, tools, flags });
  const result = {
    image: found.name,
    ...(written === undefined ? {} : { name: written.name }),
    state: isRefused ? 'refused' : plan.result === undefined ? 'current' : written === undefined ? 'safe' : 'rebased',
    before: plan.before.digest,
    after: plan.result?.root.digest ?? (isRefused ? undefined : plan.before.digest),
    images: plan.images,
    notes: plan.notes,
  };
  const isJson = flags.json || flags.format !== undefined;
  if (isRefused && !isJson) context.terminal.err.write(refusalText(found.name, plan));
  else printResult(context, flags, result, () => (flags.quiet ? (result.after ?? '') : rebaseText(result)));
  if (isRefused) return exitCodes.findings;
  return flags.check && plan.result !== undefined ? exitCodes.updateAvailable : exitCodes.ok;
}

interface Writing {
  readonly found: FoundPlace;
  readonly destination: Place;
  readonly old: FoundBase | undefined;
  readonly fresh: FoundBase | undefined;
  readonly tools: ImageTools;
  readonly flags: RebaseFlags;
}

async function write(
  context: Context,
  { result, images }: RebasePlan,
  { found, destination, old, fresh, tools, flags }: Writing,
): Promise<{ readonly name: string }> {
  if (result === undefined) throw new TypeError('there is something to write');
  const { signal } = context;
  const locks = new LockFolder(path.join(homeOf(context), 'locks'));
  await using opened = await openDestination(destination, { remote: tools.remote, store: tools.store, locks, signal });
  using progress = new CopyProgress('copy', context, { quiet: flags.quiet });
  const names = [
    found.place.kind === 'registry' ? found.name : undefined,
    fresh?.name,
    images[0]?.newBase.name,
    old?.name,
  ];
  await writeRebased(result, opened.target, {
    signal,
    mountFrom: repositoriesAt(destination, names),
    onEvent: progress.onEvent,
  });
  await opened.finish(result.root, { signal });
  return { name: opened.name };
}

/** Repositories of the registry that the image goes to, which have its layers. */
function repositoriesAt(destination: Place, names: readonly (string | undefined)[]): string[] {
  if (destination.kind !== 'registry') return [];
  const { registry, repository } = destination.reference;
  const repositories = names.flatMap((name) => {
    if (name === undefined || /^(?:bootstrap|oci|oci-archive|docker-archive):|^sha256:/.test(name)) return [];
    const place = parsePlace(name, 'registry');
    const isThere = place.kind === 'registry' && place.reference.registry === registry;
    return isThere && place.reference.repository !== repository ? [place.reference.repository] : [];
  });
  return [...new Set(repositories)];
}

/** Where the image was, unless it is said; a bare name is one of the same kind of place. */
function destinationOf({ place, name }: FoundPlace, { tag, check }: RebaseFlags): Place {
  if (tag !== undefined) return parsePlace(tag, place.kind === 'registry' ? 'registry' : 'store');
  const isByDigest = place.kind === 'registry' ? place.reference.digest !== undefined : isDigest(name);
  if (isByDigest && !check) {
    throw new ToolError('USAGE_REBASE', 'the image was named by its digest, which the rebased one will not have', {
      hint: 'name the result: -t NAME',
    });
  }
  return place.kind === 'store' ? { kind: 'store', name } : place;
}

import { parsePlatform, platformOf } from '../core/index.ts';
import { Bases, checkStale, type FoundBase } from '../rebuild/index.ts';
import { openRepository, openSource, type Place, parsePlace } from '../registry/index.ts';
import type { StaleFlags } from './commands/stale.ts';
import { findPlace, type ImageTools, openImageTools } from './compared-image.ts';
import type { Context } from './context.ts';
import { printResult } from './result.ts';
import { referenceToPull } from './short-names.ts';
import { staleExitCode, staleText } from './stale-report.ts';

/** `kiln stale`. */
export async function runStale(context: Context, flags: StaleFlags, names: readonly string[]): Promise<number> {
  const platform = flags.platform === undefined ? platformOf(process.arch) : parsePlatform(flags.platform);
  await using tools = await openImageTools(context, flags);
  await using opened = new AsyncDisposableStack();
  const base = flags.base === undefined ? undefined : await saidBase(flags.base, tools, opened);
  const results = await checkStale(names, async (name) => opened.use(await findPlace(name, tools)), basesOf(tools), {
    signal: context.signal,
    platform,
    ...(base === undefined ? {} : { base }),
    ...(flags.packages ? { packages: () => tools.scratch() } : {}),
  });
  printResult(context, flags, results, () => staleText(results, { quiet: flags.quiet }));
  return staleExitCode(results);
}

/** Bases are looked for in the store and at their registries. */
export function basesOf({ remote, store }: ImageTools): Bases {
  return new Bases({ store, repository: (reference) => openRepository(reference, remote) });
}

/** A base that the command line names: at its registry, unless it says another place. */
export async function saidBase(text: string, tools: ImageTools, opened: AsyncDisposableStack): Promise<FoundBase> {
  const isBare = !/^(?:docker|oci|oci-archive|docker-archive|kiln):/.test(text);
  const place: Place = isBare
    ? { kind: 'registry', reference: await referenceToPull(tools.context, text, tools) }
    : parsePlace(text, 'registry');
  const { name, content, root } = opened.use(await openSource(place, tools));
  return { name, content, root, isNear: place.kind !== 'registry' };
}

import { findDurationMs, pruneStore, type StoreItem, storeItems } from '../builder/index.ts';
import { diskUseOf, ToolError } from '../core/index.ts';
import { formatAge } from './age.ts';
import type { DfFlags } from './commands/df.ts';
import type { PruneFlags } from './commands/prune.ts';
import { openWorkshop } from './compose.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { withRootFileSystems } from './privilege.ts';
import { formatSize, parseSize } from './size.ts';
import { homeOf } from './store.ts';
import { formatTable } from './table.ts';

/** `kiln prune`. */
export async function runPrune(context: Context, flags: PruneFlags): Promise<number> {
  const { signal, clock, terminal } = context;
  const olderThan = ageOf(flags);
  const maxBytes = flags['max-size'] === undefined ? undefined : parseSize(flags['max-size'], '--max-size');
  return withRootFileSystems(context, async () => {
    await using workshop = await openWorkshop(context);
    const result = await pruneStore(workshop, {
      all: flags.all,
      dryRun: flags['dry-run'],
      ...(olderThan === undefined ? {} : { olderThanMs: clock.now() - olderThan }),
      ...(maxBytes === undefined ? {} : { maxBytes }),
      signal,
    });
    if (flags.json) terminal.out.write(`${JSON.stringify(result)}\n`);
    else {
      if (flags.verbose || flags['dry-run'])
        for (const { kind, id, bytes } of result.removed) terminal.out.write(`${kind} ${id} ${formatSize(bytes)}\n`);
      const verb = flags['dry-run'] ? 'Would free' : 'Freed';
      terminal.out.write(
        `${verb} ${formatSize(result.freedBytes)}; the store takes ${formatSize(result.remainingBytes)}\n`,
      );
    }
    if (maxBytes === undefined || result.remainingBytes <= maxBytes) return exitCodes.ok;
    throw new ToolError(
      'ENVIRONMENT_STORE_SIZE',
      `the store still takes ${formatSize(result.remainingBytes)}, more than ${formatSize(maxBytes)}`,
      { hint: 'the rest belongs to images with names (kiln images, kiln rmi), or is being used' },
    );
  });
}

/** `--older-than 36h`, `--filter until=36h`, in milliseconds. */
function ageOf({ filter, 'older-than': olderThan }: PruneFlags): number | undefined {
  const until = filter.map((text) => {
    if (text.startsWith('until=')) return text.slice('until='.length);
    throw new ToolError('USAGE_FLAG_VALUE', `--filter ${JSON.stringify(text)} is not until=TIME`);
  });
  const asked = olderThan ?? until.at(-1);
  if (asked === undefined) return undefined;
  const days = /^(\d{1,5})d$/.exec(asked)?.[1];
  const found = days === undefined ? findDurationMs(asked) : Number(days) * 86_400_000;
  if (found !== undefined) return found;
  throw new ToolError('USAGE_FLAG_VALUE', `${JSON.stringify(asked)} is not a time; write 36h or 7d`);
}

/** What kinds of items are called. */
const kindNames: Readonly<Record<StoreItem['kind'] | 'images', string>> = {
  images: 'Images with names',
  result: 'Results of steps and bases',
  unpacked: 'Unpacked layers',
  'cache-mount': 'Cache mounts',
  git: 'Git repositories',
  packages: 'Package archives',
  code: 'What makes Kiln start faster',
  garbage: 'Nothing refers to it',
};

interface KindUse {
  readonly kind: keyof typeof kindNames;
  readonly count: number;
  readonly bytes: number;
  readonly reclaimable: number;
}

/** `kiln df`. */
export async function runDf(context: Context, flags: DfFlags): Promise<number> {
  const { signal, terminal, clock } = context;
  return withRootFileSystems(context, async () => {
    await using workshop = await openWorkshop(context);
    const items = (await storeItems(workshop, { signal })).sort((a, b) => a.lastUsedMs - b.lastUsedMs);
    const named = await workshop.content.reachable([]);
    const blobs = (await workshop.content.blobs({ signal })).filter(({ digest }) => named.has(digest));
    const images: KindUse = {
      kind: 'images',
      count: (await workshop.content.list()).length,
      bytes: blobs.reduce((sum, { bytes }) => sum + bytes, 0),
      reclaimable: 0,
    };
    const kinds = [images, ...usesOf(items)];
    const { bytes: total } = await diskUseOf(homeOf(context), { signal });
    if (flags.json) {
      const listed = items.map(({ kind, id, bytes, lastUsedMs }) => ({ kind, id, bytes, lastUsedMs }));
      terminal.out.write(
        `${JSON.stringify({ totalBytes: total, kinds, ...(flags.verbose ? { items: listed } : {}) })}\n`,
      );
      return exitCodes.ok;
    }
    const other = total - kinds.reduce((sum, { bytes }) => sum + bytes, 0);
    terminal.out.write(
      formatTable(
        ['TYPE', 'COUNT', 'SIZE', 'RECLAIMABLE'],
        [
          ...kinds.map(({ kind, count, bytes, reclaimable }) => [
            kindNames[kind],
            String(count),
            formatSize(bytes),
            formatSize(reclaimable),
          ]),
          ['Records and the like', '', formatSize(Math.max(0, other)), ''],
          ['All', '', formatSize(total), formatSize(kinds.reduce((sum, { reclaimable }) => sum + reclaimable, 0))],
        ],
      ),
    );
    if (flags.verbose) {
      terminal.out.write('\n');
      terminal.out.write(
        formatTable(
          ['TYPE', 'SIZE', 'LAST USED', 'ID'],
          items.map(({ kind, id, bytes, lastUsedMs }) => [
            kind,
            formatSize(bytes),
            formatAge(lastUsedMs, clock.now()),
            id,
          ]),
        ),
      );
    }
    return exitCodes.ok;
  });
}

function usesOf(items: readonly StoreItem[]): KindUse[] {
  const kinds = ['result', 'unpacked', 'cache-mount', 'git', 'packages', 'code', 'garbage'] as const;
  return kinds.map((kind) => {
    const own = items.filter((item) => item.kind === kind);
    const bytes = own.reduce((sum, item) => sum + item.bytes, 0);
    return { kind, count: own.length, bytes, reclaimable: bytes };
  });
}

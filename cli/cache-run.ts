import { open } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  type CacheName,
  CacheStore,
  exportCaches,
  importCaches,
  type StoredCache,
  type Workshop,
  writeOutputStream,
} from '../builder/index.ts';
import { diskUseOf, errorCode, NotFoundError, nearest, ToolError } from '../core/index.ts';
import { formatAge } from './age.ts';
import type { CacheFlags } from './commands/cache.ts';
import { openWorkshop } from './compose.ts';
import type { Context } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { withRootFileSystems } from './privilege.ts';
import { formatSize, parseSize } from './size.ts';
import { formatTable } from './table.ts';
import { harmlessLine } from './terminal-text.ts';
import { warn } from './warn.ts';

/** `kiln cache`. What is in caches belongs to ids that only the store's own root may read. */
export async function runCache(
  context: Context,
  flags: CacheFlags,
  action: string,
  ids: readonly string[],
): Promise<number> {
  const actions = { ls: listCaches, export: exportThem, import: importThem, rm: removeThem };
  if (!Object.hasOwn(actions, action)) {
    const near = nearest(action, Object.keys(actions));
    throw new ToolError('USAGE_ARGUMENTS', `kiln cache has no ${JSON.stringify(action)}`, {
      hint: near === undefined ? 'write ls, export, import or rm' : `did you mean kiln cache ${near}?`,
    });
  }
  checkUsage(context, flags, action, ids);
  return withRootFileSystems(context, async () => {
    await using workshop = await openWorkshop(context);
    await actions[action as keyof typeof actions](context, workshop, flags, ids);
    return exitCodes.ok;
  });
}

/** All that can be known before the store is opened. */
function checkUsage({ terminal }: Context, flags: CacheFlags, action: string, ids: readonly string[]): void {
  maxBytesOf(flags);
  if (action === 'export' && flags.output === undefined) {
    throw new ToolError('USAGE_ARGUMENTS', 'kiln cache export needs a place for the archive', {
      hint: 'write -o FILE, or -o - for stdout',
    });
  }
  if (action === 'export' && flags.output === '-' && terminal.out.isTerminal) {
    throw new ToolError('USAGE_ARGUMENTS', 'an archive is not written to a terminal', { hint: 'write -o FILE' });
  }
  if (action === 'import' && ids.length !== 1) {
    throw new ToolError('USAGE_ARGUMENTS', 'kiln cache import takes one archive', {
      hint: 'write kiln cache import FILE, or - for stdin',
    });
  }
  if (action === 'rm' && ids.length === 0) {
    throw new ToolError('USAGE_ARGUMENTS', 'kiln cache rm needs the ID of a cache', { hint: 'see: kiln cache ls' });
  }
}

async function listCaches(
  context: Context,
  workshop: Workshop,
  flags: CacheFlags,
  ids: readonly string[],
): Promise<void> {
  const { terminal, clock, signal } = context;
  const caches = chosen(await new CacheStore(workshop).list(), ids);
  const sized = [];
  for (const cache of caches) sized.push({ cache, bytes: (await diskUseOf(cache.folder, { signal })).bytes });
  if (flags.json) {
    for (const { cache, bytes } of sized) {
      const { id, platform, instance, lastUsedMs } = cache;
      const lastUsed = new Date(lastUsedMs).toISOString();
      terminal.out.write(`${JSON.stringify({ id, platform, instance, sizeBytes: bytes, lastUsed })}\n`);
    }
    return;
  }
  const rows = sized.map(({ cache, bytes }) => [
    cache.instance === 0 ? cache.id : `${cache.id} (${cache.instance + 1})`,
    cache.platform,
    formatSize(bytes),
    formatAge(cache.lastUsedMs, clock.now()),
  ]);
  terminal.out.write(formatTable(['ID', 'PLATFORM', 'SIZE', 'LAST USED'], rows));
}

async function exportThem(
  context: Context,
  workshop: Workshop,
  flags: CacheFlags,
  ids: readonly string[],
): Promise<void> {
  const { terminal, signal } = context;
  const all = chosen(await new CacheStore(workshop).list(), ids);
  await using exported = await exportCaches(
    workshop,
    all.filter(({ instance }) => instance === 0),
    { ...maxBytesOf(flags), onWait: (cache) => sayWaiting(context, cache), signal },
  );
  const { output = '-' } = flags;
  if (output === '-') await writeOut(exported.tar, context);
  else await writeWhole(path.resolve(context.folder, output), exported.tar, output, context);
  for (const cache of exported.caches) terminal.err.write(`exported ${shownName(cache)}\n`);
  for (const cache of exported.leftOut) warn(context, `${shownName(cache)} is left out: --max-size is reached`);
  const skipped = exported.skipped();
  if (skipped > 0) warn(context, `${skipped} files are left out: devices, pipes, sockets, or named .wh.…`);
}

async function importThem(
  context: Context,
  workshop: Workshop,
  flags: CacheFlags,
  [file = '-']: readonly string[],
): Promise<void> {
  const { terminal, signal, folder } = context;
  const archive = file === '-' ? terminal.input : await openArchive(path.resolve(folder, file), file);
  const onWait = (cache: CacheName) => sayWaiting(context, cache);
  const shown = file === '-' ? 'stdin' : file;
  const imported = await importCaches(workshop, archive, { ...maxBytesOf(flags), shown, onWait, signal });
  for (const cache of imported) {
    terminal.out.write(flags.json ? `${JSON.stringify(cache)}\n` : `${harmlessLine(shownName(cache))}\n`);
  }
}

async function removeThem({ terminal }: Context, workshop: Workshop, _flags: CacheFlags, ids: readonly string[]) {
  const store = new CacheStore(workshop);
  for (const cache of chosen(await store.list(), ids)) {
    await store.remove(cache);
    terminal.out.write(`${harmlessLine(shownName(cache))}\n`);
  }
}

/** Those with one of the ids, or all. @throws NotFoundError CACHE_NOT_FOUND */
function chosen(caches: readonly StoredCache[], ids: readonly string[]): readonly StoredCache[] {
  const known = [...new Set(caches.map(({ id }) => id))];
  for (const id of ids) {
    if (known.includes(id)) continue;
    const near = nearest(id, known);
    throw new NotFoundError('CACHE_NOT_FOUND', `there is no cache ${JSON.stringify(id)}`, {
      hint: near === undefined ? 'see: kiln cache ls' : `did you mean ${near}?`,
    });
  }
  return ids.length === 0 ? caches : caches.filter(({ id }) => ids.includes(id));
}

function shownName({ id, platform }: CacheName): string {
  return `${id} (${platform})`;
}

function sayWaiting(context: Context, cache: CacheName): void {
  context.terminal.say(`kiln: waiting for a build that uses the cache ${harmlessLine(cache.id)}`);
}

function maxBytesOf(flags: CacheFlags): { readonly maxBytes?: number } {
  const text = flags['max-size'];
  return text === undefined ? {} : { maxBytes: parseSize(text, '--max-size') };
}

async function openArchive(file: string, shown: string): Promise<Readable> {
  try {
    const handle = await open(file);
    if ((await handle.stat()).isDirectory()) {
      await handle.close();
      throw Object.assign(new Error('it is a folder'), { code: 'EISDIR' });
    }
    return handle.createReadStream({ highWaterMark: 1 << 20 });
  } catch (cause) {
    throw new ToolError('USAGE_ARGUMENTS', `the archive ${shown} cannot be read (${errorCode(cause)})`, { cause });
  }
}

/** By the stream itself: it says when there is room for more, which the terminal's `write` does not. */
async function writeOut(tar: Readable, { signal }: Context): Promise<void> {
  try {
    await pipeline(tar, process.stdout, { signal, end: false });
    // The process exits when this is done: what is still held back would be lost.
    const flushed = Promise.withResolvers<void>();
    process.stdout.write('', (error) => (error ? flushed.reject(error) : flushed.resolve()));
    await flushed.promise;
  } catch (cause) {
    throw outputError(cause, 'stdout', signal);
  }
}

/** A file that is there is a whole archive; pipes and devices are written to. */
async function writeWhole(file: string, tar: Readable, shown: string, { signal }: Context): Promise<void> {
  try {
    await writeOutputStream({ kind: 'file', file }, tar, { signal });
  } catch (cause) {
    throw outputError(cause, shown, signal);
  }
}

function outputError(cause: unknown, shown: string, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (cause instanceof ToolError) return cause;
  return new ToolError('OUTPUT_FAILED', `${shown} cannot be written (${errorCode(cause)})`, { cause });
}

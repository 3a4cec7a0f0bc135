import { chmod, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RecordStore } from '../workshop/record-store.ts';
import { type CopyBench, openCopyBench } from './copy-bench.testing.ts';
import { DigestCache } from './digest-cache.ts';
import { listingOf } from './listing.ts';
import { selectSources } from './select.ts';

let bench: CopyBench;
let context: string;
let records: RecordStore;
const put: CopyBench['put'] = (files) => bench.put(files);
const tree: CopyBench['tree'] = (...args) => bench.tree(...args);

beforeEach(async () => {
  bench = await openCopyBench();
  ({ context, records } = bench);
});
afterEach(() => bench[Symbol.asyncDispose]());

async function digest(source = tree(), digests = cache()): Promise<string> {
  return (await listingOf(await selectSources(source, ['.'], []), digests)).digest;
}

/** Files count as settled: the clock is a minute ahead. */
function cache(nowMs = Date.now() + 60_000): DigestCache {
  return new DigestCache(records, nowMs);
}

describe('listingOf', () => {
  it('does not see ownership, times and umask', async () => {
    await put({ 'd/x': 'x' });
    const before = await digest();
    await chmod(path.join(context, 'd/x'), 0o600);
    await chmod(path.join(context, 'd'), 0o700);
    await utimes(path.join(context, 'd/x'), 1, 1);

    expect(await digest()).toBe(before);
  });

  it('sees content, names, types and the executable bit', async () => {
    await put({ x: 'x', y: 'y' });
    const seen = [await digest()];
    await writeFile(path.join(context, 'x'), 'z');
    seen.push(await digest());
    await chmod(path.join(context, 'x'), 0o755);
    seen.push(await digest());
    await rm(path.join(context, 'y'));
    seen.push(await digest());
    await symlink('x', path.join(context, 'y'));
    seen.push(await digest());

    expect(new Set(seen).size).toBe(5);
  });

  it('is stopped in the middle of a big file', async () => {
    await put({ big: 'x'.repeat(40 * 1024 * 1024) });
    const matches = await selectSources(tree(), ['big'], []);
    const controller = new AbortController();
    const listing = listingOf(matches, cache(), controller);
    controller.abort();

    await expect(listing).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('fails when a file changed since it was looked at', async () => {
    for (const size of [3, 3_000_000]) {
      await put({ x: 'x'.repeat(size) });
      const matches = await selectSources(tree(), ['x'], []);
      await put({ x: 'y'.repeat(size) });
      await utimes(path.join(context, 'x'), 1, 1);

      await expect(listingOf(matches, cache())).rejects.toMatchObject({ code: 'COPY_FILE_CHANGED' });
    }
  });

  it('keeps modes when asked to', async () => {
    await put({ x: 'x' });
    const before = await digest(tree('', ['mode']));
    await chmod(path.join(context, 'x'), 0o640);

    expect(await digest(tree('', ['mode']))).not.toBe(before);
  });
});

describe('DigestCache', () => {
  it('does not read again what has not changed since', async () => {
    await put({ x: 'x' });
    const first = cache();
    const before = await digest(tree(), first);
    await first.save();
    const record = await records.read('contexts-v2', context);
    const lying = { ...(record as object), digests: Buffer.alloc(32).toString('base64') };
    await records.write('contexts-v2', context, lying);

    expect(await digest(tree(), cache())).not.toBe(before);
  });

  it.each([
    [{ junk: 'x' }],
    [{ paths: 'x//y', stamps: '', digests: '', ages: '' }],
    [{ paths: 'x', stamps: 7, digests: '', ages: '' }],
  ])('takes a record it cannot read for nothing: %j', async (record) => {
    await put({ x: 'x' });
    const before = await digest();
    await records.write('contexts-v2', context, record);

    expect(await digest()).toBe(before);
  });

  it('reads a file again that was written just before', async () => {
    await put({ x: 'x' });
    const racy = cache(Date.now());
    await digest(tree(), racy);
    await racy.save();

    expect(await records.read('contexts-v2', context)).toBeUndefined();
  });

  it('keeps what a build did not ask for, for a while', async () => {
    await put({ 'a/x': 'x', 'b/y': 'y' });
    const both = cache();
    await digest(tree(), both);
    await both.save();
    for (let build = 0; build < 3; build++) {
      await writeFile(path.join(context, 'b/y'), `${build}`);
      const some = cache();
      await listingOf(await selectSources(tree(), ['b'], []), some);
      await some.save();
    }
    const record = (await records.read('contexts-v2', context)) as { paths: string; ages: string };

    expect(record.paths).toBe('a/x//b/y');
    expect([...Buffer.from(record.ages, 'base64')]).toEqual([3, 0]);
  });
});

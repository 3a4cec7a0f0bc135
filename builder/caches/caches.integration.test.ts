import { existsSync } from 'node:fs';
import { chown, link, lstat, mkdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { byteString, type Entry, encodeLayer } from '../../runtime/index.ts';
import { missing } from '../../test/requirements.ts';
import { openTestWorkshop, type TestWorkshop } from '../../test/workshop.ts';
import { CacheStore } from './cache-store.ts';
import { exportCaches } from './export-caches.ts';
import { importCaches } from './import-caches.ts';

const platform = 'linux/amd64';
const owner = { uid: 0, gid: 0 };
const quiet = { onWait: () => {}, shown: 'caches.tar' };

let bench: TestWorkshop;
let caches: CacheStore;

beforeEach(async () => {
  bench = await openTestWorkshop();
  caches = new CacheStore(bench.workshop);
});
afterEach(() => bench[Symbol.asyncDispose]());

/** A cache with a file that says its id. */
async function fill(id: string): Promise<string> {
  await using cache = await caches.open({ id, platform }, 'shared', { owner });
  await writeFile(path.join(cache.folder, 'file'), id);
  return cache.folder;
}

async function archiveOf(...ids: readonly string[]): Promise<Buffer> {
  const chosen = (await caches.list()).filter(({ id }) => ids.includes(id));
  await using exported = await exportCaches(bench.workshop, chosen, quiet);
  return Buffer.concat(await exported.tar.toArray());
}

/** An archive with these entries after a manifest that names one cache. */
async function forged(entries: readonly Entry[], manifest: unknown = oneCache): Promise<Readable> {
  const bytes = Buffer.from(typeof manifest === 'string' ? manifest : JSON.stringify(manifest));
  const first: Entry = { ...file('kiln-caches.json'), size: bytes.length, content: { kind: 'bytes', bytes } };
  return encodeLayer(Readable.from([first, ...entries]));
}

const oneCache = { format: 'kiln-caches', version: 1, caches: [{ id: 'x', platform, folder: 'caches/0' }] };
const metadata = { mode: 0o755, uid: 0, gid: 0, mtime: { seconds: 1, nanoseconds: 0 } };

function folder(name: string): Entry {
  return { ...metadata, type: 'directory', path: byteString(name) };
}

function file(name: string, text = 'x'): Extract<Entry, { type: 'file' }> {
  const bytes = Buffer.from(text);
  return { ...metadata, type: 'file', path: byteString(name), size: bytes.length, content: { kind: 'bytes', bytes } };
}

describe.skipIf(missing('root', 'overlay', 'busybox'))('CacheStore', () => {
  it('makes a cache once, remembers when it was used, and forgets it', async () => {
    const made = await fill('/root/.npm');
    await fill('/root/.npm');

    const [cache, ...others] = await caches.list();
    expect(others).toEqual([]);
    expect(cache).toMatchObject({ id: '/root/.npm', platform, instance: 0, folder: made });
    expect(Date.now() - (cache?.lastUsedMs ?? 0)).toBeLessThan(60_000);
    if (cache !== undefined) await caches.remove(cache);
    expect(await caches.list()).toEqual([]);
    expect(existsSync(made)).toBe(false);
  });

  it('keeps caches of two platforms apart', async () => {
    await fill('a');
    await using _other = await caches.open({ id: 'a', platform: 'linux/arm64' }, 'locked', { owner });

    expect((await caches.list()).map((cache) => cache.platform)).toEqual([platform, 'linux/arm64']);
  });

  it('lets those who share go on together, and has those who lock wait', async () => {
    const waited: string[] = [];
    const first = await caches.open({ id: 'a', platform }, 'shared', { owner });
    await using second = await caches.open({ id: 'a', platform }, 'shared', { owner });
    const locked = caches.open({ id: 'a', platform }, 'locked', { owner, onWait: () => waited.push('locked') });
    await first[Symbol.asyncDispose]();
    await second[Symbol.asyncDispose]();

    await using third = await locked;

    expect(waited).toEqual(['locked']);
    expect(third.folder).toBe(first.folder);
  });

  it('gives who wants it private another one while it is in use, and removes none that is', async () => {
    await using first = await caches.open({ id: 'a', platform }, 'shared', { owner });
    await using second = await caches.open({ id: 'a', platform }, 'private', { owner });

    const [cache] = await caches.list();
    if (cache === undefined) throw new TypeError('there is no cache');
    expect(second.folder).not.toBe(first.folder);
    await expect(caches.remove(cache)).rejects.toMatchObject({ code: 'CACHE_IN_USE' });
  });

  it('stops waiting when it is told to', async () => {
    await using _held = await caches.open({ id: 'a', platform }, 'locked', { owner });
    const signal = AbortSignal.timeout(50);

    await expect(caches.open({ id: 'a', platform }, 'locked', { owner, signal })).rejects.toThrow();
  });

  it('begins anew where the description of a cache was lost', async () => {
    const made = await fill('a');
    await writeFile(path.join(path.dirname(made), 'cache.json'), '');

    await using cache = await caches.open({ id: 'a', platform }, 'shared', { owner });

    expect(existsSync(path.join(cache.folder, 'file'))).toBe(false);
    expect(await caches.list()).toHaveLength(1);
  });
});

describe.skipIf(missing('root', 'overlay', 'busybox'))('archives of caches', () => {
  it('carry files with their owners, modes, times and links from store to store', async () => {
    const made = await fill('/root/.cache');
    const deep = path.join(made, 'deep');
    await mkdir(deep, { mode: 0o700 });
    await symlink('../file', path.join(deep, 'link'));
    await chown(path.join(made, 'file'), 1000, 1001);
    await utimes(path.join(made, 'file'), 5, 1_000_000);
    await fill('other');
    const archive = await archiveOf('/root/.cache', 'other');
    await using elsewhere = await openTestWorkshop();

    const imported = await importCaches(elsewhere.workshop, Readable.from([archive]), quiet);

    expect(imported.map(({ id }) => id)).toEqual(['/root/.cache', 'other']);
    const [cache] = await new CacheStore(elsewhere.workshop).list();
    const copy = cache?.folder ?? '';
    expect(await readFile(path.join(copy, 'deep', 'link'), 'utf8')).toBe('/root/.cache');
    const found = await lstat(path.join(copy, 'file'));
    expect(found).toMatchObject({ uid: 1000, gid: 1001, mtimeMs: 1_000_000_000 });
    expect((await lstat(path.join(copy, 'deep'))).mode & 0o777).toBe(0o700);
    expect((await lstat(copy)).mode & 0o777).toBe(0o755);
  });

  it('take the place of what is there, compressed or not', async () => {
    await fill('a');
    const archive = await archiveOf('a');
    await using cache = await caches.open({ id: 'a', platform }, 'shared', { owner });
    await writeFile(path.join(cache.folder, 'later'), 'x');
    await cache[Symbol.asyncDispose]();

    await importCaches(bench.workshop, Readable.from([gzipSync(archive)]), quiet);

    const [now] = await caches.list();
    expect(existsSync(path.join(now?.folder ?? '', 'later'))).toBe(false);
    expect(await readFile(path.join(now?.folder ?? '', 'file'), 'utf8')).toBe('a');
  });

  it('leave out what no layer holds, and keep its other names', async () => {
    const made = await fill('a');
    await writeFile(path.join(made, '.wh.first'), 'content');
    await link(path.join(made, '.wh.first'), path.join(made, 'second'));
    await link(path.join(made, '.wh.first'), path.join(made, 'third'));
    await using exported = await exportCaches(bench.workshop, await caches.list(), quiet);
    const archive = Buffer.concat(await exported.tar.toArray());
    expect(exported.skipped()).toBe(1);
    await exported[Symbol.asyncDispose]();

    await importCaches(bench.workshop, Readable.from([archive]), quiet);

    const [now] = await caches.list();
    expect(await readFile(path.join(now?.folder ?? '', 'third'), 'utf8')).toBe('content');
    expect((await lstat(path.join(now?.folder ?? '', 'second'))).nlink).toBe(2);
  });

  it('leave out what was not used for longest beyond a size, and are refused beyond one', async () => {
    for (const id of ['old', 'new']) {
      const made = await fill(id);
      await writeFile(path.join(made, 'big'), Buffer.alloc(100_000, id));
    }
    const [newer, older] = await caches.list();
    await utimes(path.dirname(older?.folder ?? ''), 1, 1);
    await using exported = await exportCaches(bench.workshop, await caches.list(), { ...quiet, maxBytes: 150_000 });
    const archive = Buffer.concat(await exported.tar.toArray());
    await exported[Symbol.asyncDispose]();

    expect(exported.caches.map(({ id }) => id)).toEqual([newer?.id]);
    expect(exported.leftOut.map(({ id }) => id)).toEqual([older?.id]);
    const refused = importCaches(bench.workshop, Readable.from([archive]), { ...quiet, maxBytes: 50_000 });
    await expect(refused).rejects.toMatchObject({ code: 'CACHE_ARCHIVE_TOO_LARGE' });
  });

  it('may not unpack to more than is allowed, however small they are', async () => {
    const archive = gzipSync(Buffer.alloc(64 * 1024 * 1024));

    const refused = importCaches(bench.workshop, Readable.from([archive]), { ...quiet, maxBytes: 1_000_000 });

    await expect(refused).rejects.toMatchObject({ code: expect.stringMatching(/^(CACHE_ARCHIVE|LAYER)_/) });
  });

  const device: Entry = { ...metadata, type: 'character', path: byteString('caches/0/dev'), major: 1, minor: 1 };
  const intoOther: Entry = { ...file('caches/0/l'), type: 'hardlink', target: byteString('etc/passwd') } as never;

  it.each<[string, readonly Entry[], unknown?]>([
    ['a file outside', [folder('caches/0'), file('other')]],
    ['a file in a cache that is not named', [folder('caches/0'), file('caches/1/x')]],
    ['a file in place of a cache', [file('caches/0')]],
    ['nothing of a cache', []],
    ['a device', [folder('caches/0'), device]],
    ['a whiteout', [folder('caches/0'), { type: 'whiteout', path: byteString('caches/0/x') }]],
    ['a link out of its cache', [folder('caches/0'), intoOther]],
    ['a link in place of a cache', [{ ...file('caches/0'), type: 'symlink', target: byteString('/etc') } as never]],
    ['no manifest', [folder('caches/0')], 'no json'],
    ['the manifest of another version', [folder('caches/0')], { ...oneCache, version: 2 }],
    [
      'a manifest with another folder',
      [folder('caches/0')],
      { ...oneCache, caches: [{ id: 'x', platform, folder: '../..' }] },
    ],
    [
      'a manifest with an unusable id',
      [folder('caches/0')],
      { ...oneCache, caches: [{ id: 'a\nb', platform, folder: 'caches/0' }] },
    ],
  ])('are refused with %s, and change nothing', async (_what, entries, manifest) => {
    const made = await fill('x');

    const refused = importCaches(bench.workshop, await forged(entries, manifest), quiet);

    await expect(refused).rejects.toMatchObject({
      code: 'CACHE_ARCHIVE_INVALID',
      message: expect.stringContaining('archive'),
    });
    expect(await readFile(path.join(made, 'file'), 'utf8')).toBe('x');
  });

  it.each([
    ['a text', 'no archive at all\n', 'it does not begin with kiln-caches.json'],
    ['random bytes', Buffer.alloc(4096, 7), 'it does not begin with kiln-caches.json'],
    ['nothing', '', 'it is empty'],
    ['gzip of nothing', Buffer.from([0x1f, 0x8b, 0, 0]), 'it does not begin with kiln-caches.json'],
  ])('are refused by name when the file is %s', async (_what, bytes, problem) => {
    const refused = importCaches(bench.workshop, Readable.from([Buffer.from(bytes)]), quiet);

    await expect(refused).rejects.toMatchObject({
      code: 'CACHE_ARCHIVE_INVALID',
      message: `caches.tar is not an archive that kiln cache export wrote: ${problem}`,
    });
  });

  it('are refused when they are cut off', async () => {
    await fill('x');
    const archive = await archiveOf('x');

    const refused = importCaches(bench.workshop, Readable.from([archive.subarray(0, -1600)]), quiet);

    await expect(refused).rejects.toMatchObject({ message: expect.stringContaining('it is damaged or cut off') });
  });

  it('do not write through a link out of the store', async () => {
    const target = path.join(bench.context, 'target');
    await mkdir(target);
    const link: Entry = { ...metadata, type: 'symlink', path: byteString('caches/0/l'), target: byteString(target) };

    await importCaches(bench.workshop, await forged([folder('caches/0'), link, file('caches/0/l/x')]), quiet).catch(
      () => undefined,
    );

    expect(existsSync(path.join(target, 'x'))).toBe(false);
  });

  it('wait for a build that uses a cache', async () => {
    await fill('a');
    const waited: string[] = [];
    const inUse = await caches.open({ id: 'a', platform }, 'shared', { owner });
    const exporting = exportCaches(bench.workshop, await caches.list(), { onWait: ({ id }) => waited.push(id) });
    await writeFile(path.join(inUse.folder, 'file'), 'in time');
    await inUse[Symbol.asyncDispose]();

    await using exported = await exporting;

    expect(Buffer.concat(await exported.tar.toArray()).includes('in time')).toBe(true);
    expect(waited).toEqual(['a']);
  });
});

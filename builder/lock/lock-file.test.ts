import { link, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LockFolder, sha256 } from '../../core/index.ts';
import type { LockChange } from './lock-content.ts';
import { changeLock, type LockPlace, lockPlace, openOwn, readLock } from './lock-file.ts';

let folder: string;
let place: LockPlace;
let locks: LockFolder;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'kiln-lock-'));
  place = lockPlace(path.join(folder, 'project', 'Buildfile'), 'Buildfile');
  locks = new LockFolder(path.join(folder, 'locks'));
  await mkdir(path.dirname(place.file));
});
afterEach(() => rm(folder, { recursive: true }));

function image(name: string): LockChange {
  return { kind: 'images', key: `a.example/${name}:1`, value: sha256(name) };
}

describe('changeLock', () => {
  it('makes the file, and adds to it what others have not', async () => {
    await changeLock(place, [image('a')], locks);
    await changeLock(place, [image('b')], locks);

    expect([...((await readLock(place))?.images.keys() ?? [])]).toEqual(['a.example/a:1', 'a.example/b:1']);
    expect(await readdir(path.dirname(place.file))).toEqual(['Buildfile.lock']);
  });

  it('loses nothing of what many add at once', async () => {
    const names = Array.from({ length: 12 }, (_, index) => `n${index}`);

    await Promise.all(names.map((name) => changeLock(place, [image(name)], locks)));

    expect((await readLock(place))?.images.size).toBe(12);
  });

  it('leaves a file alone that says it all, however it says it', async () => {
    const text = `# mine\r\nversion = 1\r\n[images]\r\n'a.example/a:1' = '${sha256('a')}'\r\n`;
    await writeFile(place.file, text, { mode: 0o600 });
    const before = await stat(place.file);

    expect(await changeLock(place, [image('a')], locks)).toBe(false);
    expect(await readFile(place.file, 'utf8')).toBe(text);
    expect((await stat(place.file)).ino).toBe(before.ino);

    expect(await changeLock(place, [image('b')], locks)).toBe(true);
    expect((await stat(place.file)).mode & 0o777).toBe(0o600);
    expect(await readFile(place.file, 'utf8')).not.toContain('\r');
  });

  it('takes entries out, and makes no file for nothing', async () => {
    expect(await changeLock(place, [{ ...image('a'), value: undefined } as LockChange], locks)).toBe(false);
    await changeLock(place, [image('a'), image('b')], locks);
    await changeLock(place, [{ ...image('a'), value: undefined } as LockChange], locks);

    expect([...((await readLock(place))?.images.keys() ?? [])]).toEqual(['a.example/b:1']);
  });

  it('does not write over a file that it cannot read', async () => {
    await writeFile(place.file, 'version = 9\n');

    await expect(changeLock(place, [image('a')], locks)).rejects.toMatchObject({ code: 'LOCK_INVALID' });
    expect(await readFile(place.file, 'utf8')).toBe('version = 9\n');
  });
});

describe('openOwn', () => {
  it("takes no link for the file that was written, whose owner and mode would become another file's", async () => {
    await writeFile(place.file, '');
    await using own = await openOwn(place.file);
    await rename(place.file, `${place.file}.old`);
    await symlink(`${place.file}.old`, place.file);
    const throughSymlink = await openOwn(place.file);
    await rm(place.file);
    await link(`${place.file}.old`, place.file);

    expect(own).toBeDefined();
    expect(throughSymlink).toBeUndefined();
    expect(await openOwn(place.file)).toBeUndefined();
    expect(await openOwn(`${place.file}.none`)).toBeUndefined();
  });
});

describe('readLock', () => {
  it('finds none where there is none', async () => {
    expect(await readLock(place)).toBeUndefined();
  });

  it('does not read what is no file', async () => {
    await mkdir(place.file);

    await expect(readLock(place)).rejects.toMatchObject({ code: 'LOCK_UNREADABLE' });
  });

  it('does not read what a symlink elsewhere leads to', async () => {
    const elsewhere = await mkdtemp(path.join(tmpdir(), 'kiln-elsewhere-'));
    await writeFile(path.join(elsewhere, 'secret'), 'hunter2\n');
    await symlink(path.join(elsewhere, 'secret'), place.file);

    await expect(readLock(place)).rejects.toMatchObject({ code: 'LOCK_UNREADABLE' });
    await rm(elsewhere, { recursive: true });
  });
});

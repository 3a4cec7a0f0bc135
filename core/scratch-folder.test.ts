import { existsSync, renameSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LockFolder } from './locks.ts';
import { ScratchSpace } from './scratch-folder.ts';

let root: string;
let locks: LockFolder;

beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'kiln-scratch-'));
  locks = new LockFolder(path.join(root, 'locks'));
});
afterEach(() => rm(root, { recursive: true }));

describe('ScratchSpace', () => {
  it('is gone with all that was made in it, lock file too', async () => {
    {
      await using space = await ScratchSpace.open(path.join(root, 'tmp'), locks);
      const made = await space.make('x');
      await writeFile(path.join(made.path, 'file'), 'x');
    }

    expect(await readdir(path.join(root, 'tmp'))).toEqual([]);
    expect(await readdir(path.join(root, 'locks'))).toEqual([]);
  });

  it('removes a folder when that is disposed, and keeps its neighbour', async () => {
    await using space = await ScratchSpace.open(path.join(root, 'tmp'), locks);
    const [a, b] = [await space.make('a'), await space.make('b')];
    await a[Symbol.asyncDispose]();

    expect([existsSync(a.path), existsSync(b.path)]).toEqual([false, true]);
  });

  it('sweeps what a dead process left, and nothing of a live one', async () => {
    await using living = await ScratchSpace.open(path.join(root, 'tmp'), locks);
    const dead = path.join(root, 'tmp', 'p-000000000000');
    await mkdir(path.join(dead, 'upper', 'd'), { recursive: true, mode: 0o700 });
    await using space = await ScratchSpace.open(path.join(root, 'tmp'), locks);
    await space.sweep();

    expect(existsSync(dead)).toBe(false);
    expect(existsSync(living.folder)).toBe(true);
    expect(existsSync(space.folder)).toBe(true);
  });

  it('removes folders that are nested deeper than a path can be long', async () => {
    const dead = path.join(root, 'tmp', 'p-000000000000');
    const deep = Array.from({ length: 18 }, () => 'd'.repeat(200)).join('/');
    for (let part = 0; part < 3; part++) {
      await mkdir(path.join(root, 'part', deep), { recursive: true });
      if (part > 0) renameSync(dead, path.join(root, 'part', deep, 'below'));
      else await mkdir(path.dirname(dead), { recursive: true });
      renameSync(path.join(root, 'part'), dead);
    }
    await using space = await ScratchSpace.open(path.join(root, 'tmp'), locks);
    await space.sweep();

    expect(existsSync(dead)).toBe(false);
  });
});

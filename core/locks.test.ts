import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempDisposable, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { sleep } from './cancellation.ts';
import { writeFileAtomic } from './disk.ts';
import { LockFolder } from './locks.ts';
import { ScratchSpace } from './scratch-folder.ts';

function temporary() {
  return mkdtempDisposable(path.join(tmpdir(), 'kiln-locks-'));
}

/** A process that holds a lock until it is killed. */
async function holder(folder: string, name: string): Promise<AsyncDisposable & { kill(): Promise<void> }> {
  const modules = new URL('./locks.ts', import.meta.url);
  const script = `
    const { LockFolder } = await import(${JSON.stringify(modules.href)});
    await new LockFolder(${JSON.stringify(folder)}).acquire(${JSON.stringify(name)}, 'exclusive');
    process.stdout.write('held');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  const kill = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  await once(child.stdout, 'data');
  return { kill, [Symbol.asyncDispose]: kill };
}

describe('LockFolder', () => {
  it('lets many share, or one exclude all others', async () => {
    await using folder = await temporary();
    const locks = new LockFolder(folder.path);
    {
      await using _first = await locks.acquire('a', 'shared');
      await using second = await locks.tryAcquire('a', 'shared');
      expect(second).toBeDefined();
      expect(await locks.tryAcquire('a', 'exclusive')).toBeUndefined();
      await using other = await locks.tryAcquire('b', 'exclusive');
      expect(other).toBeDefined();
    }
    await using _exclusive = await locks.acquire('a', 'exclusive');
    expect(await locks.tryAcquire('a', 'shared')).toBeUndefined();
    expect(await locks.tryAcquire('a', 'exclusive')).toBeUndefined();
  });

  it('waits until it is released, and not longer than its signal', async () => {
    await using folder = await temporary();
    const locks = new LockFolder(folder.path);
    const first = await locks.acquire('a', 'exclusive');

    await expect(locks.acquire('a', 'shared', { signal: AbortSignal.timeout(30) })).rejects.toThrow();
    const waiting = locks.acquire('a', 'exclusive');
    await sleep(20);
    await first[Symbol.asyncDispose]();

    await using second = await waiting;
    expect(second).toBeDefined();
  });

  it('is free again when the process that held it was killed', async () => {
    await using folder = await temporary();
    const locks = new LockFolder(folder.path);
    await using process = await holder(folder.path, 'a');
    expect(await locks.tryAcquire('a', 'exclusive')).toBeUndefined();

    await process.kill();

    await using lock = await locks.tryAcquire('a', 'exclusive');
    expect(lock).toBeDefined();
  });
});

describe('ScratchSpace', () => {
  it('removes what it made, and its own lock', async () => {
    await using folder = await temporary();
    const locks = new LockFolder(path.join(folder.path, 'locks'));
    const parent = path.join(folder.path, 'tmp');
    {
      await using space = await ScratchSpace.open(parent, locks);
      const made = await space.make('step');
      await writeFile(path.join(made.path, 'file'), 'x');
      expect(await readdir(space.folder)).toHaveLength(1);
    }

    expect(await readdir(parent)).toEqual([]);
    expect(await readdir(path.join(folder.path, 'locks'))).toEqual([]);
  });

  it('sweeps what a killed process left, and leaves what a living one uses', async () => {
    await using folder = await temporary();
    const lockFolder = path.join(folder.path, 'locks');
    const locks = new LockFolder(lockFolder);
    const parent = path.join(folder.path, 'tmp');
    await using living = await ScratchSpace.open(parent, locks);
    for (const name of ['p-held', 'p-dead']) await writeFileAtomic(path.join(parent, name, 'file'), 'x');
    await using _holder = await holder(lockFolder, 'p-held');

    await using space = await ScratchSpace.open(parent, locks);
    await space.sweep();

    const expected = [path.basename(living.folder), path.basename(space.folder), 'p-held'];
    expect((await readdir(parent)).sort()).toEqual(expected.sort());
  });
});

describe('writeFileAtomic', () => {
  it('replaces a file whole and leaves nothing beside it', async () => {
    await using folder = await temporary();
    const file = path.join(folder.path, 'deep', 'file');

    await writeFileAtomic(file, 'old');
    await Promise.all(Array.from({ length: 5 }, (_, index) => writeFileAtomic(file, `new ${index}`)));

    expect(await readdir(path.dirname(file))).toEqual(['file']);
  });

  it('leaves nothing behind when it cannot', async () => {
    await using folder = await temporary();
    await writeFileAtomic(path.join(folder.path, 'file', 'inside'), 'x');

    await expect(writeFileAtomic(path.join(folder.path, 'file'), 'y')).rejects.toThrow();

    expect(await readdir(folder.path)).toEqual(['file']);
  });
});

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { diskUseOf, parseReference } from '../../core/index.ts';
import { missing } from '../../test/requirements.ts';
import { openTestWorkshop, type TestBuild, type TestWorkshop } from '../../test/workshop.ts';
import { removeImages } from '../base/remove-image.ts';
import { type PruneOptions, pruneStore } from './prune.ts';

let bench: TestWorkshop;

const megabyte = 1024 * 1024;
const writes = (name: string) => `from = "busybox"\nsteps = [{ run = "head -c ${megabyte} /dev/urandom > /${name}" }]`;

/** As a process of its own would: this one has used everything since it began. */
async function prune(options: Partial<PruneOptions> = {}) {
  await using elsewhere = await bench.another();
  return pruneStore(elsewhere, { all: false, dryRun: false, ...options });
}

const ranSteps = (build: TestBuild): string[] => build.ran.filter((title) => title.includes('RUN'));

describe.skipIf(missing('root', 'overlay', 'busybox'))('pruneStore', () => {
  beforeEach(async () => {
    bench = await openTestWorkshop();
  });
  afterEach(() => bench[Symbol.asyncDispose]());

  it('removes what nothing refers to, and nothing else', async () => {
    const first = await bench.build(writes('a'));
    await bench.workshop.content.ingest(Readable.from([Buffer.alloc(5000)]));
    await bench.close();

    const { removed } = await prune();
    await bench.reopen();
    const again = await bench.build(writes('a'));

    expect(removed.map(({ kind }) => kind)).toEqual(['garbage']);
    expect(ranSteps(again)).toEqual([]);
    expect(again.descriptor.digest).toBe(first.descriptor.digest);
  });

  it('frees results and unpacked layers on demand; images with names stay whole', async () => {
    const { image } = await bench.build(writes('a'));
    await bench.build(writes('b'), { target: 'main' });
    await bench.close();
    const before = (await diskUseOf(bench.home)).bytes;

    const { removed, remainingBytes } = await prune({ all: true });
    await bench.reopen();

    expect(new Set(removed.map(({ kind }) => kind))).toEqual(new Set(['garbage', 'result', 'unpacked']));
    expect(before - remainingBytes).toBeGreaterThan(megabyte);
    // The name moved on to the second image.
    expect(await bench.workshop.content.has(image.descriptor)).toBe(false);
    expect(await bench.workshop.content.resolve('docker.io/library/result:latest')).toBeDefined();
    expect(ranSteps(await bench.build(writes('a')))).toHaveLength(1);
  });

  it('keeps the store below a size, longest unused first', async () => {
    for (const name of ['a', 'b', 'c']) {
      await bench.build(writes(name));
      await sleep(20);
    }
    await removeImages(bench.workshop, [parseReference('result')]);
    await bench.close();
    const { bytes } = await diskUseOf(bench.home);

    // Each result is a blob and an unpacked layer of a megabyte.
    const { remainingBytes } = await prune({ maxBytes: bytes - 3.5 * megabyte });
    await bench.reopen();

    expect(remainingBytes).toBeLessThanOrEqual(bytes - 3.5 * megabyte);
    expect(ranSteps(await bench.build(writes('c')))).toEqual([]);
    expect(ranSteps(await bench.build(writes('a')))).toHaveLength(1);
  });

  it('removes listings of files whose steps are forgotten, and keeps those of steps that are not', async () => {
    const copies = 'from = "busybox"\nsteps = [{ copy = "f", to = "/f" }]';
    const listings = async () => {
      const keys: string[] = [];
      for await (const { key } of bench.workshop.records.entries('listings-v1')) keys.push(key);
      return keys;
    };
    await writeFile(path.join(bench.context, 'f'), 'first');
    await bench.build(copies);
    const [first] = await listings();
    await writeFile(path.join(bench.context, 'f'), 'second, which has the name now');
    await bench.build(copies);
    await bench.close();

    await prune({ all: true });

    await bench.reopen();
    const left = await listings();
    expect(left).toHaveLength(1);
    expect(left).not.toContain(first);
    expect((await bench.build(copies)).ran.filter((title) => title.includes('COPY'))).toEqual([]);
  });

  it('says what it would do, and does nothing', async () => {
    await bench.build(writes('a'));
    await removeImages(bench.workshop, [parseReference('result')]);
    await bench.close();
    const before = (await diskUseOf(bench.home)).bytes;

    const { removed, freedBytes } = await prune({ all: true, dryRun: true });

    expect(removed.length).toBeGreaterThan(0);
    expect(freedBytes).toBeGreaterThan(2 * megabyte);
    // Folders of the process itself come and go.
    expect(Math.abs((await diskUseOf(bench.home)).bytes - before)).toBeLessThan(megabyte / 10);
  });

  it('leaves alone what a process that goes on has used, and takes what a killed one had', async () => {
    await bench.build(writes('old'));
    await removeImages(bench.workshop, [parseReference('result')]);
    await sleep(250);
    await bench.close();
    await bench.reopen();
    await sleep(250);
    await bench.build(writes('used'));
    await removeImages(bench.workshop, [parseReference('result')]);

    const { removed } = await prune({ all: true });

    expect(removed.filter(({ kind }) => kind === 'result')).toHaveLength(1);
    expect(ranSteps(await bench.build(writes('used')))).toEqual([]);
    expect(ranSteps(await bench.build(writes('old')))).toHaveLength(1);

    await bench.close();
    // What a killed process leaves behind.
    await writeFile(path.join(bench.home, 'locks', 'present-0123.lock'), '');
    expect((await prune({ all: true })).removed.filter(({ kind }) => kind === 'result')).toHaveLength(1);
    await bench.reopen();
  });
});

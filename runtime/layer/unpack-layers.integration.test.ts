import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { errorCode } from '../../core/index.ts';
import { missing } from '../../test/requirements.ts';
import { openLauncher } from '../launcher.ts';
import { applyEntries } from './apply.ts';
import { treeOf } from './changes.ts';
import type { Entry } from './entry.ts';
import { mergedEntries } from './merge.ts';
import {
  diffIdOf,
  directory,
  file,
  hardLink,
  lowerLayer,
  opaque,
  streamOfTar,
  symlink,
  tarOf,
  upperLayer,
  whiteout,
} from './odd-layers.testing.ts';
import { unpackLayers } from './unpack-layers.ts';

const launcher = await openLauncher();

/** Both ways to unpack, each in a folder of its own. */
async function openBench() {
  const folder = await mkdtempDisposable(path.join(tmpdir(), 'kiln-unpack-'));
  const fresh = (name: string): string => {
    rmSync(path.join(folder.path, name), { recursive: true, force: true });
    mkdirSync(path.join(folder.path, name));
    return path.join(folder.path, name);
  };
  return {
    async streamed(tars: readonly Buffer[], adapt: (entry: Entry) => Entry | undefined = (entry) => entry) {
      const root = fresh('streamed');
      const layers = tars.map((tar) => ({ diffId: diffIdOf(tar), open: async () => streamOfTar(tar) }));
      await unpackLayers(launcher, layers, root, { userXattrs: false, adapt });
      return tarOf(treeOf(launcher, root));
    },
    async merged(tars: readonly Buffer[]) {
      const root = fresh('merged');
      const files = tars.map((tar, index) => {
        writeFileSync(path.join(folder.path, `${index}.tar`), tar);
        return path.join(folder.path, `${index}.tar`);
      });
      await applyEntries(launcher, mergedEntries(files, { isComplete: true }), root, { userXattrs: false });
      return tarOf(treeOf(launcher, root));
    },
    [Symbol.asyncDispose]: () => folder.remove(),
  };
}

describe.skipIf(missing('root'))('unpackLayers', () => {
  it.each<readonly [string, readonly (readonly Entry[])[]]>([
    ['odd layers', [lowerLayer, upperLayer({ withDevices: true })]],
    [
      'what is replaced',
      [
        [file('a', 'low'), directory('d'), file('d/x')],
        [file('a', 'high'), file('d', 'now a file')],
      ],
    ],
    ['files hidden by a directory', [[file('a')], [directory('a'), file('a/b')]]],
    ['a directory described below only', [[directory('d', { mode: 0o700 })], [file('d/x')], [file('d/y')]]],
    [
      'whiteouts',
      [
        [file('a'), file('d/x'), file('d/y')],
        [whiteout('a'), whiteout('d/x')],
      ],
    ],
    [
      'an opaque directory',
      [[file('d/x'), directory('d', { mode: 0o711 })], [file('d/y'), opaque('d')], [file('d/z')]],
    ],
    ['marks that hide nothing', [[file('a')], [whiteout('n/o'), opaque('o/p')]]],
    ['a directory after a whiteout', [[directory('d', { mode: 0o700 }), file('d/x')], [whiteout('d')], [file('d/y')]]],
    ['links to a kept file', [[file('a'), hardLink('b', 'a'), hardLink('c', 'b')], [whiteout('c')]]],
  ])('makes what the merged layers are: %s', async (_what, layers) => {
    await using bench = await openBench();
    const tars = await Promise.all(layers.map((layer) => tarOf(layer)));

    expect((await bench.streamed(tars)).equals(await bench.merged(tars))).toBe(true);
  });

  it.each<readonly [string, readonly (readonly Entry[])[]]>([
    ['a link to a file that is hidden', [[file('a'), hardLink('b', 'a')], [whiteout('a')]]],
    ['a path through a link', [[directory('real'), symlink('s', 'real'), file('s/x')]]],
    ['a path that changes its kind', [[directory('d'), file('d/x'), file('d', 'file')], [file('d/y')]]],
  ])('says what it cannot do: %s', async (_what, layers) => {
    await using bench = await openBench();
    const tars = await Promise.all(layers.map((layer) => tarOf(layer)));

    await expect(bench.streamed(tars)).rejects.toMatchObject({ code: 'LAYER_UNORDERED' });
  });

  it('leaves out what it is told to, and fails for a tar that is not the one', async () => {
    await using bench = await openBench();
    const tar = await tarOf([file('a'), file('b')]);
    const other = await tarOf([file('a')]);

    const streamed = await bench.streamed([tar], (entry) => (entry.path === 'b' ? undefined : entry));

    expect(streamed.equals(await bench.merged([other]))).toBe(true);
    await using folder = await mkdtempDisposable(path.join(tmpdir(), 'kiln-unpack-'));
    const lying = [{ diffId: diffIdOf(other), open: async () => streamOfTar(tar) }];
    const options = { userXattrs: false, adapt: (entry: Entry) => entry };
    await expect(unpackLayers(launcher, lying, folder.path, options)).rejects.toMatchObject({
      code: 'LAYER_DIFFID_MISMATCH',
    });
  });

  it('never differs from the merged layers', { timeout: 60_000 }, async () => {
    await using bench = await openBench();
    const name = fc.constantFrom('a', 'b', 'a/b', 'a/b/c', 'b/a', 'c/d');
    const entry = fc.oneof(
      fc
        .record({ kind: fc.constant('file'), name, text: fc.constantFrom('1', '2', '3') })
        .map((e) => file(e.name, e.text)),
      fc.record({ name, mode: fc.constantFrom(0o700, 0o711) }).map((e) => directory(e.name, { mode: e.mode })),
      name.map((path) => whiteout(path)),
      name.map((path) => opaque(path)),
      fc.record({ name, target: name }).map((e) => hardLink(e.name, e.target)),
      fc.record({ name, target: name }).map((e) => symlink(e.name, e.target)),
    );
    let compared = 0;

    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(entry, { maxLength: 5 }), { minLength: 1, maxLength: 3 }), async (layers) => {
        const tars = await Promise.all(layers.map((layer) => tarOf(layer)));
        const [streamed, merged] = [await attempt(() => bench.streamed(tars)), await attempt(() => bench.merged(tars))];
        if (streamed === 'LAYER_UNORDERED' || typeof merged === 'string') return;
        if (typeof streamed === 'string') throw new Error(`${streamed}, though the merged layers are fine`);
        compared++;
        expect(streamed.equals(merged)).toBe(true);
      }),
      { numRuns: 150 },
    );
    expect(compared).toBeGreaterThan(20);
  });
});

/** A tar, or the code of the error. */
async function attempt(task: () => Promise<Buffer>): Promise<Buffer | string> {
  try {
    return await task();
  } catch (error) {
    return errorCode(error) ?? String(error);
  }
}

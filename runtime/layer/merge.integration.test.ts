import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LockFolder, streamOf } from '../../core/index.ts';
import { missing } from '../../test/requirements.ts';
import { RootView } from '../snapshot/root-view.ts';
import { layerSource, openTestStore, type TestStore } from '../snapshot/snapshot-store.testing.ts';
import { treeOf } from './changes.ts';
import { decompressed } from './decompress.ts';
import type { Entry } from './entry.ts';
import { mergedEntries } from './merge.ts';
import {
  diffIdOf,
  directory,
  file,
  hardLink,
  lowerLayer,
  opaque,
  symlink,
  tarOf,
  upperLayer,
  whiteout,
} from './odd-layers.testing.ts';

const paths = ['a', 'b', 'a/b', 'a/c', 'b/a', 'a/b/c', 'b/a/c', 'd'];
const anyPath = fc.constantFrom(...paths);
const mode = fc.constantFrom(0o755, 0o700, 0o4711);
const entry = (targets: fc.Arbitrary<string>): fc.Arbitrary<Entry> =>
  fc.oneof(
    fc.record({ path: anyPath, text: fc.constantFrom('', 'x', 'y'), mode }).map((it) => file(it.path, it.text, it)),
    fc.record({ path: anyPath, mode }).map((it) => directory(it.path, it)),
    fc.tuple(anyPath, targets).map(([name, target]) => symlink(name, target)),
    fc.tuple(anyPath, anyPath).map(([name, target]) => hardLink(name, target)),
    anyPath.map(whiteout),
    anyPath.map(opaque),
  );
const anyTarget = fc.constantFrom('a', '/b', '..', 'a/b', '/', 'new/place', '../b');

describe.skipIf(missing('root'))('mergedEntries', () => {
  let store: TestStore;
  let folder: string;
  let made = 0;
  beforeAll(async () => {
    store = await openTestStore();
    folder = path.join(store.home, 'tars');
    mkdirSync(folder);
  });
  afterAll(() => store[Symbol.asyncDispose]());

  async function merge(tars: readonly Buffer[], isComplete: boolean): Promise<Buffer> {
    const files = tars.map((tar) => {
      const name = path.join(folder, `${made++}.tar`);
      writeFileSync(name, tar);
      return name;
    });
    return tarOf(mergedEntries(files, { isComplete }));
  }

  /** What the snapshots of these layers show together; undefined when they cannot be applied. */
  async function shown(tars: readonly Buffer[]): Promise<Buffer | undefined> {
    try {
      const snapshot = await store.snapshots.ensure(tars.map((tar) => layerSource(tar)));
      const entries = await Array.fromAsync(new RootView(store.launcher, snapshot).walk(''));
      return await tarOf(entries.filter(({ path: name }) => name !== ''));
    } catch (error) {
      expect(error).toMatchObject({ code: expect.stringMatching(/^LAYER_/) });
      return undefined;
    }
  }

  const stack = fc.array(fc.array(entry(anyTarget), { minLength: 1, maxLength: 7 }), { minLength: 1, maxLength: 4 });

  it('shows what the layers show, one applied after the other', async () => {
    await fc.assert(
      fc.asyncProperty(stack, fc.nat(3), async (layers, baseLayers) => {
        const tars = await Promise.all(layers.map((layer) => tarOf(layer)));
        const expected = await shown(tars);
        const base = tars.slice(0, Math.min(baseLayers, tars.length - 1));
        const upper = tars.slice(base.length);

        const complete = await merge(tars, true).catch(() => undefined);
        const partial = await merge(upper, false).catch(() => undefined);

        if (expected === undefined) {
          expect(listing(complete)).toBe('failed');
          return;
        }
        expect(complete?.equals(expected) ? 'same' : listing(complete)).toBe('same');
        const together = partial === undefined ? undefined : await shown([...base, partial]);
        expect(together?.equals(expected) ? 'same' : listing(together)).toBe('same');
      }),
      { numRuns: 150 },
    );
  });

  it('merges the odd layers without losing anything', async () => {
    const tars = [await tarOf(lowerLayer), await tarOf(upperLayer({ withDevices: true }))];

    const merged = await merge(tars, true);

    expect(merged.equals((await shown(tars)) ?? Buffer.alloc(0))).toBe(true);
    expect((await merge([merged], true)).equals(merged)).toBe(true);
  });

  it.skipIf(missing('umoci'))('unpacks to what umoci makes of the stack', async () => {
    const layers = fc.array(fc.array(entry(fc.constantFrom('x', '/y')), { minLength: 1, maxLength: 6 }), {
      minLength: 1,
      maxLength: 3,
    });
    // umoci unpacks each layer onto those below, and takes whiteouts as they come: only layers that mean the same by
    // both readings are compared.
    await fc.assert(
      fc.asyncProperty(layers, async (stackOfLayers) => {
        const tidied = stackOfLayers.map(tidy);
        const tars = await Promise.all(tidied.map((layer) => tarOf(layer)));
        fc.pre((await shown(tars)) !== undefined);

        const merged = await merge(tars, true);

        const unpacked = await unpackedByUmoci(store, tars);
        expect(merged.equals(unpacked) ? 'same' : `${listing(merged)}\n---\n${listing(unpacked)}`).toBe('same');
      }),
      { numRuns: 15 },
    );
  });

  it('reads a compressed layer once it is decompressed', async () => {
    const { gzipSync } = await import('node:zlib');
    const tar = await tarOf([file('a')]);
    const again = await decompressed(streamOf(gzipSync(tar)), 'gzip').toArray();

    expect((await merge([Buffer.concat(again)], true)).equals(tar)).toBe(true);
  });
});

function listing(tar: Buffer | undefined): string {
  return tar === undefined ? 'failed' : execFileSync('tar', ['-tvf', '-'], { input: tar, encoding: 'utf8' });
}

/** Every directory described, each path once, marks before the rest, no path below what is no directory. */
function tidy(layer: readonly Entry[]): Entry[] {
  const byPath = new Map<string, Entry>();
  for (const each of layer) if (each.type !== 'opaque') byPath.set(each.path, each);
  const put = (name: string): void => {
    const parent = name.split('/').slice(0, -1).join('/');
    if (parent === '') return;
    byPath.set(parent, directory(parent));
    put(parent);
  };
  for (const name of [...byPath.keys()].toSorted()) put(name);
  const kept = [...byPath.values()].filter(
    (each) => each.type !== 'hardlink' || byPath.get(each.target)?.type === 'file',
  );
  const rank = ({ type }: Entry) => (type === 'whiteout' ? 0 : type === 'hardlink' ? 2 : 1);
  return kept.toSorted((a, b) => rank(a) - rank(b) || (a.path < b.path ? -1 : 1));
}

let unpackings = 0;

async function unpackedByUmoci(store: TestStore, tars: readonly Buffer[]): Promise<Buffer> {
  const { OciLayout } = await import('../../registry/index.ts');
  const { serializeImageConfig, describe: describeBytes, mediaTypes } = await import('../../core/index.ts');
  const work = path.join(store.home, `umoci-${unpackings++}`);
  const layout = await OciLayout.open(path.join(work, 'layout'), { locks: new LockFolder(path.join(work, 'locks')) });
  const put = async (type: string, bytes: Uint8Array) => {
    const descriptor = describeBytes(type, bytes);
    await layout.write(descriptor, streamOf(bytes));
    return descriptor;
  };
  const layers = await Promise.all(tars.map((tar) => put(mediaTypes.layer, tar)));
  const config = await put(
    mediaTypes.config,
    serializeImageConfig({ os: 'linux', architecture: 'amd64', config: {}, diffIds: tars.map(diffIdOf), history: [] }),
  );
  const manifest = { schemaVersion: 2, mediaType: mediaTypes.manifest, config, layers };
  await layout.tag(await put(mediaTypes.manifest, Buffer.from(JSON.stringify(manifest))), 'image');
  execFileSync('umoci', ['unpack', '--image', `${path.join(work, 'layout')}:image`, path.join(work, 'bundle')]);
  const entries = await Array.fromAsync(treeOf(store.launcher, path.join(work, 'bundle', 'rootfs')));
  return tarOf(entries);
}

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { missing } from '../../test/requirements.ts';
import { changesOf, treeOf } from '../layer/changes.ts';
import { type ByteString, byteString, type Entry } from '../layer/entry.ts';
import {
  diffIdOf,
  directory,
  file,
  hardLink,
  lowerLayer,
  symlink,
  tarOf,
  upperLayer,
  whiteout,
} from '../layer/odd-layers.testing.ts';
import { RootView } from './root-view.ts';
import { layerSource, mountedLauncher, openTestStore, type TestStore } from './snapshot-store.testing.ts';
import { type Snapshot, scratchSnapshot } from './snapshots.ts';

const lowerTar = await tarOf(lowerLayer);
const upperTar = await tarOf(upperLayer({ withDevices: true }));

/** What a root view shows, encoded, without the root itself, as `treeOf` gives it. */
async function shownBy(store: TestStore, snapshot: Snapshot): Promise<Buffer> {
  const entries = await Array.fromAsync(new RootView(store.launcher, snapshot).walk(''));
  return tarOf(entries.filter((entry) => entry.path !== ''));
}

async function shownByKernel(store: TestStore, snapshot: Snapshot): Promise<Buffer> {
  const { launcher, mount } = mountedLauncher(store, snapshot);
  return tarOf(readable(await Array.fromAsync(treeOf(launcher, mount))));
}

/** The mount is gone when its files are to be read: only what can be seen without content is compared. */
function readable(entries: readonly Entry[]): Entry[] {
  return entries.map((entry) => {
    if (entry.type !== 'file') return entry;
    const bytes = Buffer.alloc(entry.size);
    return { ...entry, content: { kind: 'bytes', bytes } };
  });
}

async function metadataShownBy(store: TestStore, snapshot: Snapshot): Promise<Buffer> {
  const entries = await Array.fromAsync(new RootView(store.launcher, snapshot).walk(''));
  return tarOf(readable(entries.filter((entry) => entry.path !== '')));
}

describe.skipIf(missing('root', 'overlay'))('Snapshots', () => {
  it('makes layers once, finds them, and makes them again after the machine was down', async () => {
    await using store = await openTestStore();
    let opened = 0;
    const layers = [lowerTar, upperTar].map((tar) => layerSource(tar, () => opened++));
    const diffIds = layers.map(({ diffId }) => diffId);

    const before = await store.snapshots.find(diffIds);
    const made = await store.snapshots.ensure(layers);
    const again = await store.snapshots.ensure(layers);

    expect(before).toBeUndefined();
    expect(made.layers.map(({ diffId }) => diffId)).toEqual(diffIds);
    expect(again).toEqual(made);
    expect(await store.snapshots.find(diffIds)).toEqual(made);
    expect(opened).toBe(2);
    const nextBoot = await store.reopen('second');
    expect(await nextBoot.find(diffIds)).toBeUndefined();
    await nextBoot.ensure(layers);
    expect(opened).toBe(4);
  });

  it('shows nothing of a layer that is not what its DiffId says, or cannot be applied', async () => {
    await using store = await openTestStore();
    const lying = { ...layerSource(upperTar), diffId: diffIdOf(lowerTar) };
    const broken = layerSource(upperTar.subarray(0, 5000));

    await expect(store.snapshots.ensure([lying])).rejects.toMatchObject({ code: 'LAYER_DIFFID_MISMATCH' });
    await expect(store.snapshots.ensure([broken])).rejects.toMatchObject({ code: 'LAYER_TRUNCATED' });

    expect(await store.snapshots.list()).toEqual([]);
    expect(readdirSync(path.join(store.home, 'snapshots', 'v1'))).toEqual([]);
  });

  it('shows what the kernel shows when it mounts the layers', async () => {
    await using store = await openTestStore();
    const third = await tarOf([
      directory('opaque'),
      file('opaque/again'),
      file('tree', 'now a file'),
      whiteout('replaced-by-dir'),
      directory('long', { mode: 0o711 }),
    ]);

    const snapshot = await store.snapshots.ensure([lowerTar, upperTar, third].map((tar) => layerSource(tar)));

    const shown = await metadataShownBy(store, snapshot);
    expect(shown.length).toBeGreaterThan(4_000_000);
    expect(shown.equals(await shownByKernel(store, snapshot))).toBe(true);
    expect((await shownBy(store, snapshot)).length).toBe(shown.length);
  });

  it.skipIf(missing('umoci'))('shows what umoci unpacks', async () => {
    await using store = await openTestStore();
    const layout = path.join(store.home, 'layout');
    const umoci = (...args: string[]) => execFileSync('umoci', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    umoci('init', '--layout', layout);
    umoci('new', '--image', `${layout}:test`);
    for (const [name, tar] of Object.entries({ lower: lowerTar, upper: upperTar })) {
      const layer = path.join(store.home, `${name}.tar`);
      writeFileSync(layer, tar);
      umoci('raw', 'add-layer', '--image', `${layout}:test`, layer);
    }
    const bundle = path.join(store.home, 'bundle');
    umoci('unpack', '--image', `${layout}:test`, bundle);

    const snapshot = await store.snapshots.ensure([lowerTar, upperTar].map((tar) => layerSource(tar)));

    const unpacked = await tarOf(treeOf(store.launcher, path.join(bundle, 'rootfs')));
    expect(unpacked.equals(await shownBy(store, snapshot))).toBe(true);
  });

  it('commits what a step wrote so that applying its layer elsewhere gives the same', async () => {
    await using store = await openTestStore();
    await using other = await openTestStore();
    const parent = await store.snapshots.ensure([layerSource(lowerTar)]);
    await using active = await store.snapshots.prepare(parent);
    const script = [
      'rm dir/gone',
      'rm -r tree && mkdir tree && echo new >tree/new',
      'mv usr moved',
      'chmod 1777 .',
      'ln dir/kept dir/linked',
      'touch -d 2030-01-01T00:00:00.5Z later',
      'chmod 4755 later',
      'touch -d 2001-01-01T00:00:00Z earlier',
      'mkfifo fifo',
      'mknod -m 600 device c 1 5',
      'printf x >capable && setcap cap_net_raw+ep capable',
      `perl -MSocket -e 'socket(my $s, PF_UNIX, SOCK_STREAM, 0); bind($s, sockaddr_un("dir/socket")) or die'`,
    ].join('\n');
    const { launcher } = mountedLauncher(store, parent, { ...active, script });
    await Array.fromAsync(treeOf(launcher, active.upper));
    const clamp = { from: { seconds: 1_700_000_000, nanoseconds: 0 }, to: { seconds: 1, nanoseconds: 0 } };

    const entries = await Array.fromAsync(changesOf(store.launcher, active.upper, { clamp }));
    const tar = await tarOf(entries);
    const opaques = entries.flatMap((entry) => (entry.type === 'opaque' ? [entry.path] : []));
    const committed = await active.commit(diffIdOf(tar), opaques);
    const applied = await other.snapshots.ensure([layerSource(lowerTar), layerSource(tar)]);

    expect(entries.map((entry) => `${entry.type} ${entry.path}`)).toEqual(
      expect.arrayContaining(['whiteout dir/gone', 'opaque tree', 'whiteout usr', 'character device', 'fifo fifo']),
    );
    expect(entries.some((entry) => entry.path === 'dir/socket')).toBe(false);
    expect(entries.find((entry) => entry.path === 'later')).toMatchObject({ mode: 0o4755, mtime: clamp.to });
    expect(entries.find((entry) => entry.path === 'earlier')).toMatchObject({ mtime: { seconds: 978_307_200 } });
    expect((await shownBy(store, committed)).equals(await shownBy(other, applied))).toBe(true);
    expect((await metadataShownBy(store, committed)).equals(await shownByKernel(store, committed))).toBe(true);
    const rootModes = [committed, applied].map((each) => statSync(each.layers.at(-1)?.directory ?? '').mode & 0o7777);
    expect(rootModes).toEqual([0o755, 0o755]);
  });

  it('gives directories that a layer does not describe the attributes they have below', async () => {
    await using store = await openTestStore();
    const base = await tarOf([directory('', { mode: 0o711 }), directory('tmp', { mode: 0o1777, uid: 7, gid: 8 })]);
    const sparse = await tarOf([file('tmp/x')]);

    const snapshot = await store.snapshots.ensure([layerSource(base), layerSource(sparse)]);

    const view = new RootView(store.launcher, snapshot);
    expect(await view.lookup('tmp')).toMatchObject({ type: 'directory', mode: 0o1777, uid: 7, gid: 8 });
    expect(await view.lookup('')).toMatchObject({ mode: 0o711 });
  });

  it('throws away what was not committed, and lists and removes what was', async () => {
    await using store = await openTestStore();
    const { snapshots } = store;
    {
      await using active = await snapshots.prepare(scratchSnapshot);
      writeFileSync(path.join(active.upper, 'f'), 'x');
    }
    await using active = await snapshots.prepare(scratchSnapshot);
    writeFileSync(path.join(active.upper, 'f'), 'xyz');
    const tar = await tarOf(changesOf(store.launcher, active.upper));
    const { chainId, layers } = await active.commit(diffIdOf(tar), []);

    const [stored] = await snapshots.list();

    expect(stored).toMatchObject({ chainId, parent: undefined, diffId: diffIdOf(tar) });
    expect(await stored?.diskUse()).toBeGreaterThan(3);
    if (chainId !== undefined) await snapshots.remove(chainId);
    expect(await snapshots.list()).toEqual([]);
    expect(existsSync(layers[0]?.directory ?? '')).toBe(false);
    await snapshots.emptyTrash();
    expect(readdirSync(path.join(store.home, 'snapshots', 'trash'))).toEqual([]);
  });

  it('does the work once when two processes want the same layer', async () => {
    await using store = await openTestStore();
    const tar = path.join(store.home, 'layer.tar');
    writeFileSync(tar, upperTar);
    const script = path.join(import.meta.dirname, 'ensure-in-process.testing.ts');
    const run = async (): Promise<string> => {
      const child = spawn(process.execPath, [script, store.home, tar, diffIdOf(upperTar)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const chunks = child.stdout.toArray();
      await once(child, 'close');
      return Buffer.concat(await chunks).toString();
    };

    const said = await Promise.all([run(), run(), run()]);

    expect(said.toSorted()).toEqual(['found', 'found', 'made']);
    expect((await store.snapshots.find([diffIdOf(upperTar)]))?.layers).toHaveLength(1);
  });
});

describe.skipIf(missing('root'))('RootView', () => {
  it('resolves links inside the root only, reads small files, and lists merged directories', async () => {
    await using store = await openTestStore();
    const layer = await tarOf([
      directory('etc'),
      file('etc/passwd', 'root'),
      symlink('etc/absolute', '/etc/passwd'),
      symlink('etc/escape', '../../../../etc/passwd'),
      symlink('etc/dangling', 'nowhere/else'),
      symlink('etc/loop', 'loop'),
      symlink('etc/long', 'x'.repeat(300)),
      hardLink('etc/same', 'etc/passwd'),
      symlink('lib', 'usr/lib'),
      directory('usr'),
      directory('usr/lib'),
      file('usr/lib/x'),
    ]);
    const upper = await tarOf([directory('etc'), whiteout('etc/same'), file('etc/new')]);
    const snapshot = await store.snapshots.ensure([layerSource(layer), layerSource(upper)]);
    const view = new RootView(store.launcher, snapshot);

    expect((await view.readFile('/etc/absolute', 10))?.toString()).toBe('root');
    expect((await view.readFile('etc/escape', 10))?.toString()).toBe('root');
    expect(await view.readFile('etc/dangling', 10)).toBeUndefined();
    expect(await view.readFile('etc/long', 10)).toBeUndefined();
    await expect(view.readFile('etc/passwd', 3)).rejects.toMatchObject({ code: 'ROOT_FILE_TOO_LARGE' });
    await expect(view.readFile('etc', 3)).rejects.toMatchObject({ code: 'ROOT_NOT_A_FILE' });
    await expect(view.readFile('etc/loop', 3)).rejects.toMatchObject({ code: 'ROOT_SYMLINK_LOOP' });
    expect(await view.resolve('lib/x')).toEqual({ path: 'usr/lib/x', exists: true });
    expect(await view.resolve('lib', { followLast: false })).toEqual({ path: 'lib', exists: true });
    expect(await view.resolve('lib/a/../../b')).toEqual({ path: 'usr/b', exists: false });
    expect(await view.resolve('../../usr')).toEqual({ path: 'usr', exists: true });
    expect(await view.resolve('etc/passwd/x')).toEqual({ path: 'etc/passwd/x', exists: false });
    expect(await view.lookup('lib/x')).toBeUndefined();
    expect(await view.lookup('lib')).toMatchObject({ type: 'symlink' });
    expect(await view.list('etc')).toEqual(['absolute', 'dangling', 'escape', 'long', 'loop', 'new', 'passwd']);
    expect(await view.list('nowhere')).toEqual([]);
    const walked = await Array.fromAsync(view.walk('usr'));
    expect(walked.map((entry) => entry.path)).toEqual(['usr', 'usr/lib', 'usr/lib/x']);
    expect(await Array.fromAsync(view.walk('etc/passwd'))).toMatchObject([{ type: 'file', path: 'etc/passwd' }]);
    expect(await Array.fromAsync(view.walk('etc/same'))).toEqual([]);
  });

  it('is empty for scratch, takes bytes as names, and refuses text', async () => {
    await using store = await openTestStore();
    const empty = new RootView(store.launcher, scratchSnapshot);
    const snapshot = await store.snapshots.ensure([layerSource(await tarOf([file(byteString('ł'), 'x')]))]);
    const view = new RootView(store.launcher, snapshot);

    expect(await empty.list('')).toEqual([]);
    expect(await Array.fromAsync(empty.walk(''))).toEqual([]);
    expect(await empty.resolve('a/b')).toEqual({ path: 'a/b', exists: false });
    expect((await view.readFile(byteString('ł'), 5))?.toString()).toBe('x');
    await expect(view.lookup('ł')).rejects.toThrow(TypeError);
    await expect(view.lookup('a\0b' as ByteString)).rejects.toMatchObject({ code: 'ROOT_PATH_INVALID' });
  });
});

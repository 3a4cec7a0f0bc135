import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type CallOptions, LockFolder, ScratchSpace } from '../../core/index.ts';
import { isRoot } from '../../test/requirements.ts';
import { type Launcher, openLauncher } from '../launcher.ts';
import { diffIdOf, streamOfTar } from '../layer/odd-layers.testing.ts';
import { type LayerSource, type Snapshot, Snapshots } from './snapshots.ts';

/** A store in a folder of its own, gone with all its content when disposed. */
export interface TestStore extends AsyncDisposable {
  readonly home: string;
  readonly launcher: Launcher;
  readonly snapshots: Snapshots;
  /** The same store as another process, or this one after the next boot, sees it. */
  reopen(bootId?: string): Promise<Snapshots>;
}

export async function openTestStore(): Promise<TestStore> {
  if (!isRoot()) throw new TypeError('layers are made by root only');
  const home = mkdtempSync(path.join(tmpdir(), 'store-'));
  const locks = new LockFolder(path.join(home, 'locks'));
  const scratch = await ScratchSpace.open(path.join(home, 'tmp'), locks);
  const launcher = await openLauncher();
  const folder = path.join(home, 'snapshots');
  const reopen = (bootId = 'first') => Snapshots.open({ folder, locks, scratch, launcher, userXattrs: false, bootId });
  return {
    home,
    launcher,
    snapshots: await reopen(),
    reopen,
    async [Symbol.asyncDispose]() {
      await scratch[Symbol.asyncDispose]();
      rmSync(home, { recursive: true });
    },
  };
}

export function layerSource(tar: Buffer, onOpen: (options?: CallOptions) => void = () => {}): LayerSource {
  return {
    diffId: diffIdOf(tar),
    async open(options) {
      onOpen(options);
      return streamOfTar(tar);
    },
  };
}

/**
 * A launcher whose verbs run where the snapshot is mounted by the kernel, at `mount`; with `upper` and `work` it can be
 * written to, by `script` first.
 */
export function mountedLauncher(
  store: TestStore,
  snapshot: Snapshot,
  writable?: { readonly upper: string; readonly work: string; readonly script: string },
): { readonly launcher: Launcher; readonly mount: string } {
  const folder = mkdtempSync(path.join(store.home, 'mounted-'));
  const lowers = snapshot.layers.map((layer) => layer.directory).toReversed();
  const upper = writable === undefined ? '' : `,upperdir=${writable.upper},workdir=${writable.work}`;
  const options = `lowerdir=${lowers.join(':')}${lowers.length === 1 && upper === '' ? `:${folder}` : ''}${upper}`;
  const inner = path.join(folder, 'inner');
  const outer = path.join(folder, 'outer');
  const mount = path.join(store.home, 'mount');
  const lines = [
    '#!/bin/sh',
    'set -e',
    `mkdir -p ${mount}`,
    `mount -t overlay -o ${options} overlay ${mount}`,
    ...(writable === undefined ? [] : [`cd ${mount}`, writable.script, 'cd /']),
    `exec ${store.launcher.file} "$@"`,
  ];
  const path_ = 'PATH=/usr/sbin:/usr/bin:/sbin:/bin; export PATH';
  writeFileSync(inner, `${lines.slice(0, 2).join('\n')}\n${path_}\n${lines.slice(2).join('\n')}\n`);
  writeFileSync(outer, `#!/bin/sh\n${path_}\nexec unshare --mount ${inner} "$@"\n`);
  for (const file of [inner, outer]) chmodSync(file, 0o755);
  return { launcher: { ...store.launcher, file: outer }, mount };
}

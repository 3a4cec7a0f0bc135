import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, rename, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import {
  type CallOptions,
  type ChainId,
  chainIdOf,
  type DiffId,
  digestHex,
  diskUseOf,
  errorCode,
  IntegrityError,
  type LockFolder,
  removeTree,
  type ScratchSpace,
} from '../../core/index.ts';
import type { Launcher } from '../launcher.ts';
import { applyLayer } from '../layer/apply.ts';
import type { ByteString } from '../layer/entry.ts';
import { inheritDirectories, inheritRoot } from './inherit.ts';
import { formatLayerRecord, type LayerRecord, readLayerRecord } from './layer-record.ts';

/** One committed layer on disk, as overlayfs takes it. */
export interface SnapshotLayer {
  readonly chainId: ChainId;
  readonly diffId: DiffId;
  /** Absolute. */
  readonly directory: string;
  /** Directories that hide those of the layers below. */
  readonly opaques: readonly ByteString[];
}

/** A committed, immutable root file system. */
export interface Snapshot {
  /** Undefined for scratch: no layers. */
  readonly chainId: ChainId | undefined;
  /** Lowest first. */
  readonly layers: readonly SnapshotLayer[];
}

/** Where a step writes to. Disposing an uncommitted one throws its content away. */
export interface ActiveSnapshot extends AsyncDisposable {
  readonly parent: Snapshot;
  readonly upper: string;
  readonly work: string;
  /** Makes what is in `upper` a layer, without copying; nothing may have it mounted any more. */
  commit(diffId: DiffId, opaques: readonly ByteString[]): Promise<Snapshot>;
}

/** A layer that can be made when it is missing. */
export interface LayerSource {
  readonly diffId: DiffId;
  /** The uncompressed tar. */
  open(options?: CallOptions): Promise<Readable>;
}

export interface SnapshotsOptions {
  /** Holds `v1/<chain id>/{fs,layer.json}`. */
  readonly folder: string;
  readonly locks: LockFolder;
  /** On the same file system as `folder`. */
  readonly scratch: ScratchSpace;
  readonly launcher: Launcher;
  /** True inside a user namespace: overlayfs then keeps its marks in `user.overlay.*`. */
  readonly userXattrs: boolean;
  /** Of this boot: what an earlier boot left unsynced is not trusted. */
  readonly bootId: string;
  /** Where removed layers wait to be deleted; `trash` in `folder` unless given. On the same file system. */
  readonly trash?: string;
}

/** A layer as `list` gives it. */
export interface StoredLayer {
  readonly chainId: ChainId;
  readonly parent: ChainId | undefined;
  readonly diffId: DiffId;
  /** When a snapshot with it was last asked for, milliseconds since the epoch. */
  readonly lastUsedMs: number;
  /** What it takes on disk; walks the directory. */
  diskUse(options?: CallOptions): Promise<number>;
}

export const scratchSnapshot: Snapshot = { chainId: undefined, layers: [] };

/**
 * The committed root file systems of a store. Several processes may use one folder: a layer is made in scratch and
 * appears by rename, whole, after its DiffId was verified. Who removes layers must know that nobody uses them.
 */
export class Snapshots {
  readonly #options: SnapshotsOptions;
  readonly #layers: string;
  readonly #trash: string;

  private constructor(options: SnapshotsOptions) {
    this.#options = options;
    this.#layers = path.join(path.resolve(options.folder), 'v1');
    this.#trash = options.trash ?? path.join(path.resolve(options.folder), 'trash');
  }

  static async open(options: SnapshotsOptions): Promise<Snapshots> {
    const snapshots = new Snapshots(options);
    await mkdir(snapshots.#layers, { recursive: true, mode: 0o700 });
    await mkdir(snapshots.#trash, { recursive: true, mode: 0o700 });
    return snapshots;
  }

  /** The snapshot of these layers, lowest first, when all are on disk. */
  async find(diffIds: readonly DiffId[]): Promise<Snapshot | undefined> {
    let snapshot: Snapshot | undefined = scratchSnapshot;
    for (const diffId of diffIds) {
      snapshot = await this.#findOn(snapshot, diffId);
      if (snapshot === undefined) return undefined;
    }
    return snapshot;
  }

  /**
   * The snapshot of these layers, lowest first; those not on disk are made from their tars, one after the other.
   * @throws IntegrityError LAYER_DIFFID_MISMATCH; ToolError LAYER_* as applyLayer
   */
  async ensure(layers: readonly LayerSource[], options: CallOptions = {}): Promise<Snapshot> {
    let snapshot: Snapshot = scratchSnapshot;
    for (const layer of layers) {
      snapshot = (await this.#findOn(snapshot, layer.diffId)) ?? (await this.#make(snapshot, layer, options));
    }
    return snapshot;
  }

  /** A place for the next step to write to. */
  async prepare(parent: Snapshot): Promise<ActiveSnapshot> {
    const { path: folder } = await this.#options.scratch.make('active');
    const upper = path.join(folder, 'upper');
    const work = path.join(folder, 'work');
    await mkdir(upper);
    await mkdir(work);
    await inheritRoot(parent, upper);
    return {
      parent,
      upper,
      work,
      commit: (diffId, opaques) => this.adopt(parent, upper, diffId, opaques),
      [Symbol.asyncDispose]: () => this.#discard(folder),
    };
  }

  /**
   * Takes a complete directory in overlay form, on the same file system, as the layer on `parent`. The directory is
   * moved; when the layer is there already, that one is given and the directory thrown away.
   */
  async adopt(
    parent: Snapshot,
    directory: string,
    diffId: DiffId,
    opaques: readonly ByteString[],
    options: CallOptions = {},
  ): Promise<Snapshot> {
    await using _lock = await this.#lock(chainIdOf(parent.chainId, diffId), options);
    const found = await this.#findOn(parent, diffId);
    if (found !== undefined) {
      await this.#discard(directory);
      return found;
    }
    // The root itself is no entry of a layer, so what a step did to it is undone: the snapshot equals its blob.
    await inheritRoot(parent, directory);
    const staging = await this.#options.scratch.make('commit');
    await rename(directory, path.join(staging.path, 'fs'));
    return this.#publish(parent, staging.path, { diffId, opaques });
  }

  /** All trusted layers, in no particular use. */
  async list(): Promise<StoredLayer[]> {
    const found: StoredLayer[] = [];
    for (const name of await this.#names()) {
      const folder = path.join(this.#layers, name);
      const record = await readLayerRecord(path.join(folder, 'layer.json'));
      if (record === undefined || !this.#isTrusted(record) || digestHex(record.chainId) !== name) continue;
      const { chainId, parent, diffId } = record;
      const { ctimeMs } = await stat(path.join(folder, 'layer.json'));
      const diskUse = async (options?: CallOptions) => (await diskUseOf(folder, options)).bytes;
      found.push({ chainId, parent, diffId, lastUsedMs: ctimeMs, diskUse });
    }
    return found;
  }

  /** Moves a layer to the trash. Layers on it are of no use without it; the caller knows that nobody uses them. */
  async remove(chainId: ChainId, options: CallOptions = {}): Promise<void> {
    await this.#removeNamed(digestHex(chainId), options);
  }

  /** Moves to the trash what cannot be trusted since the machine went down. */
  async removeUntrusted(options: CallOptions = {}): Promise<void> {
    for (const name of await this.#names()) {
      const record = await readLayerRecord(path.join(this.#layers, name, 'layer.json'));
      if (record === undefined || !this.#isTrusted(record)) await this.#removeNamed(name, options);
    }
  }

  async #removeNamed(name: string, options: CallOptions): Promise<void> {
    await using _lock = await this.#options.locks.acquire(lockName(name), 'exclusive', options);
    await this.#discard(path.join(this.#layers, name));
    this.#options.locks.forget(lockName(name));
  }

  /** Deletes what was moved to the trash, unless another process is at it: slow, so never while somebody waits. */
  async emptyTrash(options: CallOptions = {}): Promise<void> {
    await using lock = await this.#options.locks.tryAcquire('trash', 'exclusive');
    if (lock === undefined) return;
    for (const name of await readdir(this.#trash)) {
      options.signal?.throwIfAborted();
      await removeTree(path.join(this.#trash, name));
    }
  }

  async #findOn(parent: Snapshot, diffId: DiffId): Promise<Snapshot | undefined> {
    const chainId = chainIdOf(parent.chainId, diffId);
    const file = path.join(this.#folder(chainId), 'layer.json');
    const record = await readLayerRecord(file);
    if (record === undefined || record.chainId !== chainId || !this.#isTrusted(record)) return undefined;
    if (!(await markUsed(file))) return undefined;
    return this.#snapshot(parent, record);
  }

  async #make(parent: Snapshot, layer: LayerSource, options: CallOptions): Promise<Snapshot> {
    const chainId = chainIdOf(parent.chainId, layer.diffId);
    await using _lock = await this.#lock(chainId, options);
    const madeMeanwhile = await this.#findOn(parent, layer.diffId);
    if (madeMeanwhile !== undefined) return madeMeanwhile;

    const staging = await this.#options.scratch.make('layer');
    const fs = path.join(staging.path, 'fs');
    try {
      await mkdir(fs, { mode: 0o755 });
      const { launcher, userXattrs } = this.#options;
      const applied = await applyLayer(launcher, await layer.open(options), fs, { ...options, userXattrs });
      if (applied.diffId !== layer.diffId) throw diffIdMismatch(layer.diffId, applied.diffId);
      await inheritDirectories(launcher, parent, fs, applied.implicit);
      return await this.#publish(parent, staging.path, applied);
    } catch (error) {
      await this.#discard(staging.path);
      throw error;
    }
  }

  /** `staging` holds `fs`; the chain's lock is held. */
  async #publish(
    parent: Snapshot,
    staging: string,
    layer: Pick<LayerRecord, 'diffId' | 'opaques' | 'sizeBytes'>,
  ): Promise<Snapshot> {
    const chainId = chainIdOf(parent.chainId, layer.diffId);
    const record: LayerRecord = {
      chainId,
      parent: parent.chainId,
      diffId: layer.diffId,
      opaques: layer.opaques,
      bootId: this.#options.bootId,
      sizeBytes: layer.sizeBytes,
    };
    await writeFile(path.join(staging, 'layer.json'), formatLayerRecord(record));
    const folder = this.#folder(chainId);
    // What is there now was not trusted.
    await this.#discard(folder);
    await rename(staging, folder);
    return this.#snapshot(parent, record);
  }

  #snapshot(parent: Snapshot, record: LayerRecord): Snapshot {
    const { chainId, diffId, opaques } = record;
    const directory = path.join(this.#folder(chainId), 'fs');
    return { chainId, layers: [...parent.layers, { chainId, diffId, directory, opaques }] };
  }

  #isTrusted(record: LayerRecord): boolean {
    return record.bootId === this.#options.bootId;
  }

  /** Renaming is quick and deleting is not, and deleting makes creating files slow for minutes on some file systems. */
  async #discard(folder: string): Promise<void> {
    try {
      await rename(folder, path.join(this.#trash, randomBytes(9).toString('hex')));
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error;
    }
  }

  async #names(): Promise<string[]> {
    return (await readdir(this.#layers)).filter((name) => /^[0-9a-f]{64}$/.test(name)).sort();
  }

  #folder(chainId: ChainId): string {
    return path.join(this.#layers, digestHex(chainId));
  }

  #lock(chainId: ChainId, options: CallOptions): Promise<AsyncDisposable> {
    return this.#options.locks.acquire(lockName(digestHex(chainId)), 'exclusive', options);
  }
}

/** Sets the record's ctime to now, so that the layer does not count as unused; false when it went away meanwhile. */
async function markUsed(file: string): Promise<boolean> {
  try {
    await chmod(file, 0o644);
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

/** `folderName` is the hexadecimal digits of a ChainId. */
function lockName(folderName: string): string {
  return `snapshot-${folderName}`;
}

function diffIdMismatch(expected: DiffId, found: DiffId): IntegrityError {
  return new IntegrityError('LAYER_DIFFID_MISMATCH', `the layer ${expected} unpacks to ${found}`, {
    hint: 'the image is damaged or lying; pull it again or tell who published it',
  });
}

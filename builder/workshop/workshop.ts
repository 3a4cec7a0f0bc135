import { createReadStream } from 'node:fs';
import path from 'node:path';
import { type Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  type CallOptions,
  type Clock,
  type Descriptor,
  errorCode,
  type Image,
  InFlight,
  LockFolder,
  layerCompression,
  makeFolder,
  type Platform,
  type Reference,
  ScratchSpace,
  verifying,
} from '../../core/index.ts';
import { OciLayout, openRepository, type RemoteOptions, type RemoteRepository } from '../../registry/index.ts';
import { decompressed, type Launcher, type LayerSource, type Snapshot, Snapshots } from '../../runtime/index.ts';
import { closeDoor, enterStore, oldestPresence, type Presence } from './presence.ts';
import { RecordStore } from './record-store.ts';
import { type CachedResult, StepCache } from './step-cache.ts';

/** File times come from a clock that lags by some milliseconds. */
const clockSlackMs = 100;

/** What a workshop is made of; the composition root decides all of it. */
export interface WorkshopOptions {
  /** Store folder; made when missing. */
  readonly home: string;
  readonly launcher: Launcher;
  /** How registries are spoken to. */
  readonly remote: RemoteOptions;
  readonly clock: Clock;
  /** Of this machine. */
  readonly platform: Platform;
  /** Overlay marks live in user.* inside a user namespace. */
  readonly userXattrs: boolean;
  /** This boot's id: unsynced snapshots of another boot are not trusted. */
  readonly bootId: string;
  readonly onWarning: (text: string) => void;
}

export interface UnpackOptions extends CallOptions {
  /** Returns when a layer's blob is here, for layers that are on their way. */
  readonly ready?: (descriptor: Descriptor) => Promise<void>;
}

/** The places that builds, pulls and runs work with: content, snapshots, records, scratch, registries. */
export class Workshop implements AsyncDisposable {
  readonly content: OciLayout;
  readonly records: RecordStore;
  readonly cache: StepCache;
  readonly locks: LockFolder;
  readonly options: WorkshopOptions;
  #scratch: Promise<ScratchSpace> | undefined;
  #snapshots: Promise<Snapshots> | undefined;
  readonly #presence: Presence;
  /** Bases that are being made: stages that want the same one wait for it. */
  readonly basesUnderWay = new InFlight<Image>();
  /** Steps that are being carried out, by cache key. */
  readonly stepsUnderWay = new InFlight<{ readonly result: CachedResult; readonly cached: boolean }>();

  private constructor(options: WorkshopOptions, content: OciLayout, locks: LockFolder, presence: Presence) {
    this.options = options;
    this.content = content;
    this.locks = locks;
    this.#presence = presence;
    this.records = new RecordStore(path.join(options.home, 'records'));
    this.cache = new StepCache(this.records);
  }

  /** What it uses until it is disposed is not removed by others. */
  static async open(options: WorkshopOptions, call: CallOptions = {}): Promise<Workshop> {
    await makeFolder(options.home, 0o700);
    const locks = new LockFolder(path.join(options.home, 'locks'));
    const presence = await enterStore(locks, call);
    const content = await OciLayout.open(path.join(options.home, 'content'), { locks });
    return new Workshop(options, content, locks, presence);
  }

  /** Private to this process; what killed ones left is swept on first use. */
  async scratch(): Promise<ScratchSpace> {
    if (this.#scratch === undefined) {
      this.#scratch = ScratchSpace.open(path.join(this.options.home, 'tmp'), this.locks);
      await (await this.#scratch).sweep();
    }
    return this.#scratch;
  }

  /** Root file systems on disk; only inside the privileges that may own them. */
  async snapshots(): Promise<Snapshots> {
    this.#snapshots ??= this.scratch().then((scratch) =>
      Snapshots.open({
        folder: path.join(this.options.home, 'snapshots'),
        locks: this.locks,
        scratch,
        launcher: this.options.launcher,
        userXattrs: this.options.userXattrs,
        bootId: this.options.bootId,
      }),
    );
    return this.#snapshots;
  }

  repository(reference: Reference): RemoteRepository {
    return openRepository(reference, this.options.remote);
  }

  /** The image's root file system as directories on disk; layers that are missing are unpacked and verified. */
  async snapshotOf(layers: Image['layers'], options: UnpackOptions = {}): Promise<Snapshot> {
    const snapshots = await this.snapshots();
    try {
      return await snapshots.ensure(
        layers.map((layer) => this.#layerSource(layer, options)),
        options,
      );
    } catch (error) {
      if (errorCode(error)?.startsWith('LAYER_')) await this.#checkBlobs(layers, options);
      throw error;
    }
  }

  #layerSource({ descriptor, diffId }: Image['layers'][number], { ready }: UnpackOptions): LayerSource {
    const compression = layerCompression(descriptor.mediaType) ?? 'none';
    return {
      diffId,
      open: async (options): Promise<Readable> => {
        await ready?.(descriptor);
        if (compression === 'none')
          return createReadStream(this.content.blobFile(descriptor.digest), { highWaterMark: 1 << 20 });
        // What comes out is checked by its DiffId; hashing what goes in as well would only say the same once more.
        return decompressed(await this.content.read(descriptor, options), compression, options);
      },
    };
  }

  /**
   * Whether a layer cannot be unpacked because the store is damaged, rather than the image.
   * @throws IntegrityError BLOB_*
   */
  async #checkBlobs(layers: Image['layers'], { signal }: CallOptions): Promise<void> {
    for (const { descriptor } of layers) {
      if (!(await this.content.has(descriptor, { signal }))) continue;
      const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
      await pipeline(await this.content.read(descriptor, { signal }), verifying(descriptor), sink, { signal });
    }
  }

  /**
   * For removing things: keeps others from beginning while it is held. What others have used, or will, was last used
   * after `usedBeforeMs`. This process itself should use nothing meanwhile.
   */
  async closed(options: CallOptions = {}): Promise<AsyncDisposable & { readonly usedBeforeMs: number }> {
    const door = await closeDoor(this.locks, options);
    const oldest = await oldestPresence(this.locks, this.#presence);
    return {
      usedBeforeMs: oldest === undefined ? Number.POSITIVE_INFINITY : oldest - clockSlackMs,
      [Symbol.asyncDispose]: () => door[Symbol.asyncDispose](),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#emptyTrash();
      await (await this.#scratch)?.[Symbol.asyncDispose]();
    } finally {
      await this.#presence[Symbol.asyncDispose]();
    }
  }

  /** At the end, when the result is known: what a step or container wrote and nobody keeps must not fill the disk. */
  async #emptyTrash(): Promise<void> {
    try {
      await (await this.#snapshots)?.emptyTrash();
    } catch (error) {
      this.options.onWarning(`what is not needed any more could not be deleted: ${String(error)}`);
    }
  }
}

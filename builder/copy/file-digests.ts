import { createHash } from 'node:crypto';
import { type BigIntStats, closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs';
import { type Digest, isDigest, parseDigest, ToolError } from '../../core/index.ts';

/** A file younger than this when it was read may change again without its times showing it. */
const racyMs = 2000;

/**
 * Digests of files on disk. A file whose device, inode, size, mtime and ctime are those of an earlier reading is not
 * read again.
 */
export class FileDigests {
  readonly #known: Map<string, Digest>;
  readonly #fresh = new Map<string, Digest>();
  /** By path. */
  readonly #asked = new Map<string, string>();
  readonly #buffer = Buffer.allocUnsafe(1 << 20);
  readonly #nowMs: number;

  constructor(known: ReadonlyMap<string, Digest>, nowMs: number) {
    this.#known = new Map(known);
    this.#nowMs = nowMs;
  }

  /** Out of what `toJson` gave; anything malformed is dropped. */
  static from(json: unknown, nowMs: number): FileDigests {
    const known = new Map<string, Digest>();
    for (const [identity, digest] of Object.entries(typeof json === 'object' && json !== null ? json : {})) {
      if (typeof digest === 'string' && isDigest(digest)) known.set(identity, digest);
    }
    return new FileDigests(known, nowMs);
  }

  /** @throws ToolError COPY_FILE_CHANGED */
  digestOf(file: Buffer): Digest {
    const stats = lstatSync(file, { bigint: true });
    const identity = identityOf(stats);
    this.#asked.set(file.toString('latin1'), identity);
    const known = this.#fresh.get(identity) ?? this.#known.get(identity);
    const digest = known ?? this.#read(file, stats.ino);
    const youngest = Math.max(Number(stats.mtimeMs), Number(stats.ctimeMs));
    if (known !== undefined || youngest < this.#nowMs - racyMs) this.#fresh.set(identity, digest);
    return digest;
  }

  /**
   * For after a file was read once more: it is still what its digest was asked of.
   * @throws ToolError COPY_FILE_CHANGED
   */
  requireUnchanged(file: Buffer): void {
    const stats = lstatSync(file, { bigint: true, throwIfNoEntry: false });
    if (stats === undefined || identityOf(stats) !== this.#asked.get(file.toString('latin1'))) throw changed(file);
  }

  /** True when there is something to keep that was not known before. */
  get changed(): boolean {
    return (
      this.#fresh.size !== this.#known.size || [...this.#fresh.keys()].some((identity) => !this.#known.has(identity))
    );
  }

  /** What was used this time, for the next. */
  toJson(): Record<string, Digest> {
    return Object.fromEntries(this.#fresh);
  }

  #read(file: Buffer, inode: bigint): Digest {
    // O_NONBLOCK: a FIFO put in the file's place must not hang the build.
    const fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      if (fstatSync(fd, { bigint: true }).ino !== inode) throw changed(file);
      const hash = createHash('sha256');
      for (let read = readSync(fd, this.#buffer); read > 0; read = readSync(fd, this.#buffer)) {
        hash.update(this.#buffer.subarray(0, read));
      }
      return parseDigest(`sha256:${hash.digest('hex')}`);
    } finally {
      closeSync(fd);
    }
  }
}

function identityOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}

function changed(file: Buffer): ToolError {
  return new ToolError('COPY_FILE_CHANGED', `${file.toString()} changed while it was read`, {
    hint: 'build again when nothing writes to it',
  });
}

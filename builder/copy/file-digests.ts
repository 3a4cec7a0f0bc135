import type { CallOptions, Digest } from '../../core/index.ts';
import type { FileContent, FileEntry, FileStamp } from '../../runtime/index.ts';
import { digestOfFile } from './digest-of-file.ts';

type DiskContent = Extract<FileContent, { kind: 'disk' }>;

/** A file younger than this when it was read may change again without its times showing it. */
const racyMs = 2000;
/** How often a record is written without a file being asked for before that file is forgotten. */
const maxAge = 64;
const digestBytes = 32;
/** dev, ino, size, mtime, ctime. */
const stampNumbers = 5;

interface Fresh {
  readonly size: number;
  readonly stamp: FileStamp;
  readonly digest: Digest;
}

/** As it is kept: columns, since 100,000 small objects would take longer to parse than the files to look at. */
interface DigestTable {
  /** Separated by `//`, which no path contains. */
  readonly paths: string;
  /** The rest in base64: doubles, digests, and for each file the number of records it was not asked for. */
  readonly stamps: string;
  readonly digests: string;
  readonly ages: string;
}

/** True when a file of this stamp may have changed since without its times showing it. */
export function isRacy(stamp: FileStamp, nowMs: number): boolean {
  return Math.max(stamp.mtimeMs, stamp.ctimeMs) >= nowMs - racyMs;
}

/**
 * Digests of files below one folder. A file whose device, inode, size, mtime and ctime are those of an earlier reading
 * is not read again.
 */
export class FileDigests {
  readonly #nowMs: number;
  /** Of the folder and the slash after it. */
  readonly #prefixBytes: number;
  /** Paths below the folder, by row. */
  #paths: readonly string[] = [];
  /** The other way round; made when files are asked for in another order. */
  #rows: ReadonlyMap<string, number> | undefined;
  /** Files are asked for in the order they were kept in, as long as none comes or goes. */
  #nextRow = 0;
  #stamps = new Float64Array(0);
  #digests: Buffer = Buffer.alloc(0);
  #ages: Buffer = Buffer.alloc(0);
  readonly #asked = new Set<number>();
  readonly #fresh = new Map<string, Fresh>();

  /**
   * @param folder absolute path
   * @param nowMs when the build began: what was written about then is not trusted to stay
   */
  constructor(folder: string, nowMs: number) {
    this.#prefixBytes = Buffer.byteLength(folder) + 1;
    this.#nowMs = nowMs;
  }

  /** Out of what `toRecord` gave; anything else is as nothing. */
  static from(record: unknown, folder: string, nowMs: number): FileDigests {
    const digests = new FileDigests(folder, nowMs);
    if (isTable(record)) digests.#load(record);
    return digests;
  }

  /**
   * A digest as text; of many files, so it is not parsed again.
   * @throws ToolError COPY_FILE_CHANGED, COPY_SOURCE_UNREADABLE
   */
  digestOf(entry: FileEntry, content: DiskContent, options: CallOptions = {}): string | Promise<string> {
    const { stamp } = content;
    if (stamp === undefined) return digestOfFile(entry, content, options);
    const path = content.file.toString('latin1', this.#prefixBytes);
    const known = this.#find(path, entry.size, stamp);
    if (known !== undefined) return known;
    const digest = digestOfFile(entry, content, options);
    if (typeof digest === 'string') return this.#remember(path, entry.size, stamp, digest);
    return digest.then((read) => this.#remember(path, entry.size, stamp, read));
  }

  /** True when there is something to keep that was not known before. */
  get changed(): boolean {
    return this.#fresh.size > 0;
  }

  /** What is known now, for the next time: files keep their places, new ones come last. */
  toRecord(): DigestTable {
    const columns = new Columns(this.#paths.length + this.#fresh.size);
    for (const [row, path] of this.#paths.entries()) {
      const fresh = this.#fresh.get(path);
      const age = this.#asked.has(row) ? 0 : (this.#ages[row] ?? 0) + 1;
      if (fresh !== undefined) columns.addFresh(path, fresh);
      else if (age <= maxAge) columns.add(path, this.#stampOf(row), this.#digestOf(row).toString('hex'), age);
    }
    const kept = new Set(this.#paths);
    for (const [path, fresh] of this.#fresh) if (!kept.has(path)) columns.addFresh(path, fresh);
    return columns.table();
  }

  #load({ paths, stamps, digests, ages }: DigestTable): void {
    const names = paths === '' ? [] : paths.split('//');
    const numbers = Buffer.from(stamps, 'base64');
    this.#digests = Buffer.from(digests, 'base64');
    this.#ages = Buffer.from(ages, 'base64');
    const isWhole =
      numbers.length === names.length * stampNumbers * 8 &&
      this.#digests.length === names.length * digestBytes &&
      this.#ages.length === names.length;
    if (!isWhole) return;
    // A copy: numbers have to lie where their size divides their place.
    this.#stamps = new Float64Array(Uint8Array.from(numbers).buffer);
    this.#paths = names;
  }

  #stampOf(row: number): Float64Array {
    return this.#stamps.subarray(row * stampNumbers, (row + 1) * stampNumbers);
  }

  #digestOf(row: number): Buffer {
    return this.#digests.subarray(row * digestBytes, (row + 1) * digestBytes);
  }

  #find(path: string, size: number, stamp: FileStamp): string | undefined {
    const fresh = this.#fresh.get(path);
    if (fresh !== undefined && fresh.size === size && isSameStamp(fresh.stamp, stamp)) return fresh.digest;
    const row = this.#rowOf(path);
    if (row === undefined) return undefined;
    this.#nextRow = row + 1;
    const [at, numbers] = [row * stampNumbers, this.#stamps];
    const isSame =
      numbers[at] === stamp.dev &&
      numbers[at + 1] === stamp.ino &&
      numbers[at + 2] === size &&
      numbers[at + 3] === stamp.mtimeMs &&
      numbers[at + 4] === stamp.ctimeMs;
    if (!isSame) return undefined;
    this.#asked.add(row);
    return `sha256:${this.#digests.toString('hex', row * digestBytes, (row + 1) * digestBytes)}`;
  }

  #rowOf(path: string): number | undefined {
    if (this.#paths[this.#nextRow] === path) return this.#nextRow;
    this.#rows ??= new Map(this.#paths.map((kept, row) => [kept, row]));
    return this.#rows.get(path);
  }

  #remember(path: string, size: number, stamp: FileStamp, digest: Digest): Digest {
    if (!isRacy(stamp, this.#nowMs)) this.#fresh.set(path, { size, stamp, digest });
    return digest;
  }
}

/** A table that is being made. */
class Columns {
  readonly #paths: string[] = [];
  readonly #stamps: Float64Array;
  readonly #digests: Buffer;
  readonly #ages: Buffer;

  constructor(capacity: number) {
    this.#stamps = new Float64Array(capacity * stampNumbers);
    this.#digests = Buffer.alloc(capacity * digestBytes);
    this.#ages = Buffer.alloc(capacity);
  }

  add(path: string, stamp: ArrayLike<number>, hex: string, age: number): void {
    const row = this.#paths.push(path) - 1;
    this.#stamps.set(stamp, row * stampNumbers);
    this.#digests.write(hex, row * digestBytes, 'hex');
    this.#ages[row] = age;
  }

  addFresh(path: string, { size, stamp, digest }: Fresh): void {
    const numbers = [stamp.dev, stamp.ino, size, stamp.mtimeMs, stamp.ctimeMs];
    this.add(path, numbers, digest.slice('sha256:'.length), 0);
  }

  table(): DigestTable {
    const count = this.#paths.length;
    const stamps = Buffer.from(this.#stamps.buffer, 0, count * stampNumbers * this.#stamps.BYTES_PER_ELEMENT);
    return {
      paths: this.#paths.join('//'),
      stamps: stamps.toString('base64'),
      digests: this.#digests.toString('base64', 0, count * digestBytes),
      ages: this.#ages.toString('base64', 0, count),
    };
  }
}

function isSameStamp(a: FileStamp, b: FileStamp): boolean {
  return a.dev === b.dev && a.ino === b.ino && a.mtimeMs === b.mtimeMs && a.ctimeMs === b.ctimeMs;
}

function isTable(record: unknown): record is DigestTable {
  if (typeof record !== 'object' || record === null) return false;
  const { paths, stamps, digests, ages } = record as Partial<Record<keyof DigestTable, unknown>>;
  return [paths, stamps, digests, ages].every((column) => typeof column === 'string');
}

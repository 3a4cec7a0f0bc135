import { DatabaseSync } from 'node:sqlite';
import type { PinnedPackage } from '../lock/pins.ts';
import { rpmPackageOf } from './rpm-header.ts';

/**
 * The packages in rpm's SQLite database, read as a hostile file; undefined for one that is no such database.
 * @param file a copy on disk that nobody else has open; `FILE-wal` beside it is taken into account
 */
export function readRpmSqlite(file: string): PinnedPackage[] | undefined {
  try {
    // A log beside it can only be read by writing it back.
    using database = openDatabase(file);
    const schema = database.db.prepare('SELECT type, name, sql FROM sqlite_master').all();
    const isPlain = schema.every(
      ({ type, sql }) => (type === 'table' || type === 'index') && !/virtual|generated|check/i.test(String(sql)),
    );
    if (!isPlain || !schema.some(({ name, type }) => name === 'Packages' && type === 'table')) return undefined;
    const found: PinnedPackage[] = [];
    for (const { blob } of database.db.prepare('SELECT blob FROM Packages').iterate()) {
      const one = blob instanceof Uint8Array ? rpmPackageOf(Buffer.from(blob)) : undefined;
      if (one !== undefined) found.push(one);
    }
    return found;
  } catch (error) {
    if (error instanceof Error && 'errcode' in error) return undefined;
    throw error;
  }
}

function openDatabase(file: string): { readonly db: DatabaseSync } & Disposable {
  const db = new DatabaseSync(file);
  // The file is the image's: nothing it says may run.
  db.exec('PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON');
  return { db, [Symbol.dispose]: () => db.close() };
}

const ndbMagic = Buffer.from('RpmP');
const slotMagic = Buffer.from('Slot');
const blobMagic = Buffer.from('BlbS');
const pageBytes = 4096;
const slotBytes = 16;
/** The first two slots' place is the file's own header. */
const headerBytes = 2 * slotBytes;

/**
 * The packages in rpm's own database (`Packages.db`, as SUSE has it); undefined for a file that is none.
 * https://github.com/rpm-software-management/rpm/blob/master/lib/backend/ndb/rpmpkg.c
 */
export function readRpmNdb(file: Buffer): PinnedPackage[] | undefined {
  if (file.length < headerBytes || !file.subarray(0, 4).equals(ndbMagic) || file.readUInt32LE(4) !== 0)
    return undefined;
  const end = Math.min(file.readUInt32LE(12) * pageBytes, file.length);
  const found: PinnedPackage[] = [];
  for (let at = headerBytes; at + slotBytes <= end; at += slotBytes) {
    if (!file.subarray(at, at + 4).equals(slotMagic)) return undefined;
    const [index, offset] = [file.readUInt32LE(at + 4), file.readUInt32LE(at + 8) * slotBytes];
    if (index === 0 || offset + slotBytes > file.length) continue;
    if (!file.subarray(offset, offset + 4).equals(blobMagic) || file.readUInt32LE(offset + 4) !== index)
      return undefined;
    const length = file.readUInt32LE(offset + 12);
    const one = rpmPackageOf(file.subarray(offset + slotBytes, offset + slotBytes + length));
    if (one !== undefined) found.push(one);
  }
  return found;
}

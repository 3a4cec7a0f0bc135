import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type ActiveSnapshot, RootView } from '../../runtime/index.ts';
import { madeSeconds } from '../workshop/layers.ts';
import { changedView, nextRun } from './changed-view.ts';
import { insideFolder, type PackageSite, runTool } from './package-site.ts';
import { setInstallTimes } from './rpm-header.ts';

/** Where rpm has it; the older place is a link to the newer one where both are. */
const places = ['usr/lib/sysimage/rpm/rpmdb.sqlite', 'var/lib/rpm/rpmdb.sqlite'];
const stateFolder = `${insideFolder}/state`;
const maxBytes = 512 * 1024 * 1024;

/**
 * Writes the image's rpm database anew, without the moment of the install: rpm keeps it in each package's header, and
 * SQLite lays pages out as they came. Other kinds of database than SQLite stay as they are.
 */
export async function settleRpmDatabase(site: PackageSite, active: ActiveSnapshot): Promise<void> {
  const view = changedView(site, active);
  const before = new RootView(site.workshop.options.launcher, site.parent);
  for (const place of places) {
    const { path: file, exists } = await view.resolve(place);
    const bytes = exists ? await view.readFile(file, maxBytes) : undefined;
    if (bytes === undefined || !bytes.subarray(0, 15).equals(Buffer.from('SQLite format 3'))) continue;
    await using scratch = await (await site.workshop.scratch()).make('rpmdb');
    const copy = path.join(scratch.path, 'found.sqlite');
    await writeFile(copy, bytes);
    const log = await view.readFile(`${file}-wal`, maxBytes);
    if (log !== undefined) await writeFile(`${copy}-wal`, log);
    if (!rewrite(copy, path.join(scratch.path, 'rpmdb.sqlite'))) return;
    const isSame = (await before.readFile(file, maxBytes))?.equals(
      await readFile(path.join(scratch.path, 'rpmdb.sqlite')),
    );
    if (isSame === true && log === undefined) return;
    await replaceInside(site, active, scratch.path, `/${file}`);
    return;
  }
}

/** False for a database that does not look like rpm's. */
function rewrite(from: string, to: string): boolean {
  const database = new DatabaseSync(from);
  try {
    // The file is the image's: nothing it says may run.
    database.exec('PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON');
    const schema = database.prepare('SELECT type, name, sql FROM sqlite_master').all();
    const isPlain = schema.every(
      ({ type, sql }) => (type === 'table' || type === 'index') && !/virtual|generated|check/i.test(String(sql)),
    );
    if (!isPlain || !schema.some(({ name }) => name === 'Packages')) return false;
    const update = database.prepare('UPDATE Packages SET blob = ? WHERE hnum = ?');
    for (const { hnum } of database.prepare('SELECT hnum FROM Packages ORDER BY hnum').all()) {
      const { blob } = database.prepare('SELECT blob FROM Packages WHERE hnum = ?').get(hnum ?? 0) ?? {};
      if (!(blob instanceof Uint8Array)) continue;
      const header = Buffer.from(blob);
      if (setInstallTimes(header, madeSeconds)) update.run(header, hnum ?? 0);
    }
    if (schema.some(({ type, name }) => type === 'table' && name === 'Installtid')) settleTransactions(database);
    database.prepare('VACUUM INTO ?').run(to);
    return true;
  } finally {
    database.close();
  }
}

/** The index from transactions to packages; its keys are numbers in the machine's own order of bytes. */
function settleTransactions(database: DatabaseSync): void {
  const key = Buffer.alloc(4);
  new Uint32Array(key.buffer, key.byteOffset, 1)[0] = madeSeconds;
  database.prepare('UPDATE Installtid SET key = ?').run(key);
}

async function replaceInside(site: PackageSite, active: ActiveSnapshot, scratch: string, file: string): Promise<void> {
  const script = `cat ${stateFolder}/rpmdb.sqlite > "$1" && rm -f "$1-wal" "$1-shm"`;
  await runTool(site, {
    argv: ['/bin/sh', '-c', script, 'sh', file],
    mounts: [{ kind: 'bind', source: scratch, destination: stateFolder, readOnly: true }],
    network: 'none',
    active: await nextRun(active, scratch),
  });
}

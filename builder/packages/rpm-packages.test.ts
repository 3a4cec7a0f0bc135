import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rpmPackageOf } from './rpm-header.ts';
import { readRpmNdb, readRpmSqlite } from './rpm-packages.ts';

interface Fields {
  readonly name: string;
  readonly version: string;
  readonly release: string;
  readonly epoch?: number;
  readonly architecture?: string;
}

/** A header as rpm keeps it: an index of tags, then their values. hdr_v3.html */
function header({ name, version, release, epoch, architecture = 'x86_64' }: Fields): Buffer {
  const values: [tag: number, type: number, value: Buffer][] = [
    [1000, 6, Buffer.from(`${name}\0`)],
    [1001, 6, Buffer.from(`${version}\0`)],
    [1002, 6, Buffer.from(`${release}\0`)],
    [1022, 6, Buffer.from(`${architecture}\0`)],
  ];
  if (epoch !== undefined) values.push([1003, 4, Buffer.from(Uint32Array.of(epoch).buffer).swap32()]);
  const index = Buffer.alloc(8 + values.length * 16);
  let offset = 0;
  for (const [at, [tag, type, value]] of values.entries()) {
    for (const [field, number] of [tag, type, offset, 1].entries())
      index.writeUInt32BE(number, 8 + at * 16 + field * 4);
    offset += value.length;
  }
  index.writeUInt32BE(values.length, 0);
  index.writeUInt32BE(offset, 4);
  return Buffer.concat([index, ...values.map(([, , value]) => value)]);
}

const bash = { name: 'bash', version: '5.2', release: '3.fc40' };
const vim = { name: 'vim', version: '9.1', release: '1', epoch: 2, architecture: 'noarch' };
const key = { name: 'gpg-pubkey', version: 'a15b', release: '61' };
const wanted = [
  { name: 'bash', version: '5.2-3.fc40', architecture: 'x86_64', hash: '' },
  { name: 'vim', version: '2:9.1-1', architecture: 'noarch', hash: '' },
];

/** One page of slots, then the blobs. rpmpkg.c */
function ndb(headers: readonly Buffer[]): Buffer {
  const page = Buffer.alloc(4096);
  page.write('RpmP', 0);
  page.writeUInt32LE(1, 12);
  for (let at = 32; at < page.length; at += 16) page.write('Slot', at);
  const blobs: Buffer[] = [];
  let offset = page.length;
  for (const [index, bytes] of headers.entries()) {
    const head = Buffer.alloc(16);
    head.write('BlbS', 0);
    head.writeUInt32LE(index + 1, 4);
    head.writeUInt32LE(bytes.length, 12);
    const blob = Buffer.concat([head, bytes]);
    const padded = Buffer.concat([blob, Buffer.alloc((16 - (blob.length % 16)) % 16)]);
    page.writeUInt32LE(index + 1, 32 + index * 16 + 4);
    page.writeUInt32LE(offset / 16, 32 + index * 16 + 8);
    page.writeUInt32LE(padded.length / 16, 32 + index * 16 + 12);
    blobs.push(padded);
    offset += padded.length;
  }
  return Buffer.concat([page, ...blobs]);
}

describe('rpmPackageOf', () => {
  it('reads name, version, release, epoch and architecture, and no keys', () => {
    expect([bash, vim, key].map((fields) => rpmPackageOf(header(fields)))).toEqual([...wanted, undefined]);
  });

  it('never fails on bytes of strangers', () => {
    const whole = header(vim);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(whole.length), fc.nat(255), (noise, at, byte) => {
        const bent = Buffer.from(whole);
        bent[at] = byte;

        for (const bytes of [Buffer.from(noise), bent, whole.subarray(0, at)]) rpmPackageOf(bytes);
      }),
    );
  });
});

describe('readRpmNdb', () => {
  it('reads every slot that is in use', () => {
    expect(readRpmNdb(ndb([header(bash), header(key), header(vim)]))).toEqual(wanted);
  });

  it('says of a file that is none that it is none, and fails on none', () => {
    const whole = ndb([header(bash)]);
    expect(readRpmNdb(Buffer.from('something else'))).toBeUndefined();
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length), (at, byte, length) => {
        const bent = Buffer.from(whole);
        bent[at] = byte;

        readRpmNdb(bent);
        readRpmNdb(bent.subarray(0, length));
      }),
    );
  });
});

describe('readRpmSqlite', () => {
  it('reads the table of headers', async () => {
    await using folder = await mkdtempDisposable(path.join(tmpdir(), 'kiln-rpm-'));
    const file = path.join(folder.path, 'rpmdb.sqlite');
    using database = new DatabaseSync(file);
    database.exec('CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)');
    for (const fields of [bash, key, vim])
      database.prepare('INSERT INTO Packages (blob) VALUES (?)').run(header(fields));

    expect(readRpmSqlite(file)).toEqual(wanted);
  });

  it('runs nothing that a stranger’s file says, and reads no other file', async () => {
    await using folder = await mkdtempDisposable(path.join(tmpdir(), 'kiln-rpm-'));
    const [view, text] = ['view.sqlite', 'text'].map((name) => path.join(folder.path, name));
    if (view === undefined || text === undefined) throw new TypeError('two names');
    using database = new DatabaseSync(view);
    database.exec('CREATE VIEW Packages AS SELECT zeroblob(1000000000) AS blob');
    await writeFile(text, 'not a database at all, but some text that is long enough to be looked at');

    expect(readRpmSqlite(view)).toBeUndefined();
    expect(readRpmSqlite(text)).toBeUndefined();
  });
});

import { crc32, deflateRawSync } from 'node:zlib';

export interface ZipFixture {
  readonly name: string;
  readonly bytes?: Buffer;
  /** File type and permissions; without, the file was written by a system that has none. */
  readonly mode?: number;
  readonly seconds?: number;
  readonly isStored?: boolean;
  /** What the directory claims. */
  readonly claimedSize?: number;
  readonly flags?: number;
  readonly method?: number;
}

/** A zip file, written by hand so that it can be wrong. */
export function zipOf(fixtures: readonly ZipFixture[]): Buffer {
  const locals: Buffer[] = [];
  const centrals: Buffer[] = [];
  let offset = 0;
  for (const fixture of fixtures) {
    const bytes = fixture.bytes ?? Buffer.alloc(0);
    const data = fixture.isStored === true ? bytes : deflateRawSync(bytes);
    const name = Buffer.from(fixture.name, 'latin1');
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(fixture.flags ?? 0, 2);
    common.writeUInt16LE(fixture.method ?? (fixture.isStored === true ? 0 : 8), 4);
    // 2020-02-02 02:02:02
    common.writeUInt32LE((((40 << 9) | (2 << 5) | 2) << 16) | ((2 << 11) | (2 << 5) | 1), 6);
    common.writeUInt32LE(crc32(bytes), 10);
    common.writeUInt32LE(data.length, 14);
    common.writeUInt32LE(fixture.claimedSize ?? bytes.length, 18);
    common.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, name, data]);
    const extra = fixture.seconds === undefined ? Buffer.alloc(0) : timestamp(fixture.seconds);
    const central = Buffer.alloc(46);
    central.write('PK\x01\x02', 0, 'latin1');
    central.writeUInt8(fixture.mode === undefined ? 0 : 3, 5);
    common.copy(central, 6);
    central.writeUInt16LE(extra.length, 30);
    central.writeUInt32LE(((fixture.mode ?? 0) << 16) >>> 0, 38);
    central.writeUInt32LE(offset, 42);
    locals.push(local);
    centrals.push(Buffer.concat([central, name, extra]));
    offset += local.length;
  }
  const directory = Buffer.concat(centrals);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 0, 'latin1');
  end.writeUInt16LE(fixtures.length, 8);
  end.writeUInt16LE(fixtures.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, directory, end]);
}

function timestamp(seconds: number): Buffer {
  const field = Buffer.alloc(9);
  field.writeUInt16LE(0x5455, 0);
  field.writeUInt16LE(5, 2);
  field.writeUInt8(1, 4);
  field.writeInt32LE(seconds, 5);
  return field;
}

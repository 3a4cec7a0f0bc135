import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeLayer, layerChunks } from './encode.ts';
import { type ByteString, byteString, type Entry, type FileEntry, type FileStamp } from './entry.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'encode-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const metadata = { mode: 0o644, uid: 0, gid: 0, mtime: { seconds: 1, nanoseconds: 5 } };

function fileEntry(name: string, size: number, file: string): FileEntry {
  const content = { kind: 'disk', file: Buffer.from(file) } as const;
  return { ...metadata, type: 'file', path: byteString(name), size, content };
}

async function encode(...entries: Entry[]): Promise<Buffer> {
  return Buffer.concat(await encodeLayer(Readable.from(entries)).toArray());
}

describe('encodeLayer', () => {
  it('writes an empty layer as the 1024 zeros every peer writes', async () => {
    expect((await encode()).equals(Buffer.alloc(1024))).toBe(true);
  });

  it('writes what GNU tar reads', async () => {
    const file = path.join(folder, 'content');
    writeFileSync(file, 'x'.repeat(3_000_000));
    const long = byteString(`${'d/'.repeat(140)}ü`);
    const at = (name: string) => ({ ...metadata, path: byteString(name) });
    const tar = await encode(
      { ...at('dir'), type: 'directory', mode: 0o1777 },
      fileEntry('dir/file', 3_000_000, file),
      { ...at('dir/link'), type: 'symlink', target: byteString('../ü') },
      { ...at('dir/same'), type: 'hardlink', target: byteString('dir/file') },
      { ...at('null'), type: 'character', major: 1, minor: 3, mode: 0 },
      { ...at('loop'), type: 'block', major: 7, minor: 0 },
      { ...at('fifo'), type: 'fifo', uid: 3_000_000, gid: 300_000 },
      { ...metadata, type: 'directory', path: long, mtime: { seconds: 2_208_988_800, nanoseconds: 0 } },
      { ...at('old'), type: 'directory', mtime: { seconds: -315_619_200, nanoseconds: 0 } },
      { type: 'whiteout', path: byteString('dir/gone') },
      { type: 'opaque', path: byteString('dir') },
    );

    const listed = execFileSync('tar', ['--list', '--verbose', '--numeric-owner', '--utc', '--full-time', '-f', '-'], {
      input: tar,
      env: { LC_ALL: 'C.UTF-8', PATH: '/usr/bin:/bin' },
      encoding: 'utf8',
    });

    expect(listed.replace(/ +/g, ' ').split('\n')).toEqual([
      'drwxrwxrwt 0/0 0 1970-01-01 00:00:01 dir/',
      '-rw-r--r-- 0/0 3000000 1970-01-01 00:00:01 dir/file',
      'lrw-r--r-- 0/0 0 1970-01-01 00:00:01 dir/link -> ../ü',
      'hrw-r--r-- 0/0 0 1970-01-01 00:00:01 dir/same link to dir/file',
      'c--------- 0/0 1,3 1970-01-01 00:00:01 null',
      'brw-r--r-- 0/0 7,0 1970-01-01 00:00:01 loop',
      'prw-r--r-- 3000000/300000 0 1970-01-01 00:00:01 fifo',
      `drw-r--r-- 0/0 0 2040-01-01 00:00:00 ${'d/'.repeat(140)}ü/`,
      'drw-r--r-- 0/0 0 1960-01-01 00:00:00 old/',
      '---------- 0/0 0 1970-01-01 00:00:00 dir/.wh.gone',
      '---------- 0/0 0 1970-01-01 00:00:00 dir/.wh..wh..opq',
      '',
    ]);
  });

  it('fails when a file is not what was announced', async () => {
    const file = path.join(folder, 'changing');
    writeFileSync(file, 'abc');
    const link = path.join(folder, 'link');
    symlinkSync(file, link);

    for (const [size, name] of [
      [2, file],
      [4, file],
      [2_000_000, file],
      [3, link],
      [3, `${file}-gone`],
      [4096, folder],
    ] as const) {
      const encoding = encode(fileEntry('f', size, name));
      await expect(encoding, `${size} ${name}`).rejects.toMatchObject({ code: 'LAYER_FILE_CHANGED' });
    }
  });

  it('fails when a file is another than the one that was listed, though as big', async () => {
    const file = path.join(folder, 'stamped');
    for (const size of [3, 0, 3_000_000]) {
      writeFileSync(file, Buffer.alloc(size));
      const { dev, ino, mtimeMs, ctimeMs } = statSync(file);
      const stamp = { dev, ino, mtimeMs, ctimeMs };
      const stamped = (changes: Partial<FileStamp>): FileEntry => ({
        ...fileEntry('f', size, file),
        content: { kind: 'disk', file: Buffer.from(file), stamp: { ...stamp, ...changes } },
      });

      expect((await encode(stamped({}))).length).toBe(1536 + Math.ceil(size / 512) * 512);
      for (const changes of [{ dev: dev + 1 }, { ino: ino + 1 }, { mtimeMs: mtimeMs - 1 }, { ctimeMs: ctimeMs - 1 }])
        await expect(encode(stamped(changes))).rejects.toMatchObject({ code: 'LAYER_FILE_CHANGED' });
    }
  });

  it('leaves a chunk alone until the one after the next is asked for', async () => {
    const bytes = Buffer.from(Array.from({ length: 5_000_000 }, (_, index) => index % 251));
    const entry: FileEntry = { ...fileEntry('f', bytes.length, ''), content: { kind: 'bytes', bytes } };
    const seen: Buffer[] = [];
    let before: Buffer = Buffer.alloc(0);
    for await (const chunk of layerChunks([entry])) {
      seen.push(Buffer.from(before));
      before = chunk;
    }
    seen.push(before);

    expect(Buffer.concat(seen).equals(await encode(entry))).toBe(true);
  });

  it('fails when a file shrinks while it is read', async () => {
    const file = path.join(folder, 'shrinking');
    writeFileSync(file, Buffer.alloc(8_000_000));
    const stream = encodeLayer(Readable.from([fileEntry('f', 8_000_000, file)]));

    const reading = (async () => {
      for await (const _ of stream) truncateSync(file, 2_000_000);
    })();

    await expect(reading).rejects.toMatchObject({ code: 'LAYER_FILE_CHANGED' });
  });

  it('refuses names that would mean something else in a layer', async () => {
    const reserved = encode({ ...metadata, type: 'fifo', path: 'a/.wh.b' as ByteString });
    const named = encode({
      ...metadata,
      type: 'fifo',
      path: 'a' as ByteString,
      xattrs: new Map([['user.a=b', Buffer.alloc(1)]]),
    });

    await expect(reserved).rejects.toMatchObject({ code: 'LAYER_NAME_RESERVED' });
    await expect(named).rejects.toMatchObject({ code: 'LAYER_XATTR_UNSUPPORTED' });
  });

  it('passes on the failure of its entries, and stops them when it is not read to the end', async () => {
    let stopped = false;
    let made = 0;
    async function* many(): AsyncGenerator<Entry> {
      try {
        for (; made < 200_000; made++) yield { ...metadata, type: 'fifo', path: byteString(`f${made}`) };
      } finally {
        stopped = true;
      }
    }
    async function* failing(): AsyncGenerator<Entry> {
      yield { ...metadata, type: 'fifo', path: byteString('f') };
      throw new TypeError('entries');
    }

    for await (const _ of encodeLayer(many())) break;

    await expect.poll(() => stopped).toBe(true);
    expect(made).toBeLessThan(20_000);
    await expect(encodeLayer(failing()).toArray()).rejects.toThrow('entries');
  });

  it('stops with the reason of its signal', async () => {
    const controller = new AbortController();
    async function* aborting(): AsyncGenerator<Entry> {
      for (let i = 0; i < 1000; i++) {
        if (i === 500) controller.abort(new TypeError('stop'));
        yield { ...metadata, type: 'fifo', path: byteString(`f${i}`) };
      }
    }

    await expect(encodeLayer(aborting(), controller).toArray()).rejects.toThrow();
  });
});

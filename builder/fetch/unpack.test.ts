import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ToolError } from '../../core/index.ts';
import { type ByteString, type Entry, encodeLayer } from '../../runtime/index.ts';
import { archiveFormatOf } from './archive-format.ts';
import { ArchiveTree } from './archive-tree.ts';
import { type UnpackOptions, unpackArchive } from './unpack.ts';
import { type ZipFixture, zipOf } from './zip.testing.ts';

const meta = (name: string, seconds = 7) => ({
  path: name as ByteString,
  uid: 5,
  gid: 6,
  mtime: { seconds, nanoseconds: 0 },
});
const file = (name: string, text: string, mode = 0o640): Entry => ({
  ...meta(name),
  type: 'file',
  mode,
  size: Buffer.byteLength(text),
  content: { kind: 'bytes', bytes: Buffer.from(text) },
});
const folder = (name: string, mode = 0o700): Entry => ({ ...meta(name), type: 'directory', mode });
const link = (name: string, target: string): Entry => ({
  ...meta(name),
  type: 'symlink',
  mode: 0o777,
  target: target as ByteString,
});
const hardLink = (name: string, target: string): Entry => ({
  ...meta(name),
  type: 'hardlink',
  mode: 0o640,
  target: target as ByteString,
});

async function tarOf(entries: readonly Entry[]): Promise<Buffer> {
  return Buffer.concat(await encodeLayer(Readable.from(entries)).toArray());
}

interface Unpacked {
  readonly lines: readonly string[];
  readonly entries: readonly Entry[];
}

/** `type mode seconds path content` of each entry. */
async function unpack(archive: Buffer, options: Partial<UnpackOptions> = {}): Promise<Unpacked> {
  const scratch = await mkdtemp(path.join(tmpdir(), 'kiln-unpack-'));
  try {
    await writeFile(path.join(scratch, 'archive'), archive);
    await using unpacked = await unpackArchive(path.join(scratch, 'archive'), { folder: scratch, ...options });
    const lines: string[] = [];
    for (const entry of unpacked.entries) lines.push(await lineOf(entry));
    return { lines, entries: unpacked.entries };
  } finally {
    await rm(scratch, { recursive: true });
  }
}

async function lineOf(entry: Entry): Promise<string> {
  if (entry.type === 'whiteout' || entry.type === 'opaque') return entry.type;
  const common = `${entry.type} ${entry.mode.toString(8)} ${entry.mtime.seconds} ${entry.path}`;
  if (entry.type === 'symlink' || entry.type === 'hardlink') return `${common} -> ${entry.target}`;
  if (entry.type !== 'file') return common;
  const chunks: Buffer[] = [];
  if (entry.content.kind === 'stream') for await (const chunk of entry.content.stream) chunks.push(Buffer.from(chunk));
  return `${common} = ${Buffer.concat(chunks)}`;
}

const usual = [folder('bin'), file('bin/tool', 'tool', 0o4755), link('current', 'bin'), hardLink('zool', 'bin/tool')];
const usualLines = [
  'directory 700 7 bin',
  'file 4755 7 bin/tool = tool',
  'symlink 777 7 current -> bin',
  'hardlink 4755 7 zool -> bin/tool',
];

describe('unpackArchive', () => {
  it.each([
    ['plain', (tar: Buffer) => tar],
    ['gzip', (tar: Buffer) => gzipSync(tar)],
    [
      'several gzip members',
      (tar: Buffer) => Buffer.concat([gzipSync(tar.subarray(0, 700)), gzipSync(tar.subarray(700))]),
    ],
    ['zstd', (tar: Buffer) => zstdCompressSync(tar)],
    [
      'several zstd frames',
      (tar: Buffer) => Buffer.concat([zstdCompressSync(tar.subarray(0, 700)), zstdCompressSync(tar.subarray(700))]),
    ],
  ])('reads a tar archive: %s', async (_, compress) => {
    const archive = compress(await tarOf(usual));

    expect((await unpack(archive)).lines).toEqual(usualLines);
  });

  it('gives what unpacking in order would leave', async () => {
    const archive = await tarOf([
      file('a/b', 'first'),
      hardLink('same', 'a/b'),
      file('a/b', 'second'),
      folder('a', 0o751),
      link('late', 'nowhere'),
      folder('late'),
      file('late/x', 'x'),
      folder('empty'),
      file('empty', 'now a file'),
    ]);

    expect((await unpack(archive)).lines).toEqual([
      'directory 751 7 a',
      'file 640 7 a/b = second',
      'file 640 7 empty = now a file',
      'directory 700 7 late',
      'file 640 7 late/x = x',
      'file 640 7 same = first',
    ]);
  });

  it.each([
    ['through its own link', [link('out', '/etc'), file('out/passwd', 'x')]],
    ['through its own file', [file('out', ''), file('out/passwd', 'x')]],
    ['over a directory with content', [file('a/b', ''), link('a', '/etc')]],
    ['as a link to what is not there', [hardLink('a', 'b')]],
    ['as a link to a directory', [folder('b'), hardLink('a', 'b')]],
    ['as a whiteout', [{ type: 'whiteout', path: 'a' as ByteString } satisfies Entry]],
  ])('writes nothing %s', async (_, entries) => {
    await expect(unpack(await tarOf(entries))).rejects.toMatchObject({ code: 'FETCH_ARCHIVE_INVALID' });
  });

  it.each(['block', 'character', 'fifo'] as const)('refuses a %s', async (type) => {
    const special = { ...meta('dev/x'), type, mode: 0o666, major: 1, minor: 3 } as Entry;

    await expect(unpack(await tarOf([special]))).rejects.toMatchObject({ code: 'FETCH_ARCHIVE_DEVICE' });
  });

  it('refuses names that lead out', async () => {
    const tar = await tarOf([file('aa/evil', 'x')]);
    tar.write('../evil', 0, 'latin1');
    repairChecksum(tar);

    await expect(unpack(tar)).rejects.toMatchObject({
      code: 'FETCH_ARCHIVE_INVALID',
      message: expect.stringContaining('leads out'),
    });
  });

  it('keeps capabilities and user attributes, and no labels of a machine', async () => {
    const xattrs = new Map([
      ['security.capability', Buffer.from('cap')],
      ['security.selinux', Buffer.from('label')],
      ['trusted.x', Buffer.from('x')],
      ['user.note', Buffer.from('note')],
    ]);
    const { entries } = await unpack(await tarOf([{ ...file('a', 'a'), xattrs } as Entry]));

    expect([...((entries[0] as { xattrs?: Map<string, Buffer> }).xattrs?.keys() ?? [])]).toEqual([
      'security.capability',
      'user.note',
    ]);
  });

  it('stops at its limits: bytes and entries', async () => {
    const bomb = gzipSync(await tarOf([file('zeros', '\0'.repeat(3_000_000))]));

    await expect(unpack(bomb, { maxBytes: 1_000_000 })).rejects.toMatchObject({ code: 'FETCH_ARCHIVE_TOO_LARGE' });
    await expect(unpack(await tarOf(usual), { maxEntries: 2 })).rejects.toMatchObject({
      code: 'FETCH_ARCHIVE_TOO_LARGE',
    });
  });

  it.each([
    ['text', Buffer.from('#!/bin/sh\necho hello\n')],
    ['nothing', Buffer.alloc(0)],
    ['zeros that are too few', Buffer.alloc(300)],
  ])('says that %s is no archive', async (_, bytes) => {
    await expect(unpack(bytes)).rejects.toMatchObject({
      code: 'FETCH_NOT_AN_ARCHIVE',
      hint: expect.stringContaining('unpack'),
    });
  });

  it('says so when what was compressed is no archive, or the end is missing', async () => {
    const tar = gzipSync(await tarOf([file('a', 'a'.repeat(5000))]));

    await expect(unpack(gzipSync(Buffer.from('hello'.repeat(200))))).rejects.toMatchObject({
      code: 'FETCH_ARCHIVE_INVALID',
    });
    await expect(unpack(tar.subarray(0, tar.length - 20))).rejects.toMatchObject({ code: 'FETCH_ARCHIVE_INVALID' });
    await expect(unpack(tar.subarray(0, 15))).rejects.toMatchObject({ code: 'FETCH_ARCHIVE_INVALID' });
  });

  it('is called off', async () => {
    const signal = AbortSignal.abort(new Error('enough'));

    await expect(unpack(await tarOf(usual), { signal })).rejects.toThrow('enough');
  });
});

describe('a zip file', () => {
  it('is unpacked with modes, links and times', async () => {
    const { lines } = await unpack(
      zipOf([
        { name: 'bin/', mode: 0o40755 },
        { name: 'bin/tool', bytes: Buffer.from('tool'), mode: 0o100755, seconds: 42 },
        { name: 'current', bytes: Buffer.from('bin'), mode: 0o120777, isStored: true, seconds: 1 },
        { name: 'dos.txt', bytes: Buffer.from('dos'), isStored: true },
        { name: 'empty/' },
      ]),
    );
    const seconds = Date.UTC(2020, 1, 2, 2, 2, 2) / 1000;

    expect(lines).toEqual([
      `directory 755 ${seconds} bin`,
      'file 755 42 bin/tool = tool',
      'symlink 777 1 current -> bin',
      `file 644 ${seconds} dos.txt = dos`,
      `directory 755 ${seconds} empty`,
    ]);
    expect((await unpack(zipOf([]))).lines).toEqual([]);
  });

  it.each<readonly [string, readonly ZipFixture[], string]>([
    ['a name that leads out', [{ name: '../evil' }], 'FETCH_ARCHIVE_INVALID'],
    [
      'a file through its link',
      [{ name: 'a', bytes: Buffer.from('/etc'), mode: 0o120777 }, { name: 'a/b' }],
      'FETCH_ARCHIVE_INVALID',
    ],
    ['more than it says', [{ name: 'a', bytes: Buffer.alloc(1000), claimedSize: 10 }], 'FETCH_ARCHIVE_INVALID'],
    ['less than it says', [{ name: 'a', bytes: Buffer.alloc(10), claimedSize: 1000 }], 'FETCH_ARCHIVE_INVALID'],
    ['a device', [{ name: 'a', mode: 0o20666 }], 'FETCH_ARCHIVE_INVALID'],
    ['a secret', [{ name: 'a', flags: 1 }], 'FETCH_ARCHIVE_UNSUPPORTED'],
    ['an odd method', [{ name: 'a', method: 99 }], 'FETCH_ARCHIVE_UNSUPPORTED'],
    ['a link without end', [{ name: 'a', bytes: Buffer.alloc(5000, 0x61), mode: 0o120777 }], 'FETCH_ARCHIVE_INVALID'],
  ])('is refused with %s', async (_, fixtures, code) => {
    await expect(unpack(zipOf(fixtures))).rejects.toMatchObject({ code });
  });

  it('fails with a ToolError only, however it is damaged', async () => {
    const good = zipOf([
      { name: 'bin/tool', bytes: Buffer.from('tool'.repeat(50)), mode: 0o100755, seconds: 42 },
      { name: 'dos.txt', bytes: Buffer.from('dos'), isStored: true },
    ]);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 5 }),
        fc.nat(good.length),
        async (hits, cut) => {
          const bytes = Buffer.from(good.subarray(0, cut < 10 ? cut : good.length));
          for (const [at, byte] of hits) if (at < bytes.length) bytes[at] = byte;

          const outcome = await unpack(bytes).catch((error: unknown) => error);

          if (outcome instanceof Error) expect(outcome).toBeInstanceOf(ToolError);
          else
            for (const { path: name } of (outcome as Unpacked).entries)
              expect(name).not.toMatch(/(^|\/)\.\.?(\/|$)|^\//);
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe('archiveFormatOf', () => {
  it('never fails', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => void archiveFormatOf(Buffer.from(bytes))));
  });
});

describe('ArchiveTree', () => {
  it('gives every path once, parents first, links behind files, whatever is put in', () => {
    const name = fc
      .array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 3 })
      .map((parts) => parts.join('/'));
    const entry = fc.oneof(
      name.map((at) => file(at, at)),
      name.map((at) => folder(at)),
      name.map((at) => link(at, '../..')),
      fc.tuple(name, name).map(([at, to]) => hardLink(at, to)),
    );
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 15 }), (entries) => {
        const tree = new ArchiveTree(1000);
        for (const one of entries) {
          try {
            tree.add(one);
          } catch (error) {
            expect(error).toBeInstanceOf(ToolError);
          }
        }
        const seen = new Map<string, Entry['type']>();
        for (const found of tree.entries()) {
          expect(seen.has(found.path)).toBe(false);
          const parent = found.path.split('/').slice(0, -1).join('/');
          if (parent !== '') expect(seen.get(parent)).toBe('directory');
          if (found.type === 'hardlink') expect(seen.get(found.target)).toBe('file');
          seen.set(found.path, found.type);
        }
      }),
    );
  });
});

function repairChecksum(tar: Buffer): void {
  tar.fill(0x20, 148, 156);
  const sum = tar.subarray(0, 512).reduce((total, byte) => total + byte, 0);
  tar.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}

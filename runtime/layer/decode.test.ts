import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { forEachEntry } from './decode.ts';
import { endOfArchive, entriesOf, member, paxMember } from './raw-tar.testing.ts';

describe('forEachEntry', () => {
  it.each([
    ['..', 'leads out'],
    ['a/../../b', 'leads out'],
    ['/../etc/passwd', 'leads out'],
    ['./..', 'leads out'],
  ])('refuses the name %s', async (name, why) => {
    const reading = entriesOf(member({ name }));

    await expect(reading).rejects.toMatchObject({ code: 'LAYER_INVALID', message: expect.stringContaining(why) });
  });

  it.each([
    ['/etc/passwd', 'etc/passwd'],
    ['./a//b/./c', 'a/b/c'],
    ['a/..b/c..', 'a/..b/c..'],
    ['//x', 'x'],
  ])('takes %s as %s', async (name, path) => {
    expect(await entriesOf(member({ name }))).toMatchObject([{ path }]);
  });

  it('refuses names that are empty, too long, or contain a zero byte', async () => {
    await expect(entriesOf(member({ name: '' }))).rejects.toMatchObject({ code: 'LAYER_INVALID' });
    await expect(entriesOf(paxMember({ path: 'a/'.repeat(2100) }), member({}))).rejects.toThrow('4200 bytes');
    await expect(entriesOf(paxMember({ path: 'a\0b' }), member({}))).rejects.toThrow('zero byte');
  });

  it('refuses hard links that leave the layer, and symbolic links to nothing', async () => {
    await expect(entriesOf(member({ flag: '1', link: '../x' }))).rejects.toMatchObject({ code: 'LAYER_INVALID' });
    await expect(entriesOf(member({ flag: '1', link: '' }))).rejects.toMatchObject({ code: 'LAYER_INVALID' });
    await expect(entriesOf(member({ flag: '2', link: '' }))).rejects.toMatchObject({ code: 'LAYER_INVALID' });
    expect(await entriesOf(member({ flag: '1', link: '/a/b' }))).toMatchObject([{ target: 'a/b' }]);
    expect(await entriesOf(member({ flag: '2', link: '../../x' }))).toMatchObject([{ target: '../../x' }]);
  });

  it('understands whiteouts and opaque directories, and skips what aufs left', async () => {
    const names = ['a/.wh.b', 'a/.wh..wh..opq', '.wh..wh..opq', '.wh..wh.plnk', '.wh..wh.orph/x', '.wh.c.wh.'];

    const entries = await entriesOf(...names.map((name) => member({ name })));

    expect(entries).toEqual([
      { type: 'whiteout', path: 'a/b' },
      { type: 'opaque', path: 'a' },
      { type: 'opaque', path: '' },
      { type: 'whiteout', path: 'c.wh.' },
    ]);
  });

  it.each([
    { name: 'a/.wh.b', flag: '5' },
    { name: 'a/.wh.b', flag: '2', link: 'x' },
    { name: 'a/.wh.' },
    { name: 'a/.wh..' },
    { name: 'a/.wh...' },
    { name: '.wh.a/b' },
    { name: 'x', flag: '1', link: 'a/.wh.b' },
    { name: 'x', flag: '3', device: ['0', '0'] as const },
    { name: './', flag: '2', link: 'x' },
  ])('refuses what would forge or confuse overlayfs marks: %o', async (raw) => {
    await expect(entriesOf(member(raw))).rejects.toMatchObject({ code: 'LAYER_INVALID' });
  });

  it("drops overlayfs' own attributes and keeps others byte for byte", async () => {
    const value = Buffer.from([1, 0, 0, 2, 0x80, 0xff, 0, 0x0a]);
    const pax = paxMember({
      'SCHILY.xattr.trusted.overlay.redirect': '/etc',
      'SCHILY.xattr.user.overlay.opaque': 'y',
      'SCHILY.xattr.security.capability': value,
    });

    const [entry] = await entriesOf(pax, member({}));

    expect(entry).toMatchObject({ xattrs: new Map([['security.capability', value]]) });
  });

  it('lets pax records win over the header, for one member only', async () => {
    const pax = paxMember({ uid: '3000000', gid: '4000000', mtime: '-1.25', path: 'long', linkpath: 'unused' });

    expect(await entriesOf(pax, member({}), member({}))).toMatchObject([
      { path: 'long', uid: 3_000_000, gid: 4_000_000, mtime: { seconds: -2, nanoseconds: 750_000_000 } },
      { path: 'file', uid: 0, gid: 0, mtime: { seconds: 1, nanoseconds: 0 } },
    ]);
  });

  it("understands GNU's long names and numbers, ustar prefixes, and directories from before ustar", async () => {
    const longName = 'd/'.repeat(100) + 'x'.repeat(255);

    const entries = await entriesOf(
      member({ name: '././@LongLink', flag: 'L', content: `${longName}\0` }),
      member({ flag: 'K', content: `${'l'.repeat(300)}\0` }),
      member({ flag: '2', magic: 'ustar  \0', uid: '\x80\0\0\0\0\x2d\xc6\xc0' }),
      member({ name: 'base', prefix: 'some/where' }),
      member({ name: 'old/', flag: '\0', magic: '\0\0\0\0\0\0\0\0' }),
      member({ mtime: '\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe' }),
    );

    expect(entries).toMatchObject([
      { type: 'symlink', path: longName, target: 'l'.repeat(300), uid: 3_000_000 },
      { type: 'file', path: 'some/where/base' },
      { type: 'directory', path: 'old' },
      { type: 'file', mtime: { seconds: -2, nanoseconds: 0 } },
    ]);
  });

  it.each([
    ['a GNU sparse file', [member({ flag: 'S' })]],
    ['a GNU sparse file', [paxMember({ 'GNU.sparse.major': '1' }), member({})]],
    ['type "V"', [member({ flag: 'V' })]],
    ['a global path', [paxMember({ path: 'x' }, 'g'), member({})]],
  ])('says that it does not take %s', async (what, parts) => {
    await expect(entriesOf(...parts)).rejects.toMatchObject({
      code: 'LAYER_UNSUPPORTED',
      message: expect.stringContaining(what),
    });
  });

  it.each([
    ['a wrong checksum', Buffer.from(member({})).fill('9', 148, 152)],
    ['a size that is no number', member({ size: '12x45678901\0' })],
    ['a negative size', member({ size: '\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff' })],
    ['a huge size', member({ size: '\x80\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff' })],
    ['a pax header over the limit', member({ flag: 'x', size: '00010000000\0' })],
    ['a pax record longer than its header', member({ flag: 'x', content: '99 path=x\n' })],
    ['a pax record without a name', member({ flag: 'x', content: '5 =x\n' })],
    ['a pax record without an end', member({ flag: 'x', content: '9 path=xy' })],
    ['an owner that is no number', Buffer.concat([paxMember({ uid: 'root' }), member({})])],
    ['an owner beyond 32 bits', Buffer.concat([paxMember({ uid: '4294967295' }), member({})])],
    ['a gzip file', Buffer.from('1f8b0800000000000003'.padEnd(1024, '5a'), 'hex')],
  ])('refuses %s', async (_what, bytes) => {
    await expect(entriesOf(bytes)).rejects.toMatchObject({ code: 'LAYER_INVALID' });
  });

  it('ignores global headers that change nothing and all that follows the end', async () => {
    const parts = [paxMember({ comment: 'x', mtime: '5' }, 'g'), member({}), endOfArchive, member({ name: 'after' })];

    expect(await entriesOf(...parts, Buffer.from('junk'))).toMatchObject([{ path: 'file', mtime: { seconds: 1 } }]);
  });

  it('takes no content for what is no file, whatever its size says', async () => {
    const entries = await entriesOf(
      member({ name: 'd', flag: '5', size: '00000001000\0' }),
      member({ name: 'l', flag: '2', link: 'x', size: '00000001000\0' }),
      member({ name: 'f' }),
    );

    expect(entries.map(({ path }) => path)).toEqual(['d', 'l', 'f']);
  });

  it('skips what the visitor leaves of a file, and waits for the visitor', async () => {
    const big = member({ name: 'big', content: Buffer.alloc(300_000, 7) });
    const tar = Readable.from([big, member({ name: 'next' }), endOfArchive], { objectMode: false });
    const seen: string[] = [];

    await forEachEntry(tar, async (entry) => {
      if (entry.type === 'file' && entry.content.kind === 'stream') for await (const _ of entry.content.stream) break;
      await delay(5);
      seen.push(entry.path);
    });

    expect(seen).toEqual(['big', 'next']);
  });

  it("throws the visitor's error, the source's error, and the reason of an abort", async () => {
    const archive = () => Readable.from([member({ content: 'x' }), endOfArchive], { objectMode: false });
    const failing = Readable.from(
      (async function* () {
        yield member({ content: Buffer.alloc(2000) }).subarray(0, 700);
        throw new TypeError('source');
      })(),
      { objectMode: false },
    );
    const controller = new AbortController();

    await expect(forEachEntry(archive(), () => Promise.reject(new TypeError('visit')))).rejects.toThrow('visit');
    await expect(forEachEntry(failing, () => {})).rejects.toThrow('source');
    const aborted = forEachEntry(archive(), () => controller.abort(new TypeError('stop')), controller);
    await expect(aborted).rejects.toThrow('stop');
  });

  it('refuses to go on where the archive is endless in headers', async () => {
    const pax = paxMember({ 'SCHILY.xattr.user.x': Buffer.alloc(1024 * 1024) });

    await expect(entriesOf(pax)).rejects.toMatchObject({ code: 'LAYER_INVALID' });
  });
});

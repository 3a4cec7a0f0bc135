import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ToolError } from '../../core/index.ts';
import { openAccount } from '../../test/account.ts';
import { missing } from '../../test/requirements.ts';
import { openLauncher } from '../launcher.ts';
import { applyLayer } from './apply.ts';
import { changesOf, treeOf } from './changes.ts';
import {
  diffIdOf,
  directory,
  file,
  hardLink,
  lowerLayer,
  opaque,
  streamOfTar,
  symlink,
  tarOf,
  upperLayer,
  whiteout,
} from './odd-layers.testing.ts';
import { endOfArchive, member } from './raw-tar.testing.ts';

const launcher = await openLauncher();
const isSkipped = missing('root');

describe.skipIf(isSkipped)('applyLayer', () => {
  let folder: string;
  let root: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'apply-'));
    root = path.join(folder, 'root');
    mkdirSync(root);
    writeFileSync(path.join(folder, 'outside'), 'untouched');
  });
  afterEach(() => {
    expect(readFileSync(path.join(folder, 'outside'), 'utf8')).toBe('untouched');
    rmSync(folder, { recursive: true });
  });

  const apply = (tar: Buffer) => applyLayer(launcher, streamOfTar(tar), root, { userXattrs: false });

  it.each([
    ['lower', lowerLayer],
    ['upper', upperLayer({ withDevices: true })],
  ])('makes of the odd %s layer what becomes the same bytes again', async (_name, entries) => {
    const tar = await tarOf(entries);

    const applied = await apply(tar);

    expect(applied).toMatchObject({ diffId: diffIdOf(tar), implicit: [''], skipped: [] });
    expect((await tarOf(changesOf(launcher, root))).equals(tar)).toBe(true);
  });

  it('makes what GNU tar makes', async () => {
    const plain = upperLayer({ withDevices: true }).filter(({ type }) => type !== 'whiteout' && type !== 'opaque');
    const tar = await tarOf(plain);
    const other = path.join(folder, 'gnu');
    mkdirSync(other);

    await apply(tar);
    const flags = ['--extract', '--numeric-owner', '--same-owner', '-p', '--xattrs', '--xattrs-include=*', '-C', other];
    execFileSync('tar', [...flags, '-f', '-'], { input: tar });

    expect((await tarOf(treeOf(launcher, other))).equals(await tarOf(treeOf(launcher, root)))).toBe(true);
  });

  it('keeps nanoseconds on disk', async () => {
    await apply(await tarOf([directory('d'), file('d/f')]));

    expect(statSync(path.join(root, 'd'), { bigint: true }).mtimeNs).toBe(1_600_000_000_000_000_000n);
  });

  it('lets later entries replace earlier ones of any type', async () => {
    const make = {
      file: () => file('a', 'file'),
      directory: () => directory('a'),
      symlink: () => symlink('a', 'outside'),
      filled: () => file('a/b/c'),
    };
    for (const first of Object.values(make)) {
      for (const last of [make.file, make.directory, make.symlink]) {
        rmSync(root, { recursive: true });
        mkdirSync(root);

        await apply(await tarOf([first(), last()]));

        const [entry] = await Array.fromAsync(changesOf(launcher, root));
        expect(entry).toMatchObject({ path: 'a', type: last().type });
      }
    }
  });

  it('lets a whiteout speak of the layers below only, wherever it stands', async () => {
    const applied = await apply(
      await tarOf([
        file('f'),
        whiteout('f'),
        whiteout('g'),
        file('g'),
        file('d/x'),
        whiteout('d'),
        whiteout('e'),
        file('e/x'),
        opaque('o/p'),
      ]),
    );

    expect(applied.opaques).toEqual(['d', 'e', 'o/p']);
    expect(applied.implicit).toEqual(['', 'd', 'e', 'o', 'o/p']);
    const entries = await Array.fromAsync(changesOf(launcher, root));
    expect(entries.map((entry) => `${entry.type} ${entry.path}`)).toEqual([
      ...['directory d', 'opaque d', 'file d/x', 'directory e', 'opaque e', 'file e/x', 'file f', 'file g'],
      ...['directory o', 'directory o/p', 'opaque o/p'],
    ]);
  });

  it('follows symbolic links of the layer within it only', async () => {
    await apply(
      await tarOf([
        directory('real'),
        symlink('absolute', '/real'),
        file('absolute/one'),
        symlink('up', '../../../../../../..'),
        file('up/two'),
        symlink('ahead', 'not/yet/there'),
        file('ahead/three'),
        symlink('host', folder),
        file('host/outside', 'harm'),
        hardLink('four', 'absolute/one'),
      ]),
    );

    expect(existsSync(path.join(root, 'real/one'))).toBe(true);
    expect(existsSync(path.join(root, 'two'))).toBe(true);
    expect(existsSync(path.join(root, 'not/yet/there/three'))).toBe(true);
    expect(readFileSync(path.join(root, folder, 'outside'), 'utf8')).toBe('harm');
    expect(statSync(path.join(root, 'four')).ino).toBe(statSync(path.join(root, 'real/one')).ino);
    expect(readdirSync(folder).sort()).toEqual(['outside', 'root']);
  });

  it.each([
    ['a loop of links', [symlink('a', 'b'), symlink('b', 'a'), file('a/x')]],
    ['a file used as a directory', [file('a'), file('a/b')]],
    ['a link to nothing', [hardLink('a', 'b')]],
    ['a link to a directory', [directory('d'), hardLink('a', 'd')]],
    ['a link to a deleted file', [whiteout('b'), hardLink('a', 'b')]],
    ['a link out through a symbolic link', [symlink('s', '..'), hardLink('a', 's/outside')]],
    ['a name that is too long', [file('x'.repeat(256))]],
  ])('refuses %s', async (_what, entries) => {
    await expect(apply(await tarOf(entries))).rejects.toMatchObject({
      code: expect.stringMatching(/^LAYER_(INVALID|APPLY_FAILED)$/),
    });
  });

  it('stops the launcher when the archive turns out to be bad', async () => {
    const tar = Buffer.concat([
      await tarOf([file('big', Buffer.alloc(2_000_000))]).then((all) => all.subarray(0, -1024)),
      member({ name: '../x' }),
      endOfArchive,
    ]);

    await expect(apply(tar)).rejects.toMatchObject({ code: 'LAYER_INVALID' });
  });

  it('stops with the reason of its signal', async () => {
    const controller = new AbortController();
    async function* slow() {
      yield (await tarOf([file('a')])).subarray(0, 1024);
      controller.abort(new TypeError('stop'));
      yield Buffer.alloc(1024);
    }
    const { Readable } = await import('node:stream');
    const tar = Readable.from(slow(), { objectMode: false });

    const applying = applyLayer(launcher, tar, root, { userXattrs: false, signal: controller.signal });

    await expect(applying).rejects.toThrow('stop');
  });

  it('never writes outside and never fails otherwise than by a ToolError, whatever the archive', async () => {
    const names = fc.constantFrom('a', 'b', 'a/b', 'a/b/c', 'b/a', 'a/../b', '.', 'a/.wh.b', '.wh.a', 'a/.wh..wh..opq');
    const targets = fc.constantFrom('a', '/b', '..', '../outside', '../../outside', '/', 'a/b', folder, '.');
    const raw = fc.record({ name: names, link: targets, flag: fc.constantFrom('0', '1', '2', '3', '5', '6') });

    await fc.assert(
      fc.asyncProperty(fc.array(raw, { minLength: 2, maxLength: 12 }), async (members) => {
        rmSync(root, { recursive: true, force: true });
        mkdirSync(root);
        const tar = Buffer.concat([...members.map((each) => member({ ...each, device: ['1', '3'] })), endOfArchive]);

        await apply(tar).catch((error: unknown) => expect(error).toBeInstanceOf(ToolError));

        expect(readdirSync(folder).sort()).toEqual(['outside', 'root']);
        expect(statSync(path.join(folder, 'outside')).nlink).toBe(1);
      }),
      { numRuns: 80 },
    );
  });
});

describe.skipIf(missing('unprivileged-user'))('applyLayer in a user namespace', () => {
  it('makes the same of the odd layers, and names ids that are not mapped', async () => {
    await using account = openAccount('unprivileged');
    const folder = account.folder('layers');
    const files = {
      lower: await tarOf(lowerLayer),
      upper: await tarOf(upperLayer({ withDevices: false })),
      unmapped: await tarOf([file('a', 'x', { uid: 3_000_000 })]),
      device: await tarOf(upperLayer({ withDevices: true }).filter(({ path: name }) => name === 'dev-null')),
    };
    for (const [name, tar] of Object.entries(files)) writeFileSync(path.join(folder, `${name}.tar`), tar);
    const script = path.join(import.meta.dirname, 'apply-in-namespace.testing.ts');
    const program = [process.execPath, script, folder, ...Object.keys(files)];

    const { stdout, stderr } = await account.run(['unshare', '--map-root-user', '--map-auto', '--mount', ...program]);

    expect(stdout.trim().split('\n'), stderr).toEqual([
      'lower the same',
      'upper the same',
      expect.stringMatching(/^unmapped LAYER_ID_UNMAPPED .*subuid/),
      'device skipped dev-null',
    ]);
  });
});

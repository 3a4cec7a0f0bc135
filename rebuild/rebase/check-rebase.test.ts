import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePlatform } from '../../core/index.ts';
import type { Entry } from '../../runtime/index.ts';
import { directory, file, opaque, symlink, whiteout } from '../../runtime/layer/odd-layers.testing.ts';
import { dpkgStatus, type MadeImage, type MadeImageOptions, madeImage } from '../../test/made-image.ts';
import { checkRebase } from './check-rebase.ts';

type Entries = readonly Entry[];

const status = 'var/lib/dpkg/status';
const release = (version: string, id = 'debian') => file('etc/os-release', `ID=${id}\nVERSION_ID="${version}"\n`);
const oldBase = [
  release('12'),
  file('lib/libz.so.1', 'old'),
  file('usr/bin/tool', 'old'),
  file('etc/same', 'x'),
  file(status, dpkgStatus({ zlib: '1' })),
];
const newBase = [
  release('12'),
  file('lib/libz.so.1', 'new'),
  file('usr/bin/tool', 'new'),
  file('etc/same', 'x'),
  file(status, dpkgStatus({ zlib: '2' })),
];

interface Sides {
  readonly old?: readonly Entries[];
  readonly fresh?: readonly Entries[];
  /** The image's own layers. */
  readonly own?: readonly Entries[];
  readonly image?: MadeImageOptions;
  readonly freshOptions?: MadeImageOptions;
}

async function check({
  old = [oldBase],
  fresh = [newBase],
  own = [[file('srv/app')]],
  image = {},
  freshOptions = {},
}: Sides) {
  await using scratch = await mkdtempDisposable(`${tmpdir()}/kiln-rebase-`);
  const sides: Record<'old' | 'fresh' | 'image', MadeImage> = {
    old: await madeImage(old),
    fresh: await madeImage(fresh, freshOptions),
    image: await madeImage([...old, ...own], image),
  };
  return await checkRebase(sides, scratch.path, {});
}

/** `code item item`: what speaks against it. */
async function reasons(sides: Sides): Promise<string[]> {
  return (await check(sides)).reasons.map(({ code, items = [] }) => [code, ...items].join(' '));
}

describe('checkRebase', () => {
  it('lets an image through that only has files of its own, and says what the new base brings', async () => {
    const found = await check({});

    expect(found.reasons).toEqual([]);
    expect(found.packages).toEqual([{ kind: 'deb', name: 'zlib', from: '1', to: '2' }]);
  });

  it('refuses files that the new base changed too: written, deleted, or hidden with their folder', async () => {
    expect(await reasons({ own: [[file('usr/bin/tool', 'patched')]] })).toEqual(['files /usr/bin/tool']);
    expect(await reasons({ own: [[file('a')], [whiteout('usr/bin/tool')]] })).toEqual(['files /usr/bin/tool']);
    expect(await reasons({ own: [[whiteout('usr/bin')]] })).toEqual(['files /usr/bin']);
    expect(await reasons({ own: [[directory('lib'), opaque('lib')]] })).toEqual(['files /lib']);
    expect(await reasons({ own: [[file('lib', 'a file now')]] })).toEqual(['files /lib']);
  });

  it('lets files through that the new base did not change, or that are what it has', async () => {
    expect(await reasons({ own: [[file('etc/same', 'own')], [whiteout('etc/same')]] })).toEqual([]);
    expect(await reasons({ own: [[file('usr/bin/tool', 'new')]] })).toEqual([]);
    expect(await reasons({ own: [[directory('usr'), directory('usr/bin'), file('usr/bin/app')]] })).toEqual([]);
  });

  it('refuses an image that hides what the new base adds', async () => {
    const fresh = [[...newBase, file('usr/bin/fresh')]];

    expect(await reasons({ fresh, own: [[file('usr/bin/fresh', 'own')]] })).toEqual(['files /usr/bin/fresh']);
  });

  it('refuses an image with files in a folder that the new base does not have any more, or that is a link now', async () => {
    const old = [[...oldBase, directory('opt'), directory('opt/py3.11'), file('opt/py3.11/x')]];

    expect(await reasons({ old, own: [[file('opt/py3.11/app')]] })).toEqual(['files /opt /opt/py3.11']);
    expect(await reasons({ old: [[...oldBase, directory('opt')]], own: [[file('opt/app')]] })).toEqual([]);
    const linked = [[...newBase, directory('opt'), symlink('opt/py3.11', 'py3.12')]];
    expect(await reasons({ old, fresh: linked, own: [[file('opt/py3.11/app')]] })).toEqual(['files /opt/py3.11']);
  });

  it('refuses an image that installed packages: its database would speak of the old ones', async () => {
    const own = [[file(status, dpkgStatus({ zlib: '1', unzip: '6.0' }))]];
    const found = await check({ own });

    expect(found.reasons.map(({ code, items }) => [code, items])).toEqual([
      ['files', ['/var/lib/dpkg/status']],
      ['packages', ['unzip 6.0']],
    ]);
    expect(found.reasons[0]?.message).toContain('/var/lib/dpkg/status');
  });

  it('refuses one whose packages have databases of their own as well', async () => {
    const own = [[file('var/lib/dpkg/status.d/app', dpkgStatus({ app: '1' }))]];

    expect(await reasons({ own })).toEqual(['packages app 1']);
  });

  it('lets packages through when those of the base stay as they are', async () => {
    const fresh = [[...oldBase.filter(({ path }) => path !== 'usr/bin/tool'), file('usr/bin/tool', 'new')]];
    const own = [[file(status, dpkgStatus({ zlib: '1', unzip: '6.0' }))]];

    expect(await reasons({ fresh, own })).toEqual([]);
  });

  it('refuses a base that does without packages and libraries', async () => {
    const fresh = [[release('12'), file('lib/libz.so.2', 'new'), file(status, dpkgStatus({ zlib2: '2' }))]];

    expect(await reasons({ fresh })).toEqual(['removed zlib', 'removed /lib/libz.so.1']);
  });

  it('does not mind the file of one version behind a library’s name, nor a library that moved', async () => {
    const base = (version: string, folder: string) => [
      release('12'),
      directory(folder),
      file(`${folder}/libssl.so.${version}`, version),
      symlink(`${folder}/libssl.so.3`, `libssl.so.${version}`),
    ];

    expect(await reasons({ old: [base('3.0.1', 'usr/lib')], fresh: [base('3.0.2', 'usr/lib')] })).toEqual([]);
    expect(await reasons({ old: [base('3.0.1', 'lib')], fresh: [base('3.0.1', 'usr/lib')] })).toEqual([]);
  });

  it('refuses another release of the distribution, and knows what counts updates', async () => {
    const on = (version: string, id: string) => [[release(version, id)]];

    expect(await reasons({ old: on('12', 'debian'), fresh: on('13', 'debian') })).toEqual(['release']);
    expect(await reasons({ old: on('12', 'debian'), fresh: on('12', 'ubuntu') })).toEqual(['release']);
    expect(await reasons({ old: on('3.19.1', 'alpine'), fresh: on('3.19.7', 'alpine') })).toEqual([]);
    expect(await reasons({ old: on('3.19.1', 'alpine'), fresh: on('3.20.0', 'alpine') })).toEqual(['release']);
    expect(await reasons({ old: on('9.3', 'rhel'), fresh: on('9.4', 'rhel') })).toEqual([]);
    expect(await reasons({ old: on('22.04', 'ubuntu'), fresh: on('22.10', 'ubuntu') })).toEqual(['release']);
    expect(await reasons({ old: [[file('a')]], fresh: [[file('b')]] })).toEqual([]);
  });

  it('refuses a base without the program that the image starts', async () => {
    const config = { Cmd: ['tool'], Env: ['PATH=/usr/local/bin:/usr/bin'] };
    const fresh = [newBase.filter(({ path }) => path !== 'usr/bin/tool')];

    expect(await reasons({ fresh, image: { config } })).toContain('removed /usr/bin/tool');
    expect(await reasons({ fresh, image: { config }, own: [[file('usr/local/bin/tool')]] })).not.toContain(
      'removed /usr/bin/tool',
    );
  });

  it('refuses an image that does not lie on the old base', async () => {
    await using scratch = await mkdtempDisposable(`${tmpdir()}/kiln-rebase-`);
    const [old, fresh, image] = [
      await madeImage([oldBase]),
      await madeImage([newBase]),
      await madeImage([[file('x')]]),
    ];

    const found = await checkRebase({ old, fresh, image }, scratch.path, {});

    expect(found.reasons).toMatchObject([{ code: 'layers', message: expect.stringContaining('none') }]);
  });

  it('refuses another platform, and says only that', async () => {
    const freshOptions = { platform: parsePlatform('linux/s390x') };

    expect(await reasons({ freshOptions, fresh: [[release('13')]] })).toEqual(['platform']);
  });

  it('tells all reasons at once', async () => {
    const found = await reasons({
      fresh: [[release('13'), file('usr/bin/tool', 'new')]],
      freshOptions: { config: { User: 'nobody' } },
      own: [[file('usr/bin/tool', 'own'), file(status, dpkgStatus({ zlib: '1', app: '1' }))]],
    });

    expect(found.map((reason) => reason.split(' ', 1)[0])).toEqual([
      'release',
      'config',
      'removed',
      'removed',
      'files',
      'packages',
    ]);
  });

  it('reads only layers in which the bases differ and the image’s own', async () => {
    await using scratch = await mkdtempDisposable(`${tmpdir()}/kiln-rebase-`);
    const far = { isNear: false };
    const [bottom, own] = [[release('12'), file('big')], [file('srv/app')]];
    const old = await madeImage([bottom, [file('lib/a', '1')]], far);
    const fresh = await madeImage([bottom, [file('lib/a', '2')]], far);
    const image = await madeImage([bottom, [file('lib/a', '1')], own], far);

    const { reasons: found } = await checkRebase({ old, fresh, image }, scratch.path, {});

    const shared = old.image.layers[0]?.descriptor.digest;
    expect(found).toEqual([]);
    expect([...old.reads, ...fresh.reads, ...image.reads]).not.toContain(shared);
  });

  it('is safe exactly when no path of the image’s own was changed by the base, whatever the paths', async () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd/a', 'd/b', 'e/f');
    const tree = fc.dictionary(name, fc.constantFrom('1', '2'), { maxKeys: 5 });
    const entries = (files: Readonly<Record<string, string>>) => [
      directory('d'),
      directory('e'),
      ...Object.entries(files).map(([path, text]) => file(path, text)),
    ];
    await fc.assert(
      fc.asyncProperty(tree, tree, tree, async (was, is, own) => {
        const found = await reasons({ old: [entries(was)], fresh: [entries(is)], own: [entries(own)] });

        const conflicts = Object.keys(own).filter((path) => was[path] !== is[path] && own[path] !== is[path]);
        expect(found.length > 0).toBe(conflicts.length > 0);
      }),
      { numRuns: 60 },
    );
  });
});

import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePlatform } from '../../core/index.ts';
import type { Entry } from '../../runtime/index.ts';
import { directory, file, hardLink, opaque, symlink, whiteout } from '../../runtime/layer/odd-layers.testing.ts';
import { dpkgStatus, type MadeImage, madeImage } from '../../test/made-image.ts';
import { type DiffOptions, diffImages, diffSections } from './diff-images.ts';

async function diff(before: MadeImage, after: MadeImage, options: Partial<DiffOptions> = {}) {
  await using scratch = await mkdtempDisposable(`${tmpdir()}/kiln-diff-`);
  return await diffImages(before, after, { sections: new Set(diffSections), scratch: scratch.path, ...options });
}

/** `+ /path`, `~ /path mode`: what differs in files. */
async function fileLines(before: MadeImage, after: MadeImage, options: Partial<DiffOptions> = {}): Promise<string[]> {
  const { files = [] } = await diff(before, after, { sections: new Set(['files']), ...options });
  return files.map(({ path, change, attributes = [] }) => [change, path, ...attributes].join(' '));
}

const status = 'var/lib/dpkg/status';
const parents = [directory('var'), directory('var/lib'), directory('var/lib/dpkg')];
const dpkg = (packages: Readonly<Record<string, string>>): Entry[] => [...parents, file(status, dpkgStatus(packages))];

describe('diffImages', () => {
  it('says that equal images are equal, and reads no layer for it', async () => {
    const [before, after] = [await madeImage([[file('a')]]), await madeImage([[file('a')]], { gzip: true })];

    const found = await diff(before, after);

    expect(found).toMatchObject({ equal: true, packages: [], config: [], files: [], notes: [] });
    expect([...before.reads, ...after.reads]).toEqual([]);
  });

  it('names type, mode, owner, size, content, target, attributes and devices of files', async () => {
    const xattrs = new Map([['user.note', Buffer.from('x')]]);
    const before = await madeImage([
      [
        file('content', 'aa'),
        file('gone'),
        symlink('link', 'a'),
        symlink('link-mode', 'a', { mode: 0o755 }),
        file('mode', 'x', { mode: 0o644 }),
        file('owner', 'x'),
        file('same', 'x'),
        file('size', 'a'),
        file('type'),
        file('xattr', 'x'),
      ],
    ]);
    const after = await madeImage([
      [
        file('come'),
        file('content', 'bb'),
        symlink('link', 'b'),
        symlink('link-mode', 'a', { mode: 0o777 }),
        file('mode', 'x', { mode: 0o755 }),
        file('owner', 'x', { uid: 5, gid: 6 }),
        file('same', 'x'),
        file('size', 'aa'),
        directory('type'),
        file('xattr', 'x', { xattrs }),
      ],
    ]);

    const lines = await fileLines(before, after);

    expect(lines).toEqual([
      'added /come',
      'changed /content content',
      'removed /gone',
      'changed /link target',
      'changed /mode mode',
      'changed /owner uid gid',
      'changed /size size content',
      'changed /type type mode size content',
      'changed /xattr xattr user.note',
    ]);
  });

  it('compares what is left of all layers, not how they are cut', async () => {
    const before = await madeImage([[file('a', '1'), file('b'), directory('d'), file('d/x')]]);
    const after = await madeImage([
      [file('a', '0'), file('x')],
      [file('a', '1'), whiteout('x'), file('b')],
      [directory('d'), file('d/old')],
      [directory('d'), opaque('d'), file('d/x')],
    ]);

    expect(await fileLines(before, after)).toEqual([]);
  });

  it('leaves times out unless they are asked for', async () => {
    const at = (seconds: number) => madeImage([[file('a', 'x', { mtime: { seconds, nanoseconds: 0 } })]]);

    expect(await fileLines(await at(1), await at(2))).toEqual([]);
    expect(await fileLines(await at(1), await at(2), { times: true })).toEqual(['changed /a mtime']);
  });

  it('takes paths and all below them, and no neighbours', async () => {
    const after = await madeImage([[directory('etc'), file('etc/a'), file('etcetera'), file('usr')]]);

    expect(await fileLines(await madeImage([[]]), after, { below: ['/etc/'] })).toEqual(['added /etc', 'added /etc/a']);
  });

  it('counts a hard link as the file it is', async () => {
    const before = await madeImage([[file('a', 'x'), file('b', 'x')]]);
    const after = await madeImage([[file('a', 'x'), hardLink('b', 'a')]]);

    expect(await fileLines(before, after)).toEqual([]);
  });

  it('reads layers that both have when they are near, so that replaced is not called added', async () => {
    const base = [file('replaced', 'base'), file('kept')];
    const [before, after] = [await madeImage([base, [file('x')]]), await madeImage([base, [file('replaced', 'new')]])];

    const found = await diff(before, after, { sections: new Set(['files']) });

    expect(found.sharedLayersRead).toBe(true);
    expect(found.files?.map(({ path, change }) => `${change} ${path}`)).toEqual(['changed /replaced', 'removed /x']);
  });

  it('does not download them, unless it is asked to', async () => {
    const far = { isNear: false };
    const base = [directory('d'), file('d/gone'), file('replaced', 'base')];
    const before = await madeImage([base, [file('x')]], far);
    const after = await madeImage([base, [file('replaced', 'new'), directory('d'), whiteout('d/gone')]], far);
    const shared = before.image.layers[0]?.descriptor.digest;

    const found = await diff(before, after, { sections: new Set(['files', 'packages']) });
    expect([...before.reads, ...after.reads]).not.toContain(shared);
    expect(found).toMatchObject({ sharedLayersRead: false, packages: [] });
    expect(found.files?.map(({ path, change }) => `${change} ${path}`)).toEqual([
      'removed /d/gone',
      'added /replaced',
      'removed /x',
    ]);

    const deep = await diff(before, after, { deep: true });
    expect(deep.sharedLayersRead).toBe(true);
    expect(deep.files?.map(({ path, change }) => `${change} ${path}`)).toContain('changed /replaced');
  });

  it('finds exactly what differs between two trees made by chance', async () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd/a', 'd/b', 'e/f/g');
    const tree = fc.dictionary(name, fc.constantFrom('1', '2'), { maxKeys: 6 });
    const image = (files: Readonly<Record<string, string>>, layers: number) => {
      const entries = Object.entries(files).map(([path, text]) => file(path, text));
      const cut = Math.floor(entries.length / layers);
      return madeImage(layers === 1 ? [entries] : [entries.slice(0, cut), entries.slice(cut)]);
    };
    await fc.assert(
      fc.asyncProperty(tree, tree, fc.constantFrom(1, 2), async (was, is, layers) => {
        const lines = await fileLines(await image(was, 1), await image(is, layers));

        const wanted = [...new Set([...Object.keys(was), ...Object.keys(is)])].flatMap((path) => {
          if (was[path] === is[path]) return [];
          if (was[path] === undefined) return [`added /${path}`];
          return [is[path] === undefined ? `removed /${path}` : `changed /${path} content`];
        });
        expect(lines.filter((line) => !/ \/(?:d|e|e\/f)$/.test(line)).sort()).toEqual(wanted.sort());
      }),
      { numRuns: 60 },
    );
  });
});

describe('diffImages of packages', () => {
  const packages = async (before: MadeImage, after: MadeImage) => {
    const { packages: found = [], notes } = await diff(before, after, { sections: new Set(['packages']) });
    return [...found.map(({ kind, name, from = '-', to = '-' }) => `${kind} ${name} ${from} → ${to}`), ...notes];
  };

  it('compares those of dpkg', async () => {
    const before = await madeImage([dpkg({ libc6: '2.36-9', old: '1', unzip: '6.0-28' })]);
    const after = await madeImage([dpkg({ libc6: '2.36-9', fresh: '2', unzip: '6.0-28+deb12u1' })]);

    expect(await packages(before, after)).toEqual([
      'deb fresh - → 2',
      'deb old 1 → -',
      'deb unzip 6.0-28 → 6.0-28+deb12u1',
    ]);
  });

  it('compares those of an image without dpkg, a file for each, on layers that both have', async () => {
    const part = (name: string, version: string) =>
      file(`var/lib/dpkg/status.d/${name}`, dpkgStatus({ [name]: version }));
    const base = [
      ...parents,
      directory('var/lib/dpkg/status.d'),
      part('base', '1'),
      file('var/lib/dpkg/status.d/base.md5sums', 'x'),
    ];
    const before = await madeImage([base, [part('tz', '1')]], { isNear: false });
    const after = await madeImage([base, [part('tz', '2'), part('more', '3')]], { isNear: false });

    expect(await packages(before, after)).toEqual(['deb more - → 3', 'deb tz 1 → 2']);
  });

  it('compares those of apk, through a link', async () => {
    const installed = (version: string) => `P:musl\nV:${version}\nA:x86_64\n\n`;
    const image = (version: string) =>
      madeImage([[symlink('lib', 'usr/lib'), directory('usr'), file('usr/lib/apk/db/installed', installed(version))]]);

    expect(await packages(await image('1.2.4-r2'), await image('1.2.5-r0'))).toEqual(['apk musl 1.2.4-r2 → 1.2.5-r0']);
  });

  it('reads layers below when one image alone has a database on top', async () => {
    const far = { isNear: false };
    const before = await madeImage([dpkg({ libc6: '1' }), [file('x')]], far);
    const after = await madeImage([dpkg({ libc6: '1' }), [file(status, dpkgStatus({ libc6: '1', curl: '7' }))]], far);

    expect(await packages(before, after)).toEqual(['deb curl - → 7']);
  });

  it('sees that a layer removed the whole database', async () => {
    const before = await madeImage([dpkg({ libc6: '1' }), [file('x')]]);
    const after = await madeImage([dpkg({ libc6: '1' }), [directory('var'), whiteout('var/lib')]]);

    expect(await packages(before, after)).toEqual(['deb libc6 1 → -']);
  });

  it('says which database it cannot read', async () => {
    const image = (text: string) => madeImage([[file('var/lib/rpm/Packages', text)]]);

    expect(await packages(await image('a'), await image('b'))).toEqual([
      'packages in /var/lib/rpm/Packages are not compared: it is in a format that is not read',
    ]);
  });
});

describe('diffImages of layers and configuration', () => {
  it('tells shared, added and removed layers apart, wherever they lie', async () => {
    const [a, b, c, d] = [[file('a')], [file('b')], [file('c')], [file('d')]];
    const { layers } = await diff(await madeImage([a, b, d]), await madeImage([a, c, d]));

    expect(layers?.shared.map(({ step }) => step)).toEqual(['layer 1', 'layer 3']);
    expect(layers).toMatchObject({ sharedBottom: 1, removed: [{ step: 'layer 2' }], added: [{ step: 'layer 2' }] });
  });

  it('names each value of the configuration', async () => {
    const layers = [[file('a')]];
    const before = await madeImage(layers, {
      config: {
        Env: ['PATH=/bin', 'OLD=1'],
        User: 'app',
        Cmd: ['a'],
        Labels: { l: '1' },
        ExposedPorts: { '80/tcp': {} },
        Volumes: { '/data': {} },
      },
      annotations: { 'org.opencontainers.image.base.name': 'x' },
    });
    const after = await madeImage(layers, {
      config: {
        Env: ['PATH=/usr/bin', 'NEW=2'],
        WorkingDir: '/srv',
        Cmd: ['a', 'b'],
        Entrypoint: ['/e'],
        Labels: { l: '2' },
      },
      platform: parsePlatform('linux/arm64'),
      history: [{ created_by: 'layer 1' }, { created_by: 'ENV NEW=2', empty_layer: true }],
    });

    const { config = [], equal } = await diff(before, after, { sections: new Set(['config']) });

    expect(equal).toBe(false);
    expect(config.map(({ field, key = '' }) => `${field} ${key}`.trim())).toEqual([
      'platform',
      'user',
      'workdir',
      'entrypoint',
      'cmd',
      'env NEW',
      'env OLD',
      'env PATH',
      'label l',
      'port 80/tcp',
      'volume /data',
      'annotation org.opencontainers.image.base.name',
      'history',
    ]);
    expect(config).toContainEqual({ field: 'env', key: 'PATH', before: '/bin', after: '/usr/bin' });
    expect(config).toContainEqual({ field: 'env', key: 'OLD', before: '1' });
  });
});

describe('diffImages of hostile images', () => {
  it('refuses a layer that is not what the config says', async () => {
    const [good, other] = [await madeImage([[file('a')]]), await madeImage([[file('b')]])];
    const [layer] = good.image.layers;
    const [lie] = other.image.layers;
    if (layer === undefined || lie === undefined) throw new TypeError('no layer');
    const lying: MadeImage = { ...good, image: { ...good.image, layers: [{ ...layer, diffId: lie.diffId }] } };

    await expect(diff(await madeImage([[file('c')]]), lying)).rejects.toMatchObject({ code: 'LAYER_DIFFID_MISMATCH' });
  });

  it('refuses names that lead out of the root, and keeps no file larger than a database is', async () => {
    const out = madeImage([[file('../../etc/passwd')]]);

    await expect(out.then(async (image) => diff(await madeImage([[]]), image))).rejects.toMatchObject({
      code: expect.stringMatching(/^LAYER_/),
    });
  });
});

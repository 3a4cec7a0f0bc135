import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { platformOf } from '../core/index.ts';
import { loadImages } from './listed-image.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'kiln-rebuild-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function load(files: Readonly<Record<string, string>>, sourceDateEpoch?: number) {
  for (const [file, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, file)), { recursive: true });
    await writeFile(path.join(folder, file), text);
  }
  return loadImages('kiln.toml', { platform: platformOf('x64'), workingFolder: folder, sourceDateEpoch });
}

function entry(name: string, more = ''): string {
  return `[images.${name}]\ntag = "r.example/${name}:1"\ncontext = "${name}"\n${more}`;
}

describe('loadImages', () => {
  it('plans every image and puts it after those it is built on', async () => {
    const images = await load({
      'kiln.toml': entry('app', 'args = { V = "1" }\ntarget = "small"\n') + entry('base'),
      'app/Buildfile':
        '[args]\nV = { required = true }\n[stages.small]\nfrom = "r.example/base:1"\n[stages.big]\nfrom = "small"\n',
      'app/.buildignore': 'secret',
      'base/Buildfile': 'from = "scratch"',
    });

    expect(images.map(({ name }) => name)).toEqual(['base', 'app']);
    expect(images[1]).toMatchObject({
      tag: 'r.example/app:1',
      contextFolder: path.join(folder, 'app'),
      sourceNames: ['r.example/base:1'],
      plan: { targets: ['small'] },
    });
    expect(images[1]?.ignore.isIgnored('secret')).toBe(true);
  });

  it('lets an argument of kiln.toml win over the SOURCE_DATE_EPOCH of the environment', async () => {
    const images = await load(
      {
        'kiln.toml': entry('a', 'args = { SOURCE_DATE_EPOCH = "5" }\n') + entry('b'),
        'a/Buildfile': 'from = "scratch"',
        'b/Buildfile': 'from = "scratch"',
      },
      7,
    );

    expect(images.map(({ plan }) => plan.sourceDateEpoch)).toEqual([5, 7]);
  });

  it('tells all that is wrong with kiln.toml and with the Buildfiles at once', async () => {
    const loading = load({
      'kiln.toml': [
        entry('app', 'args = { W = "1" }\n'),
        entry('gone'),
        entry('empty', 'file = "empty/Bildfile"\n'),
        entry('twice', 'target = "tiny"\n'),
        entry('again').replace('context = "again"', 'context = "twice"'),
      ].join(''),
      'app/Buildfile': 'from = "scratch"',
      'empty/Buildfile': 'from = "scratch"',
      'twice/Buildfile': 'form = "scratch"',
    });

    await expect(loading).rejects.toMatchObject({
      code: 'REBUILD_INVALID',
      problems: [
        { message: 'the Buildfile declares no argument `W`', position: { file: 'kiln.toml', line: 4 } },
        { message: 'the context "gone" does not exist', position: { file: 'kiln.toml', line: 7 } },
        { message: 'there is no Buildfile at empty/Bildfile', position: { file: 'kiln.toml', line: 11 } },
        { position: { file: 'kiln.toml', line: 15 }, code: 'BUILDFILE_UNKNOWN_STAGE' },
        { position: { file: 'twice/Buildfile', line: 1 }, code: 'BUILDFILE_UNKNOWN_KEY' },
        { position: { file: 'twice/Buildfile', line: 1 }, code: 'BUILDFILE_MISSING_KEY' },
      ],
    });
  });

  it('refuses images that are built on each other', async () => {
    const loading = load({
      'kiln.toml': entry('a') + entry('b'),
      'a/Buildfile': 'from = "r.example/b:1"',
      'b/Buildfile': 'from = "r.example/a:1"',
    });

    await expect(loading).rejects.toThrow('kiln.toml:5:7: images are built on each other: `a` → `b` → `a`');
  });

  it('says where it looked for kiln.toml', async () => {
    await expect(load({})).rejects.toMatchObject({
      code: 'REBUILD_NOT_FOUND',
      message: 'there is no list of images at kiln.toml',
    });
  });
});

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { placeFiles, type StagedFile } from './placed-files.ts';

const made: string[] = [];

afterEach(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function roots(): { readonly root: string; staged(name: string, files?: Readonly<Record<string, string>>): string } {
  const around = mkdtempSync(path.join(tmpdir(), 'kiln-place-'));
  made.push(around);
  const root = path.join(around, 'root');
  mkdirSync(root);
  return {
    root,
    staged(name, files) {
      const file = path.join(around, name);
      if (files === undefined) writeFileSync(file, name);
      else mkdirSync(file);
      for (const [inner, text] of Object.entries(files ?? {})) {
        mkdirSync(path.dirname(path.join(file, inner)), { recursive: true });
        writeFileSync(path.join(file, inner), text);
      }
      return file;
    },
  };
}

const replacing = { keepsOld: false };

describe('files that are ready', () => {
  it('get to their places; those of a folder to those that are there', async () => {
    const { root, staged } = roots();
    mkdirSync(path.join(root, 'docs/old'), { recursive: true });
    writeFileSync(path.join(root, 'docs/a'), 'before');

    await placeFiles(
      root,
      [
        { staged: staged('1', { a: 'A', 'sub/b': 'B' }), title: 'docs' },
        { staged: staged('2'), title: 'x/y' },
      ],
      replacing,
    );

    expect(readdirSync(path.join(root, 'docs')).sort()).toEqual(['a', 'old', 'sub']);
    expect(readFileSync(path.join(root, 'docs/a'), 'utf8')).toBe('A');
    expect(readFileSync(path.join(root, 'docs/sub/b'), 'utf8')).toBe('B');
    expect(readFileSync(path.join(root, 'x/y'), 'utf8')).toBe('2');
  });

  it('stay away when one of them is there and old ones are to be kept', async () => {
    const { root, staged } = roots();
    writeFileSync(path.join(root, 'b'), 'old');
    const files: StagedFile[] = [
      { staged: staged('1'), title: 'a' },
      { staged: staged('2'), title: 'b' },
    ];

    await expect(placeFiles(root, files, { keepsOld: true })).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });

    expect(readdirSync(root)).toEqual(['b']);
  });

  it('are not written through a symbolic link that was there', async () => {
    const { root, staged } = roots();
    const outside = path.join(path.dirname(root), 'outside');
    mkdirSync(outside);
    symlinkSync(outside, path.join(root, 'l'));
    const file = staged('1');

    for (const title of ['l/x', 'l/deep/x']) {
      await expect(placeFiles(root, [{ staged: file, title }], replacing)).rejects.toMatchObject({
        code: 'OUTPUT_BLOCKED',
      });
    }
    await expect(placeFiles(root, [{ staged: staged('2', { x: '' }), title: 'l' }], replacing)).rejects.toMatchObject({
      code: 'OUTPUT_BLOCKED',
    });
    expect(readdirSync(outside)).toEqual([]);

    await placeFiles(root, [{ staged: file, title: 'l' }], replacing);
    expect(readFileSync(path.join(root, 'l'), 'utf8')).toBe('1');
    expect(existsSync(outside)).toBe(true);
  });

  it('replace no folder, and need folders where folders are', async () => {
    const { root, staged } = roots();
    mkdirSync(path.join(root, 'd'));
    writeFileSync(path.join(root, 'f'), '');

    for (const title of ['d', 'f/x']) {
      const file = staged(title.replace('/', '-'));
      await expect(placeFiles(root, [{ staged: file, title }], replacing)).rejects.toMatchObject({
        code: 'OUTPUT_BLOCKED',
      });
    }
  });

  it.each([
    ['a file and what is below it', ['a', 'a/b']],
    ['the same name twice', ['a', 'a']],
  ])('are refused with %s', async (_what, titles) => {
    const { root, staged } = roots();
    const files = titles.map((title, at) => ({ staged: staged(String(at)), title }));

    await expect(placeFiles(root, files, replacing)).rejects.toMatchObject({ code: 'ARTIFACT_TITLE_UNSAFE' });

    expect(readdirSync(root)).toEqual([]);
  });

  it('are refused where a folder and a file mean one place', async () => {
    const { root, staged } = roots();
    const files = [
      { staged: staged('1', { a: '' }), title: 'd' },
      { staged: staged('2'), title: 'd/a' },
    ];

    await expect(placeFiles(root, files, replacing)).rejects.toMatchObject({ code: 'ARTIFACT_TITLE_UNSAFE' });
  });
});

import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { signatureOfFolder } from './folder-signature.ts';

describe('signatureOfFolder', () => {
  let folder = '';
  const at = (name: string) => path.join(folder, name);
  const digest = () => signatureOfFolder(folder)?.digest;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'kiln-tree-'));
    mkdirSync(at('a'));
    writeFileSync(at('file'), 'one');
    writeFileSync(at('other'), 'two');
    symlinkSync('a', at('link'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('is the same for a folder that was not touched', () => {
    expect(digest()).toBe(digest());
  });

  it.each<[string, () => void]>([
    ['content of the same size', () => writeFileSync(at('file'), 'eno')],
    ['a time', () => utimesSync(at('other'), 1, 1)],
    ['a mode', () => chmodSync(at('other'), 0o600)],
    ['a new empty folder', () => mkdirSync(at('b'))],
    ['that something came into a folder of it', () => writeFileSync(at('a/new'), '')],
    ['a file that went', () => rmSync(at('other'))],
    ['a name', () => renameSync(at('other'), at('another'))],
    ['a file in the place of another', () => renameSync(at('other'), at('file'))],
    [
      'where a link leads',
      () => {
        rmSync(at('link'));
        symlinkSync('b', at('link'));
      },
    ],
  ])('shows %s', (_what, change) => {
    const before = digest();
    change();

    expect(digest()).not.toBe(before);
  });

  it('says when something was changed last, and which folders there are', () => {
    utimesSync(at('other'), 5e9, 5e9);

    expect(signatureOfFolder(folder)).toMatchObject({ newestMs: 5e12, entries: 4, folders: [at('a')] });
  });

  it('knows nothing of a folder with names that are not text', () => {
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff])]), '');

    expect(signatureOfFolder(folder)).toBeUndefined();
  });
});

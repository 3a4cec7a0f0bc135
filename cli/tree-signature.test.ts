import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { signatureOfTree } from './tree-signature.ts';

describe('signatureOfTree', () => {
  let folder = '';
  const at = (name: string) => path.join(folder, name);
  const digest = () => signatureOfTree(folder, 100)?.digest;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'kiln-tree-'));
    mkdirSync(at('a/b'), { recursive: true });
    writeFileSync(at('a/b/file'), 'one');
    writeFileSync(at('other'), 'two');
    symlinkSync('a', at('link'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('is the same for a tree that was not touched', () => {
    expect(digest()).toBe(digest());
  });

  it.each<[string, () => void]>([
    ['content of the same size', () => writeFileSync(at('a/b/file'), 'eno')],
    ['a time', () => utimesSync(at('other'), 1, 1)],
    ['a mode', () => chmodSync(at('other'), 0o600)],
    ['a new empty folder', () => mkdirSync(at('a/b/c'))],
    ['a file that went', () => rmSync(at('other'))],
    ['a name', () => renameSync(at('other'), at('another'))],
    ['a file in the place of another', () => renameSync(at('other'), at('a/b/file'))],
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

  it('says when something was changed last', () => {
    writeFileSync(at('a/b/newest'), '');

    expect(signatureOfTree(folder, 100)?.newestMs).toBe(statSync(at('a/b')).ctimeMs);
  });

  it('does not look at trees that are too big, and not at names that Node cannot say', () => {
    expect(signatureOfTree(folder, 4)).toBeUndefined();
    expect(signatureOfTree(folder, 5)).toBeDefined();

    writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff])]), '');
    expect(signatureOfTree(folder, 100)).toBeUndefined();
  });
});

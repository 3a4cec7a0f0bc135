import { describe, expect, it } from 'vitest';
import { packageText, parseSet, setChanges, sortedSet } from './package-set.ts';

const one = (name: string, version: string, hash = 'sha256:a', architecture = 'amd64') => ({
  name,
  version,
  architecture,
  hash,
});

describe('a package set', () => {
  it('is sorted, each package once', () => {
    expect(sortedSet([one('b', '1'), one('a', '2'), one('b', '1')]).map(packageText)).toEqual([
      'a=2 amd64 sha256:a',
      'b=1 amd64 sha256:a',
    ]);
  });

  it('tells each change in a line, and which is a security update', () => {
    const before = [one('nginx', '1.22.1-9'), one('gone', '1'), one('same', '1'), one('both', '1', 'x', 'i386')];
    const after = [
      one('nginx', '1.22.1-9+deb12u1'),
      one('same', '1'),
      one('added', '3'),
      one('both', '1', 'y', 'i386'),
    ];

    expect(setChanges(before, after, new Set(['nginx']))).toEqual([
      'added 3 is new',
      'both 1 is another file now',
      'gone 1 is not needed any more',
      'nginx 1.22.1-9 → 1.22.1-9+deb12u1 (security)',
    ]);
  });

  it('is read back from a record, and a damaged record is none', () => {
    expect(parseSet([one('a', '1')])).toEqual([one('a', '1')]);
    for (const damaged of [undefined, {}, [null], [{ name: 'a' }], [{ ...one('a', '1'), hash: 1 }]])
      expect(parseSet(damaged)).toBeUndefined();
  });
});

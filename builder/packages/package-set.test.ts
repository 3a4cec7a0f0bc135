import { describe, expect, it } from 'vitest';
import { changed, emptyLock, sortPinned } from '../lock/lock-content.ts';
import { formatLock, parseLock } from '../lock/lock-text.ts';
import { packageText, parseSet, setChanges } from './package-set.ts';

const one = (name: string, version: string, hash = 'sha256:a', architecture = 'amd64') => ({
  name,
  version,
  architecture,
  hash,
});

describe('a package set', () => {
  it('is sorted, each package once', () => {
    expect(sortPinned([one('b', '1'), one('a', '2'), one('b', '1')]).map(packageText)).toEqual([
      'a=2 amd64 sha256:a',
      'b=1 amd64 sha256:a',
    ]);
  });

  it('has one order, from an archive, a record and a lock file, where a name begins with another', () => {
    const names = ['nginx-light', 'nginx', 'nginx-common', 'nginx+x', 'nginx.y'];
    const found = sortPinned([...names.map((name) => one(name, '1')), one('nginx', '1', 'sha256:a', 'i386')]);

    const recorded = parseSet(JSON.parse(JSON.stringify(found)));
    const content = changed(emptyLock, [{ kind: 'packages', key: 'apt x', value: [...found].reverse() }]);
    const locked = parseLock(formatLock(content), 'Buildfile.lock').packages.get('apt x');

    expect(found.map(({ name }) => name)).toEqual([
      'nginx',
      'nginx',
      'nginx+x',
      'nginx-common',
      'nginx-light',
      'nginx.y',
    ]);
    expect(recorded?.map(packageText)).toEqual(found.map(packageText));
    expect(locked?.map(packageText)).toEqual(found.map(packageText));
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

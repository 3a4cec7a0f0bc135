import { describe, expect, it } from 'vitest';
import { managerOf, parseOsRelease } from './os-release.ts';

describe('parseOsRelease', () => {
  it('reads quoted values, as the file is shell', () => {
    const text = 'NAME="Rocky Linux"\nVERSION_ID="9.3"\nID=\'rocky\'\nID_LIKE="rhel centos fedora"\n# ID=no\n';

    expect(parseOsRelease(text)).toEqual({ id: 'rocky', idLike: ['rhel', 'centos', 'fedora'], versionId: '9.3' });
  });

  it('has the code name where there is no version, as in a Debian that moves', () => {
    expect(parseOsRelease('ID=debian\nVERSION_CODENAME=sid\n').versionId).toBe('sid');
    expect(parseOsRelease('ID=arch\n').versionId).toBe('rolling');
  });

  it('lets nothing but a word into a key', () => {
    expect(parseOsRelease('ID="a b"\nVERSION_ID="x/y on z"\n')).toEqual({
      id: 'linux',
      idLike: [],
      versionId: 'rolling',
    });
  });
});

describe('managerOf', () => {
  it.each([
    ['ID=debian', 'apt'],
    ['ID=ubuntu\nID_LIKE=debian', 'apt'],
    ['ID=raspbian\nID_LIKE=debian', 'apt'],
    ['ID=alpine', 'apk'],
    ['ID=fedora', 'dnf'],
    ['ID="almalinux"\nID_LIKE="rhel centos fedora"', 'dnf'],
  ])('takes %j for %s', (text, manager) => {
    expect(managerOf(parseOsRelease(text))).toBe(manager);
  });

  it('says what the file says when it is not known', () => {
    expect(() => managerOf(parseOsRelease('ID=arch\nID_LIKE=constructor'))).toThrow(
      expect.objectContaining({ code: 'PACKAGES_UNKNOWN_MANAGER', message: expect.stringContaining('arch') }),
    );
  });
});

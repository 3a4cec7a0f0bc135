import { describe, expect, it } from 'vitest';
import { byteString } from '../../runtime/index.ts';
import { isLeftover } from './leftovers.ts';

const file = (path: string, size = 5) => ({ type: 'file' as const, path: byteString(path), size });
const folder = (path: string) => ({ type: 'directory' as const, path: byteString(path) });

describe('isLeftover', () => {
  it.each([
    'var/cache/apt/archives/x.deb',
    'var/cache/apt/pkgcache.bin',
    'var/lib/apt/lists/deb.debian.org_InRelease',
    'var/lib/dpkg/status-old',
    'var/lib/dpkg/lock-frontend',
    'var/cache/debconf/templates.dat-old',
    'var/cache/ldconfig/aux-cache',
    'var/cache/dnf/x.solv',
    'var/lib/dnf/history.sqlite',
    'usr/lib/sysimage/rpm/.rpm.lock',
    'lib/apk/db/lock',
    'etc/passwd-',
    'etc/ssh/ssh_host_ed25519_key',
    'tmp/x',
    'run/x.pid',
    'var/log/apt/history.log',
  ])('takes %s for one', (path) => {
    expect(isLeftover(file(path), true)).toBe(true);
  });

  it.each([
    'var/lib/dpkg/status',
    'var/lib/dpkg/info/x.list',
    'var/lib/apt/extended_states',
    'var/lib/rpm/rpmdb.sqlite',
    'lib/apk/db/installed',
    'etc/passwd',
    'usr/share/doc/tmp/x',
    'etc/ssh/sshd_config',
  ])('keeps %s', (path) => {
    expect(isLeftover(file(path), true)).toBe(false);
  });

  it('keeps logs that are empty or came in a package, and folders', () => {
    expect(isLeftover(file('var/log/btmp', 0), true)).toBe(false);
    expect(isLeftover(file('var/log/from-package', 9), false)).toBe(false);
    expect(isLeftover(folder('var/cache/apt/archives'), true)).toBe(false);
    expect(isLeftover(folder('run/service'), true)).toBe(false);
  });
});

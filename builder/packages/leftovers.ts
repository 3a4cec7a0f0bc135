import type { Entry } from '../../runtime/index.ts';

/** Folders whose whole content is a moment's. */
const momentaryFolders = ['dev/', 'proc/', 'run/kiln/', 'sys/', 'tmp/', 'var/tmp/'];

/** Folders whose files go; the folders in them are a package's. */
const cacheFolders = [
  ...['var/cache/apt/', 'var/lib/apt/lists/', 'var/lib/apt/periodic/', 'var/cache/man/'],
  ...['var/cache/apk/', 'etc/apk/cache/', 'lib/apk/exec/'],
  ...['var/cache/dnf/', 'var/cache/yum/', 'var/cache/libdnf5/', 'var/lib/dnf/', 'usr/lib/sysimage/libdnf5/'],
];

const momentaryFiles = new Set([
  ...['run/kiln', 'etc/hostname', 'etc/hosts', 'etc/resolv.conf', 'var/lib/dbus/machine-id'],
  ...['etc/.pwd.lock', 'var/lib/dpkg/lock', 'var/lib/dpkg/lock-frontend', 'var/lib/dpkg/triggers/Lock'],
  ...['etc/passwd-', 'etc/group-', 'etc/shadow-', 'etc/gshadow-', 'etc/subuid-', 'etc/subgid-'],
  ...['var/cache/ldconfig/aux-cache', 'var/lib/systemd/random-seed', 'var/lib/systemd/credential.secret'],
  ...['lib/apk/db/lock', 'usr/lib/apk/db/lock'],
]);

const momentaryPatterns = [
  /^var\/lib\/dpkg\/[^/]+-old$/,
  /^var\/cache\/debconf\/[^/]+-old$/,
  /^(?:var\/lib|usr\/lib\/sysimage)\/rpm\/(?:\.rpm\.lock|\.dbenv\.lock|__db\.\d+)$/,
  // Whoever has the image would know the server's secret.
  /^etc\/ssh\/ssh_host_[^/]*_key(?:\.pub)?$/,
];

/** machine-id(5): empty in an image, so that the first boot makes one. */
export const emptiedFile = 'etc/machine-id';

/**
 * Whether a path holds what tells one run of a package manager from another: caches, logs, locks, backups, identities.
 * `isNew`: the run wrote it, or took it away.
 */
export function isLeftover(entry: Pick<Entry, 'path' | 'type'> & { readonly size?: number }, isNew: boolean): boolean {
  const { path, type } = entry;
  if (momentaryFiles.has(path) || momentaryPatterns.some((pattern) => pattern.test(path))) return true;
  if (momentaryFolders.some((folder) => path.startsWith(folder))) return true;
  if (type === 'directory' || type === 'opaque') return false;
  if ((path.startsWith('run/') && path !== 'run/lock') || cacheFolders.some((folder) => path.startsWith(folder)))
    return true;
  // Empty logs, such as wtmp, have owners and modes that their writers rely on.
  const isEmpty = type === 'file' && entry.size === 0;
  return path.startsWith('var/log/') && type !== 'symlink' && isNew && !isEmpty;
}

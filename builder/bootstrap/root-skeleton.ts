import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type PackageVersion, versionPreferences } from './packages.ts';

/**
 * Lays out what must be in a root before the first package: the links of a merged /usr and apt's preferences, among them
 * the versions to take where `versions` are given. The folder is made. The architecture is dpkg's.
 */
export async function writeSkeleton(
  root: string,
  architecture: string,
  versions: readonly PackageVersion[] = [],
): Promise<void> {
  const merged = mergedFolders(architecture);
  for (const folder of ['', ...folders, ...merged.map((name) => `usr/${name}`)]) {
    await mkdir(path.join(root, folder));
    // Whatever the umask is.
    await chmod(path.join(root, folder), 0o755);
  }
  for (const name of merged) await symlink(`usr/${name}`, path.join(root, name));
  const allPreferences = [preferences, versionPreferences(versions)].join('\n');
  await writeFile(path.join(root, preferencesFile), allPreferences, { mode: 0o644 });
  await writeFile(path.join(root, 'var/lib/dpkg/status'), '', { mode: 0o644 });
}

/** Needed by the bootstrap only; its result does not have it. */
export const preferencesFile = 'etc/apt/preferences.d/00kiln';

/** Parents first. */
const folders = [
  ...['etc', 'etc/apt', 'etc/apt/apt.conf.d', 'etc/apt/preferences.d', 'etc/apt/sources.list.d', 'usr'],
  ...['var', 'var/cache', 'var/cache/apt', 'var/cache/apt/archives', 'var/cache/apt/archives/partial'],
  ...['var/lib', 'var/lib/apt', 'var/lib/apt/lists', 'var/lib/apt/lists/partial', 'var/lib/dpkg'],
];

/**
 * init-system-helpers of bookworm wants `usrmerge | usr-is-merged`. The first would bring all of Perl to move what the
 * links below have put in its place from the start.
 */
const preferences = 'Package: usrmerge\nPin: release *\nPin-Priority: -1\n';

/** The folders of / that Debian makes links into /usr, as debootstrap does before bookworm's successors did it themselves. */
function mergedFolders(architecture: string): string[] {
  return ['bin', 'sbin', 'lib', ...(librariesByArchitecture.get(architecture) ?? [])];
}

const librariesByArchitecture = new Map([
  ['amd64', ['lib32', 'lib64', 'libx32']],
  ['i386', ['lib64', 'libx32']],
  ['mipsel', ['lib32', 'lib64']],
  ['mips64el', ['lib32', 'lib64', 'libo32']],
  ['ppc64el', ['lib64']],
  ['s390x', ['lib32']],
]);

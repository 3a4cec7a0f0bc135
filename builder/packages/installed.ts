import { RootView } from '../../runtime/index.ts';
import { parseStanzas } from '../bootstrap/apt-sources.ts';
import { sortPinned } from '../lock/lock-content.ts';
import type { PinnedPackage } from '../lock/pins.ts';
import type { PackageManager } from '../plan/plan.ts';
import { type PackageSite, runTool } from './package-site.ts';

/** A status file of a whole desktop has 10 MB. */
export const maxDatabaseBytes = 128 * 1024 * 1024;

/** dpkg's own, and the folder in which images without a dpkg have one file for each package. */
const dpkgStatus = 'var/lib/dpkg/status';
const dpkgParts = 'var/lib/dpkg/status.d';
const apkDatabases = ['lib/apk/db/installed', 'usr/lib/apk/db/installed'];

/**
 * The packages on a root file system, sorted, without hashes. Those of dnf are asked of the image's own rpm in a
 * transient container, as its database is rpm's alone to read.
 * @throws ToolError PACKAGES_FAILED
 */
export async function installedPackages(site: PackageSite, manager: PackageManager): Promise<PinnedPackage[]> {
  const view = new RootView(site.workshop.options.launcher, site.parent);
  switch (manager) {
    case 'apt':
      return sortPinned(await dpkgPackages(view));
    case 'apk':
      return sortPinned(await apkPackages(view));
    case 'dnf':
      return sortPinned(await rpmPackages(site));
  }
}

/** Packages of a dpkg status file that are there in full. */
export function parseDpkgStatus(text: string): PinnedPackage[] {
  return parseStanzas(text).flatMap((fields) => {
    const [name, version, architecture] = ['package', 'version', 'architecture'].map((field) => fields.get(field));
    const status = fields.get('status');
    const isThere = status === undefined || status.endsWith(' ok installed');
    if (!isThere || name === undefined || version === undefined || architecture === undefined) return [];
    return [{ name, version, architecture, hash: '' }];
  });
}

/** https://wiki.alpinelinux.org/wiki/Apk_spec: `P:`, `V:` and `A:` of each stanza. */
export function parseApkInstalled(text: string): PinnedPackage[] {
  return apkStanzas(text).flatMap((fields) => {
    const [name, version, architecture] = ['P', 'V', 'A'].map((field) => fields.get(field));
    if (name === undefined || version === undefined) return [];
    return [{ name, version, architecture: architecture ?? 'noarch', hash: '' }];
  });
}

/** Stanzas of apk's index and database: one letter, a colon, a value. */
export function apkStanzas(text: string): ReadonlyMap<string, string>[] {
  return text.split(/\n{2,}/).map((stanza) => {
    const fields = new Map<string, string>();
    for (const line of stanza.split('\n')) {
      const name = line.slice(0, 1);
      // Files of a package come after its own fields, under letters of their own.
      if (line.charAt(1) === ':' && !fields.has(name)) fields.set(name, line.slice(2));
    }
    return fields;
  });
}

export const rpmFormat = '%{NAME}\\t%{EPOCHNUM}:%{VERSION}-%{RELEASE}\\t%{ARCH}\\t%{SHA256HEADER}\\n';

/** Lines of `rpm -q` in `rpmFormat`. */
export function parseRpmLines(text: string): PinnedPackage[] {
  return text.split('\n').flatMap((line) => {
    const [name, version, architecture, header = ''] = line.trim().split('\t');
    // Keys that packages are signed with are in the database too.
    if (name === undefined || version === undefined || architecture === undefined || name === 'gpg-pubkey') return [];
    const hash = /^[0-9a-f]{64}$/.test(header) ? `sha256:${header}` : '';
    return [{ name, version: version.replace(/^0:/, ''), architecture, hash }];
  });
}

async function dpkgPackages(view: RootView): Promise<PinnedPackage[]> {
  const texts = [await textOf(view, dpkgStatus)];
  for (const name of await view.list(dpkgParts)) {
    if (!name.endsWith('.md5sums')) texts.push(await textOf(view, `${dpkgParts}/${name}`));
  }
  return texts.flatMap(parseDpkgStatus);
}

async function apkPackages(view: RootView): Promise<PinnedPackage[]> {
  for (const file of apkDatabases) {
    const text = await textOf(view, file);
    if (text !== '') return parseApkInstalled(text);
  }
  return [];
}

async function rpmPackages(site: PackageSite): Promise<PinnedPackage[]> {
  const argv = ['rpm', '-qa', '--qf', rpmFormat];
  const { exitCode, stdout } = await runTool(site, { argv, mounts: [], network: 'none', quiet: true });
  return exitCode === 0 ? parseRpmLines(stdout).map((one) => ({ ...one, hash: '' })) : [];
}

async function textOf(view: RootView, file: string): Promise<string> {
  return (await view.readFile(file, maxDatabaseBytes))?.toString('utf8') ?? '';
}

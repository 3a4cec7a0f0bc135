import type { PinnedPackage } from '../lock/pins.ts';
import { parseStanzas } from './apt-sources.ts';

/** A binary package in one exact version. */
export interface PackageVersion {
  readonly name: string;
  readonly version: string;
  /** As dpkg names it: `amd64`, `all`. */
  readonly architecture: string;
}

/** `Inst name[:arch] [installed version] (version origins [arch])`: what apt-get --simulate says it would install. */
const installLine = /^Inst (\S+?)(?::\S+)? (?:\[[^\]]*\] )?\((\S+) .*\[([a-z0-9-]+)\]\)/;

export function parseSimulation(lines: readonly string[]): PackageVersion[] {
  return lines.flatMap((line) => {
    const [, name, version, architecture] = installLine.exec(line) ?? [];
    return name === undefined || version === undefined || architecture === undefined
      ? []
      : [{ name, version, architecture }];
  });
}

/** The packages of a dpkg status file that are installed in full. */
export function parseInstalled(status: string): PackageVersion[] {
  return parseStanzas(status).flatMap((fields) => {
    const [name, version, architecture] = ['package', 'version', 'architecture'].map((field) => fields.get(field));
    const isInstalled = fields.get('status')?.endsWith(' ok installed') === true;
    return !isInstalled || name === undefined || version === undefined || architecture === undefined
      ? []
      : [{ name, version, architecture }];
  });
}

/** These packages with their hashes, out of what `apt-cache show` says about them. */
export function withHashes(packages: readonly PackageVersion[], shown: string): PinnedPackage[] {
  const hashes = new Map<string, string>();
  for (const fields of parseStanzas(shown)) {
    const [name = '', version = '', architecture = '', sha256, sha512] = [
      ...['package', 'version', 'architecture'],
      ...['sha256', 'sha512'],
    ].map((field) => fields.get(field));
    const hash = sha256 === undefined ? sha512 && `sha512:${sha512}` : `sha256:${sha256}`;
    const key = formatPackage({ name, version, architecture });
    // The first archive that has a version is the one that apt takes it from.
    if (hash !== undefined && !hashes.has(key)) hashes.set(key, hash);
  }
  return packages.map((one) => ({ ...one, hash: hashes.get(formatPackage(one)) ?? 'unknown' }));
}

/** Makes apt take these versions, older ones too, where an archive has them. apt_preferences(5) */
export function versionPreferences(packages: readonly PackageVersion[]): string {
  return packages
    .map(({ name, version }) => `Package: ${name}\nPin: version ${version}\nPin-Priority: 1001\n`)
    .join('\n');
}

/** Sorted by name, then architecture; each once. */
export function sortPackages<P extends PackageVersion>(packages: Iterable<P>): P[] {
  const byKey = new Map(Array.from(packages, (one) => [formatPackage(one), one]));
  return [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
}

export function formatPackage({ name, architecture, version }: PackageVersion): string {
  return `${name}:${architecture}=${version}`;
}

const debianNames = new Map([
  ['386', 'i386'],
  ['arm', 'armhf'],
  ['ppc64le', 'ppc64el'],
  ['mipsle', 'mipsel'],
  ['mips64le', 'mips64el'],
]);

/** dpkg's name for an architecture of the image-spec. */
export function debianArchitecture(architecture: string): string {
  return debianNames.get(architecture) ?? architecture;
}

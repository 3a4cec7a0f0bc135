import { ToolError } from '../../core/index.ts';
import type { BootstrapSource } from '../plan/plan.ts';
import type { AptSource } from './apt-sources.ts';

/** An archive a bootstrap installs from: one suite at one place. */
export interface Archive {
  readonly uri: string;
  readonly suite: string;
  readonly components: readonly string[];
  /** Path of a keyring, or an armoured key as deb822 writes it; undefined where apt's own keyrings do. */
  readonly signedBy?: string;
  /** How the host is told to trust it, as deb822 fields: `Trusted`, `Check-Valid-Until`, … */
  readonly trust: Readonly<Record<string, string>>;
}

/** What of the host's configuration says where a distribution's packages come from. */
export interface HostSources {
  readonly sources: readonly AptSource[];
  /** `ID` and `VERSION_CODENAME` of os-release(5). */
  readonly distribution: string;
  readonly codename: string;
  /** Acquire::Check-Valid-Until, Acquire::Check-Date where the host turned them off, as deb822 fields. */
  readonly trust: Readonly<Record<string, string>>;
}

/** Components that hold what a distribution itself maintains and anybody may pass on. */
const freeComponents = ['main', 'universe'];
/** Suites that move all the time have neither a security archive nor one for updates. */
const rolling = new Set(['sid', 'unstable', 'experimental', 'rc-buggy', 'devel']);
/** Debian named its security suites otherwise before bullseye. */
const oldSecurityNames = new Set(['buster', 'stretch', 'jessie', 'wheezy', 'squeeze']);
/** Options of a source that say how far to trust it, with the field names of deb822. sources.list(5) */
const trustFields: Readonly<Record<string, string>> = {
  trusted: 'Trusted',
  'allow-insecure': 'Allow-Insecure',
  'allow-weak': 'Allow-Weak',
  'allow-downgrade-to-insecure': 'Allow-Downgrade-To-Insecure',
  'check-valid-until': 'Check-Valid-Until',
  'check-date': 'Check-Date',
  'valid-until-min': 'Valid-Until-Min',
  'valid-until-max': 'Valid-Until-Max',
};

type Role = 'release' | 'updates' | 'security';

/**
 * The archives of a suite, at the places where the host gets that distribution: its own sources with the suite
 * replaced.
 * @throws ToolError BOOTSTRAP_NO_ARCHIVE, BOOTSTRAP_NO_SECURITY_ARCHIVE
 */
export function archivesFor(source: BootstrapSource, host: HostSources): Archive[] {
  const usable = sourcesOf(source.distribution, host);
  const archives = (role: Role, suite: string) =>
    usable.filter((candidate) => candidate.suites.some((name) => roleOf(name) === role)).flatMap(at(suite, host));

  const release = archives('release', source.suite);
  if (release.length === 0) {
    throw new ToolError(
      'BOOTSTRAP_NO_ARCHIVE',
      `the apt configuration of this machine names no archive of ${source.distribution}`,
      { hint: `add a source for ${source.distribution} under /etc/apt/sources.list.d` },
    );
  }
  if (rolling.has(source.suite)) return unique(release);

  const security = source.security ? archives('security', securitySuite(source.suite)) : [];
  if (source.security && security.length === 0) {
    throw new ToolError(
      'BOOTSTRAP_NO_SECURITY_ARCHIVE',
      `the apt configuration of this machine names no security archive of ${source.distribution}`,
      { hint: 'add it to the sources under /etc/apt, or say security = false in the Buildfile' },
    );
  }
  return unique([...release, ...archives('updates', `${source.suite}-updates`), ...security]);
}

/** The archives as a deb822 file. sources.list(5) */
export function formatArchives(archives: readonly Archive[]): string {
  return archives
    .map((archive) =>
      [
        'Types: deb',
        `URIs: ${archive.uri}`,
        `Suites: ${archive.suite}`,
        `Components: ${archive.components.join(' ')}`,
        ...(archive.signedBy === undefined ? [] : [`Signed-By: ${archive.signedBy}`]),
        ...Object.entries(archive.trust).map(([field, value]) => `${field}: ${value}`),
        '',
      ].join('\n'),
    )
    .join('\n');
}

/** The archive as everybody may see it: without a name and password in its URI. */
export function withoutCredentials(archive: Archive): Archive {
  return { ...archive, uri: archive.uri.replace(/^([a-z0-9+]+:\/\/)[^/]*@/i, '$1') };
}

/**
 * The host's sources of a distribution. Other people's archives use its suite names too, so those that show by their
 * path or their keyring that they are the distribution's come first; only where none does is the suite name enough.
 */
function sourcesOf(distribution: string, host: HostSources): readonly AptSource[] {
  const usable = host.sources.filter(
    (source) =>
      source.components.some((component) => freeComponents.includes(component)) &&
      source.uris.some((uri) => !uri.startsWith('cdrom:')),
  );
  const marked = usable.filter((source) => isMarked(source, distribution));
  if (marked.length > 0 || distribution !== host.distribution) return marked;
  return usable.filter((source) => source.suites.some((suite) => suite.split(/[-/]/)[0] === host.codename));
}

function isMarked(source: AptSource, distribution: string): boolean {
  if ((source.options.get('signed-by') ?? '').includes(`/${distribution}-archive-keyring.`)) return true;
  const own = [distribution, `${distribution}-security`, `${distribution}-ports`, `${distribution}-archive`];
  return source.uris.some((uri) => uri.split('/').some((segment) => own.includes(segment)));
}

function roleOf(suite: string): Role | undefined {
  if (suite.endsWith('-security') || suite.endsWith('/updates')) return 'security';
  if (suite.endsWith('-updates')) return suite.endsWith('-proposed-updates') ? undefined : 'updates';
  return /[-/]/.test(suite) ? undefined : 'release';
}

function securitySuite(suite: string): string {
  return oldSecurityNames.has(suite) ? `${suite}/updates` : `${suite}-security`;
}

function at(suite: string, host: HostSources): (source: AptSource) => Archive[] {
  return (source) => {
    const signedBy = source.options.get('signed-by');
    const trust = Object.entries(trustFields).flatMap(([option, field]) => {
      const value = source.options.get(option) ?? host.trust[field];
      return value === undefined ? [] : [[field, value]];
    });
    return source.uris
      .filter((uri) => !uri.startsWith('cdrom:'))
      .map((uri) => ({
        // apt would use the packages of a file: archive where they lie, which is not inside the new root.
        uri: uri.replace(/^file:/, 'copy:'),
        suite,
        components: freeComponents.filter((component) => source.components.includes(component)),
        ...(signedBy === undefined ? {} : { signedBy }),
        trust: Object.fromEntries(trust),
      }));
  };
}

function unique(archives: readonly Archive[]): Archive[] {
  return [...new Map(archives.map((archive) => [`${archive.uri} ${archive.suite}`, archive])).values()];
}

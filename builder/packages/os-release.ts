import { ToolError } from '../../core/index.ts';
import type { PackageManager } from '../plan/plan.ts';

/** What os-release(5) says of a root file system. */
export interface OsRelease {
  readonly id: string;
  readonly idLike: readonly string[];
  readonly versionId: string;
}

/** Families by the names that os-release has for them. */
const managers: Readonly<Record<string, PackageManager>> = {
  debian: 'apt',
  ubuntu: 'apt',
  alpine: 'apk',
  wolfi: 'apk',
  chainguard: 'apk',
  postmarketos: 'apk',
  fedora: 'dnf',
  rhel: 'dnf',
  centos: 'dnf',
  almalinux: 'dnf',
  rocky: 'dnf',
  ol: 'dnf',
  amzn: 'dnf',
  mageia: 'dnf',
  openmandriva: 'dnf',
};

export function parseOsRelease(text: string): OsRelease {
  const fields = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const [, name, value] = /^\s*([A-Z0-9_]+)=(.*?)\s*$/.exec(line) ?? [];
    if (name !== undefined && value !== undefined) fields.set(name, unquoted(value));
  }
  return {
    id: safeWord(fields.get('ID')) || 'linux',
    idLike: (fields.get('ID_LIKE') ?? '').split(/\s+/).filter((word) => word !== ''),
    versionId: safeWord(fields.get('VERSION_ID')) || safeWord(fields.get('VERSION_CODENAME')) || 'rolling',
  };
}

/**
 * The package manager of a distribution.
 * @throws ToolError PACKAGES_UNKNOWN_MANAGER
 */
export function managerOf({ id, idLike }: OsRelease): PackageManager {
  for (const name of [id, ...idLike]) {
    const manager = Object.hasOwn(managers, name) ? managers[name] : undefined;
    if (manager !== undefined) return manager;
  }
  throw new ToolError(
    'PACKAGES_UNKNOWN_MANAGER',
    `/etc/os-release of the base says ${id}, which is not known to install packages with apt, apk or dnf`,
    { hint: 'say which one it has: manager = "apt"; or install what is needed in a run step' },
  );
}

/** The file is shell: values may be quoted. */
function unquoted(value: string): string {
  const [, quote, inner] = /^(["'])(.*)\1$/.exec(value) ?? [];
  return quote === undefined || inner === undefined ? value : inner.replace(/\\(["'$`\\])/g, '$1');
}

/** It becomes part of a key of the lock file, so nothing but a word may come through. */
function safeWord(value: string | undefined): string {
  return value !== undefined && /^[A-Za-z0-9._+~-]{1,64}$/.test(value) ? value : '';
}

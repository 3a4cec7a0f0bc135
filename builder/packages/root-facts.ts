import { type CallOptions, canonicalJson, digestHex, sha256, ToolError } from '../../core/index.ts';
import { RootView } from '../../runtime/index.ts';
import type { PackageManager } from '../plan/plan.ts';
import { installedPackages } from './installed.ts';
import { managerOf, parseOsRelease } from './os-release.ts';
import { packageText } from './package-set.ts';
import type { PackageSite } from './package-site.ts';

/** What a root file system says about packages; a function of its layers alone. */
export interface RootFacts {
  readonly manager: PackageManager;
  /** `debian/12` */
  readonly distribution: string;
  /** Hexadecimal: of what is installed, and of how its package manager is configured. */
  readonly root: string;
}

/** Programs that each manager consists of, and folders that configure it. */
const parts: Readonly<
  Record<PackageManager, { readonly programs: readonly string[]; readonly settings: readonly string[] }>
> = {
  apt: { programs: ['apt-get', 'dpkg'], settings: ['etc/apt'] },
  apk: { programs: ['apk'], settings: ['etc/apk'] },
  dnf: { programs: ['dnf', 'rpm'], settings: ['etc/dnf', 'etc/yum.repos.d', 'etc/yum.conf'] },
};
const programFolders = ['usr/bin', 'bin', 'usr/sbin', 'sbin', 'usr/local/bin', 'usr/local/sbin'];

const maxSettingBytes = 4 * 1024 * 1024;
const maxOsReleaseBytes = 64 * 1024;
/** Enough to keep two roots of one Buildfile apart, and short enough to be read. */
const rootDigits = 12;

/**
 * Reads a root file system.
 * @throws ToolError PACKAGES_UNKNOWN_MANAGER, PACKAGES_NO_MANAGER
 */
export async function readRootFacts(site: PackageSite, wanted: PackageManager | undefined): Promise<RootFacts> {
  const view = new RootView(site.workshop.options.launcher, site.parent);
  const release = parseOsRelease(await osReleaseText(view));
  const manager = wanted ?? managerOf(release);
  await checkPrograms(view, manager);
  const installed = await installedPackages(site, manager);
  const settings = await settingsOf(view, parts[manager].settings, site);
  const digest = sha256(canonicalJson({ installed: installed.map(packageText), settings }));
  return {
    manager,
    distribution: `${release.id}/${release.versionId}`,
    root: digestHex(digest).slice(0, rootDigits),
  };
}

export function parseRootFacts(record: unknown): RootFacts | undefined {
  if (typeof record !== 'object' || record === null) return undefined;
  const { manager, distribution, root } = record as Readonly<Record<string, unknown>>;
  if (manager !== 'apt' && manager !== 'apk' && manager !== 'dnf') return undefined;
  if (typeof distribution !== 'string' || typeof root !== 'string') return undefined;
  return { manager, distribution, root };
}

async function osReleaseText(view: RootView): Promise<string> {
  for (const file of ['etc/os-release', 'usr/lib/os-release']) {
    const bytes = await view.readFile(file, maxOsReleaseBytes);
    if (bytes !== undefined) return bytes.toString('utf8');
  }
  return '';
}

async function checkPrograms(view: RootView, manager: PackageManager): Promise<void> {
  for (const program of parts[manager].programs) {
    if (await hasProgram(view, program)) continue;
    const others = manager === 'dnf' && ((await hasProgram(view, 'microdnf')) || (await hasProgram(view, 'yum')));
    throw new ToolError(
      'PACKAGES_NO_MANAGER',
      `packages are to be installed with ${manager}, and the base has no ${program}`,
      {
        hint: others
          ? 'microdnf and yum are not supported: take a base with dnf, or install in a run step'
          : 'install in another stage that has one, and copy from it; or take a base that is not stripped',
      },
    );
  }
}

async function hasProgram(view: RootView, program: string): Promise<boolean> {
  for (const folder of programFolders) {
    if ((await view.resolve(`${folder}/${program}`)).exists) return true;
  }
  return false;
}

/** Every file below the folders by its content; keys of the archives are among them. */
async function settingsOf(view: RootView, folders: readonly string[], { signal }: CallOptions): Promise<string[]> {
  const lines: string[] = [];
  for (const folder of folders) {
    for await (const entry of view.walk(folder, { signal })) {
      if (entry.type === 'symlink') lines.push(`${entry.path} -> ${entry.target}`);
      if (entry.type !== 'file') continue;
      const bytes = await view.readFile(entry.path, maxSettingBytes);
      lines.push(`${entry.path} ${sha256(bytes ?? Buffer.alloc(0))}`);
    }
  }
  return lines.sort();
}

import type { ActiveSnapshot } from '../../runtime/index.ts';
import type { PinnedPackage } from '../lock/pins.ts';
import type { PackageSite } from './package-site.ts';
import type { PackageRequest } from './question.ts';

/** What an archive answered. */
export interface FoundPackages {
  /** What would be installed or upgraded, sorted. */
  readonly packages: readonly PinnedPackage[];
  /** Names whose version comes out of an archive for security updates. */
  readonly security: ReadonlySet<string>;
}

export interface AskOptions {
  /** Whether the archive’s indexes are to be fetched, as this build has not seen them yet; asked only when they are needed. */
  readonly mustRefresh: () => boolean;
}

/** One of the distributions' package managers, run inside the image that it belongs to. */
export interface PackageTool {
  /** @throws ToolError PACKAGES_NOT_FOUND, PACKAGES_ARCHIVE, PACKAGES_FAILED, PACKAGES_NETWORK */
  find(site: PackageSite, request: PackageRequest, options: AskOptions): Promise<FoundPackages>;
  /**
   * Installs exactly these packages; what that changes is left in `active`.
   * @throws PackagesFailure when the package manager fails; ToolError PACKAGES_GONE, PACKAGES_HASH, PACKAGES_NETWORK,
   * PACKAGES_FAILED
   */
  install(
    site: PackageSite,
    request: PackageRequest,
    packages: readonly PinnedPackage[],
    active: ActiveSnapshot,
    options: AskOptions,
  ): Promise<void>;
}

/** The package manager ended badly while it installed, as a package's own script may make it; a step's failure. */
export class PackagesFailure extends Error {
  readonly command: string;
  readonly exitCode: number;
  readonly output: Buffer;

  constructor(command: string, exitCode: number, output: Buffer) {
    super(`${command} ended with exit code ${exitCode}`);
    this.name = 'PackagesFailure';
    this.command = command;
    this.exitCode = exitCode;
    this.output = output;
  }
}

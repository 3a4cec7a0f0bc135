import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { link, mkdir, readdir, rename, rm, utimes } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type CallOptions, digestHex, errorCode, makeFolder, sha256, ToolError } from '../../core/index.ts';
import type { PinnedPackage } from '../lock/pins.ts';
import type { Workshop } from '../workshop/workshop.ts';
import { filesFolder } from './package-folders.ts';

/** The hash of a package file, in the form that its archive's index has. */
export type HashOf = (file: string, options: CallOptions) => Promise<string>;

/**
 * Package files by their hash, kept so that what was fetched once is installed again without a network. Checked each time.
 * Anybody may remove one that no build is using.
 */
export class PackageFiles {
  readonly #folder: string;
  readonly #workshop: Workshop;
  readonly #hashOf: HashOf;

  constructor(workshop: Workshop, hashOf: HashOf) {
    this.#workshop = workshop;
    this.#hashOf = hashOf;
    this.#folder = path.join(workshop.options.home, filesFolder);
  }

  /** Puts the file at `destination`, by a hard link that must not be written to; false when it is not here. */
  async place(hash: string, destination: string, options: CallOptions = {}): Promise<boolean> {
    const file = this.#file(hash);
    try {
      await link(file, destination);
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return false;
      throw error;
    }
    if ((await this.#hashOf(destination, options)) === hash) {
      const now = this.#workshop.options.clock.now() / 1000;
      // One file with two names: by this one, as the other may be pruned meanwhile.
      await utimes(destination, now, now);
      return true;
    }
    await rm(destination);
    await rm(file, { force: true });
    return false;
  }

  /**
   * Takes a file that was fetched.
   * @throws ToolError PACKAGES_HASH when it is another one
   */
  async adopt(file: string, wanted: PinnedPackage, options: CallOptions = {}): Promise<void> {
    const found = await this.#hashOf(file, options);
    if (found !== wanted.hash) throw wrongHash(wanted, found);
    await makeFolder(this.#folder, 0o700);
    await rename(file, this.#file(wanted.hash));
  }

  #file(hash: string): string {
    return path.join(this.#folder, digestHex(sha256(hash)));
  }
}

export async function sha256OfFile(file: string, { signal }: CallOptions = {}): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1 << 18 }), hash, { signal });
  return `sha256:${hash.digest('hex')}`;
}

/** `hash` is what was found. */
export function wrongHash(wanted: PinnedPackage, hash: string): ToolError {
  const shown = `${wanted.name} ${wanted.version}`;
  return new ToolError('PACKAGES_HASH', `${shown} is to have the hash ${wanted.hash}, and what came has ${hash}`, {
    hint: 'the archive replaced a file under the same version, or somebody tampers with it: kiln update takes the new one',
  });
}

export function goneFromArchive(packages: readonly PinnedPackage[]): ToolError {
  const names = packages.slice(0, 5).map(({ name, version }) => `${name}=${version}`);
  const shown = names.join(', ') + (packages.length > names.length ? ', …' : '');
  return new ToolError('PACKAGES_GONE', `the archive does not have ${shown} any more`, {
    hint: 'kiln update takes the versions it has now; an archive of snapshots, such as snapshot.debian.org, keeps old ones',
  });
}

/** Makes empty folders that are given to a container. */
export async function makeFolders(parent: string, names: readonly string[]): Promise<void> {
  for (const name of names) await mkdir(path.join(parent, name), { recursive: true, mode: 0o755 });
}

/** Names, sorted. */
export async function filesIn(folder: string, ending: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.endsWith(ending)).sort();
}

/** Those of the set that are kept here are put into `folder` under their names; the others are given. */
export async function placeKept(
  files: PackageFiles,
  packages: readonly PinnedPackage[],
  folder: string,
  nameOf: (one: PinnedPackage) => string,
  options: CallOptions,
): Promise<PinnedPackage[]> {
  const missing: PinnedPackage[] = [];
  for (const one of packages) {
    if (!(await files.place(one.hash, path.join(folder, nameOf(one)), options))) missing.push(one);
  }
  return missing;
}

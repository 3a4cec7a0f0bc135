import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import path from 'node:path';
import { errorCode } from '../../core/index.ts';
import { type DefaultRoutes, parseDefaultRoutes } from './default-routes.ts';

/** How a sandbox with a network of its own reaches the outside. */
export type OutsideWay =
  | { readonly kind: 'pasta' | 'slirp4netns'; readonly file: string; readonly routes: DefaultRoutes }
  /** This machine has no way out, so neither has a sandbox. */
  | { readonly kind: 'offline' }
  /** It has none of its own: it gets this machine's. */
  | { readonly kind: 'host'; readonly why: string };

/** Where the programs are looked for: what runs as root is not to come from a PATH. */
const programFolders = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin'];
const tunDevice = '/dev/net/tun';

/** Finds out once how sandboxes of this process reach the outside, and warns once when that is less than asked for. */
export class OutsideNetwork {
  readonly #onWarning: (text: string) => void;
  readonly #warned = new Set<string>();
  #way: Promise<OutsideWay> | undefined;

  constructor(onWarning: (text: string) => void = () => undefined) {
    this.#onWarning = onWarning;
  }

  async way(): Promise<OutsideWay> {
    this.#way ??= findOutsideWay();
    const way = await this.#way;
    if (way.kind === 'host') {
      this.warn(
        `steps with the default network share this machine's own, its loopback services included: ${way.why}; ` +
          'or choose with --network host|none',
      );
    }
    if (way.kind === 'offline') this.warn('this machine has no default route, so steps have no network');
    return way;
  }

  /** Each text once. */
  warn(text: string): void {
    if (this.#warned.has(text)) return;
    this.#warned.add(text);
    this.#onWarning(text);
  }
}

export async function findOutsideWay(): Promise<OutsideWay> {
  const routes = parseDefaultRoutes(await readIfThere('/proc/net/route'), await readIfThere('/proc/net/ipv6_route'));
  if (!routes.ipv4 && !routes.ipv6) return { kind: 'offline' };
  const pasta = await findProgram('pasta');
  const slirp4netns = await findProgram('slirp4netns');
  const file = pasta ?? slirp4netns;
  if (file === undefined) return { kind: 'host', why: 'pasta is not installed (Debian: apt-get install -y passt)' };
  const problem = await problemWith(tunDevice);
  if (problem !== undefined) return { kind: 'host', why: problem };
  return { kind: pasta === undefined ? 'slirp4netns' : 'pasta', file, routes };
}

async function findProgram(name: string): Promise<string | undefined> {
  for (const folder of programFolders) {
    const file = path.join(folder, name);
    if ((await problemWith(file, constants.X_OK)) === undefined) return file;
  }
  return undefined;
}

async function problemWith(file: string, mode = constants.R_OK | constants.W_OK): Promise<string | undefined> {
  try {
    await access(file, mode);
    return undefined;
  } catch (error) {
    const remedy =
      errorCode(error) === 'EACCES'
        ? `as root: chmod 666 ${file}`
        : `as root: modprobe tun; to a container around this one give it by --device ${file}`;
    return `${file} cannot be opened (${errorCode(error)}; ${remedy})`;
  }
}

async function readIfThere(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return '';
    throw error;
  }
}

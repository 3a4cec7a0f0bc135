import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { type CallOptions, errorCode } from '../../core/index.ts';
import { type AptSource, parseDeb822Sources, parseOneLineSources } from './apt-sources.ts';
import type { HostSources } from './archives.ts';
import { runTool } from './tool-process.ts';

/** What this machine's apt says: where packages are, and how to reach them. */
export interface HostApt extends HostSources {
  /** apt.conf(5) lines: proxies, certificates, timeouts, trust. For the bootstrap only, never for its result. */
  readonly acquire: string;
}

/** Of `apt-config dump`, the lines that say how an archive is reached. */
export function acquireSettings(dump: readonly string[]): string[] {
  return dump.filter((line) => carried.test(line));
}

/** What of it turns checks of archives off, as fields of deb822. */
export function trustSettings(dump: readonly string[]): Record<string, string> {
  const isOff = (name: string) =>
    dump.some((line) => /"(?:false|no|0|off|without|disable)";$/i.test(line) && line.startsWith(`Acquire::${name} `));
  return Object.fromEntries(['Check-Valid-Until', 'Check-Date'].filter(isOff).map((name) => [name, 'no']));
}

/** Settings that say how an archive is reached; the others say what the host wants from it. apt.conf(5), THE ACQUIRE GROUP */
const carried =
  /^Acquire::(?:(?:https?|ftp|tor|socks5h)::|(?:Check-|Allow|Max-|Min-|Retries|Force|By-Hash|PDiffs|Proxy|Queue-Mode|Timeout))/i;

/** Reads the host's apt configuration: /etc/apt, /etc/os-release, `apt-config dump`. */
export async function readHostApt(options: CallOptions & { readonly aptFolder?: string } = {}): Promise<HostApt> {
  const folder = options.aptFolder ?? '/etc/apt';
  const sources = await readAptSources(folder);
  const release = await readIfThere('/etc/os-release');
  const dump = await runTool(['apt-config', 'dump'], { signal: options.signal });
  const netrc = ['Dir::Etc::netrc', 'Dir::Etc::netrcparts'].map(
    (name, index) => `${name} "${path.join(folder, index === 0 ? 'auth.conf' : 'auth.conf.d')}";`,
  );
  return {
    sources,
    distribution: osRelease(release, 'ID') ?? '',
    codename: osRelease(release, 'VERSION_CODENAME') ?? '',
    trust: trustSettings(dump),
    acquire: [...acquireSettings(dump), ...netrc, ''].join('\n'),
  };
}

/** The sources below a folder such as /etc/apt, in the order in which apt reads them. */
export async function readAptSources(folder: string): Promise<AptSource[]> {
  const parts = path.join(folder, 'sources.list.d');
  const names = await readdir(parts).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  });
  const sources = parseOneLineSources(await readIfThere(path.join(folder, 'sources.list')));
  for (const name of names.sort()) {
    // apt ignores names with other characters and other endings.
    if (!/^[A-Za-z0-9_.-]+\.(?:list|sources)$/.test(name)) continue;
    const text = await readIfThere(path.join(parts, name));
    sources.push(...(name.endsWith('.list') ? parseOneLineSources(text) : parseDeb822Sources(text)));
  }
  return Promise.all(sources.map(withoutMirrorFiles));
}

/** `mirror+file:` names a list on this machine, which the image will not have: its first place stands for it. */
async function withoutMirrorFiles(source: AptSource): Promise<AptSource> {
  const uris = source.uris.map(async (uri) => {
    const file = /^mirror\+file:(?:\/\/)?(\/.*)$/.exec(uri)?.[1];
    if (file === undefined) return uri;
    const places = (await readIfThere(file)).split('\n').map((line) => line.replace(/#.*$/, '').trim().split(/\s/)[0]);
    return places.find((place) => place !== undefined && place !== '') ?? uri;
  });
  return { ...source, uris: await Promise.all(uris) };
}

function osRelease(text: string, name: string): string | undefined {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name}=`));
  return line?.slice(name.length + 1).replace(/^(["'])(.*)\1$/, '$2');
}

async function readIfThere(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return '';
    throw error;
  }
}

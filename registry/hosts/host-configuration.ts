import path from 'node:path';
import { type CallOptions, type Reference, repositoryName, ToolError } from '../../core/index.ts';
import { readCertificates, readTls } from './certificates.ts';
import { besideFile, configInvalid, type ParseToml, parseConfig, readConfigFile } from './config-file.ts';
import type { HostConfiguration, RegistryEndpoint, TlsSettings } from './endpoint.ts';
import { type HostsServer, type HostsToml, readHostsToml } from './hosts-toml.ts';
import { afterPrefix, nameBelow } from './name-prefix.ts';
import type { RegistryRule } from './registries-conf.ts';
import { type FoundRegistriesConf, type RegistriesConfPlace, readRegistriesConfFiles } from './registries-conf-disk.ts';
import { type ShortNames, shortNames } from './short-names.ts';

/** Where the machine says how registries are reached, and what the command line says about it. */
export interface HostSources {
  /** The first whose file exists counts; where none does, the folders of the last. */
  readonly registriesConf: readonly RegistriesConfPlace[];
  /** Short names that podman remembers: the first file that can be read. They go before those of registries.conf. */
  readonly rememberedAliases: readonly string[];
  /** Folders of containerd's kind, in the order to look: `<host>/hosts.toml` below them. */
  readonly hostsFolders: readonly string[];
  /** Folders of Docker's kind, in the order to look: `<host>/*.crt` below them. The first that has the host counts. */
  readonly certificateFolders: readonly string[];
  readonly said?: SaidOnCommandLine;
}

export interface SaidOnCommandLine {
  readonly plainHttp?: boolean;
  /** False takes any certificate, and plain http where nothing answers by TLS; true overrules `insecure` in files. */
  readonly verifyTls?: boolean;
  /** Instead of the host's own folder: `*.crt`, `*.cert`, `*.key`. */
  readonly certificateFolder?: string;
  /** Authorities beside those of the folder. */
  readonly authorities?: string;
}

/** `HostConfiguration` out of the files of containers tools, containerd and Docker, and what short names mean there. */
export interface Hosts extends HostConfiguration {
  /** @throws ToolError REGISTRY_CONFIG_INVALID */
  shortNames(): Promise<ShortNames>;
}

/** Reads nothing before it is asked, and each file once. */
export function openHosts(sources: HostSources, { parseToml }: { readonly parseToml: ParseToml }): Hosts {
  return new HostFiles(sources, parseToml);
}

const all = new Set(['pull', 'resolve', 'push'] as const);
const reading = new Set(['pull', 'resolve'] as const);
const writing = new Set(['push'] as const);

class HostFiles implements Hosts {
  readonly #sources: HostSources;
  readonly #said: SaidOnCommandLine;
  readonly #parseToml: ParseToml;
  readonly #certificates = new Map<string, Promise<TlsSettings | undefined>>();
  readonly #hostsFiles = new Map<string, Promise<{ readonly file: string; readonly hosts: HostsToml } | undefined>>();
  #conf: Promise<FoundRegistriesConf> | undefined;

  constructor(sources: HostSources, parseToml: ParseToml) {
    this.#sources = sources;
    this.#said = sources.said ?? {};
    this.#parseToml = parseToml;
  }

  async endpoints(
    reference: Pick<Reference, 'registry' | 'repository'>,
    options: CallOptions = {},
  ): Promise<readonly RegistryEndpoint[]> {
    options.signal?.throwIfAborted();
    const rule = findRule((await this.#registriesConf()).conf.rules, repositoryName(reference));
    if (rule !== undefined) return this.#endpointsOfRule(rule, reference);
    const found = await this.#hostsToml(reference.registry);
    if (found === undefined) return [await this.#address(reference, { capabilities: all, isMirror: false })];
    const { hosts, file } = found;
    return Promise.all([
      ...hosts.mirrors.map((server) => this.#server(server, file, reference, true)),
      this.#server(hosts.server, file, reference, false),
    ]);
  }

  async shortNames(): Promise<ShortNames> {
    const { rememberedAliases } = this.#sources;
    return shortNames(await this.#registriesConf(), rememberedAliases, this.#parseToml);
  }

  async #endpointsOfRule(
    rule: RegistryRule,
    reference: Pick<Reference, 'registry' | 'repository'>,
  ): Promise<readonly RegistryEndpoint[]> {
    const name = repositoryName(reference);
    if (rule.blocked) {
      throw new ToolError('REGISTRY_BLOCKED', `${name} is blocked by ${rule.file} (prefix ${rule.prefix})`, {
        hint: 'ask who keeps that file; blocked = false there lifts it',
      });
    }
    const rest = afterPrefix(name, rule.prefix) ?? '';
    const { insecure, location, mirrors } = rule;
    const rewritten = location === undefined ? undefined : placed(rule, nameBelow(location, rest), name);
    const mirrored = mirrors.map((mirror) =>
      this.#address(placed(rule, nameBelow(mirror.location, rest), name), {
        capabilities: reading,
        insecure: mirror.insecure,
        isMirror: true,
        ...(mirror.answers === undefined ? {} : { answers: mirror.answers }),
      }),
    );
    if (rewritten === undefined) {
      return Promise.all([...mirrored, this.#address(reference, { capabilities: all, insecure, isMirror: false })]);
    }
    // Redirection is for reading only: containers-registries.conf(5).
    return Promise.all([
      ...mirrored,
      this.#address(rewritten, { capabilities: reading, insecure, isMirror: false }),
      this.#address(reference, { capabilities: writing, insecure, isMirror: false }),
    ]);
  }

  /** An address that is named as images are. */
  async #address(
    { registry, repository }: Pick<Reference, 'registry' | 'repository'>,
    {
      insecure = false,
      ...rest
    }: Pick<RegistryEndpoint, 'capabilities' | 'isMirror' | 'answers'> & { insecure?: boolean },
  ): Promise<RegistryEndpoint> {
    const certificates = await this.#certificatesFor(registry);
    const isInsecure = this.#said.verifyTls === undefined ? insecure : !this.#said.verifyTls;
    // Whoever says something of TLS means that there is some.
    const saysTls = certificates !== undefined || this.#said.verifyTls !== undefined || insecure;
    const scheme = this.#said.plainHttp || (isLoopbackHost(registry) && !saysTls) ? 'http' : 'https';
    return {
      ...rest,
      base: baseUrl(`${scheme}://${serverOf(registry)}/v2/`, registry),
      repository,
      credentialsOf: registry,
      tls: { ...certificates, ...(isInsecure ? { skipVerify: true } : {}) },
      ...(isInsecure && scheme === 'https' ? { orPlainHttp: true } : {}),
    };
  }

  /** One that hosts.toml describes. */
  async #server(
    server: HostsServer,
    file: string,
    { registry, repository }: Pick<Reference, 'registry' | 'repository'>,
    isMirror: boolean,
  ): Promise<RegistryEndpoint> {
    const certificates = await this.#certificatesFor(server.url?.host ?? registry);
    const written = await readTls(
      server.authorities.map((name) => besideFile(file, name)),
      server.client === undefined
        ? undefined
        : { certificate: besideFile(file, server.client.certificate), key: besideFile(file, server.client.key) },
    );
    const saysTls = server.skipVerify || Object.keys({ ...certificates, ...written }).length > 0;
    const ownScheme = isLoopbackHost(registry) && !saysTls ? 'http' : 'https';
    const base = new URL(server.path, server.url ?? `${ownScheme}://${serverOf(registry)}`);
    if (base.host === 'docker.io') base.host = serverOf('docker.io');
    if (this.#said.plainHttp) base.protocol = 'http:';
    const skipVerify = this.#said.verifyTls === undefined ? server.skipVerify : !this.#said.verifyTls;
    const isRegistry = base.host === new URL(`https://${serverOf(registry)}`).host;
    return {
      base,
      repository,
      credentialsOf: isRegistry ? registry : base.host,
      capabilities: server.capabilities,
      isMirror,
      tls: { ...certificates, ...written, ...(skipVerify ? { skipVerify } : {}) },
      ...(this.#said.verifyTls === false && base.protocol === 'https:' ? { orPlainHttp: true } : {}),
      ...(Object.keys(server.headers).length === 0 ? {} : { headers: server.headers }),
      ...(isRegistry ? {} : { query: { ns: registry } }),
    };
  }

  #registriesConf(): Promise<FoundRegistriesConf> {
    this.#conf ??= readRegistriesConfFiles(this.#sources.registriesConf, this.#parseToml);
    return this.#conf;
  }

  #hostsToml(registry: string): Promise<{ readonly file: string; readonly hosts: HostsToml } | undefined> {
    const known = this.#hostsFiles.get(registry);
    if (known !== undefined) return known;
    const reading = this.#readHostsToml(registry);
    this.#hostsFiles.set(registry, reading);
    return reading;
  }

  async #readHostsToml(registry: string): Promise<{ readonly file: string; readonly hosts: HostsToml } | undefined> {
    for (const folder of this.#sources.hostsFolders) {
      for (const name of [...folderNames(registry), '_default']) {
        const file = path.join(folder, name, 'hosts.toml');
        const text = await readConfigFile(file);
        if (text === undefined) continue;
        const hosts = await parseConfig(text, file, this.#parseToml, (table) => readHostsToml(table, isLoopbackHost));
        return { file, hosts };
      }
    }
    return undefined;
  }

  #certificatesFor(host: string): Promise<TlsSettings | undefined> {
    const known = this.#certificates.get(host);
    if (known !== undefined) return known;
    const reading = this.#readCertificates(host);
    this.#certificates.set(host, reading);
    return reading;
  }

  async #readCertificates(host: string): Promise<TlsSettings | undefined> {
    const { authorities, certificateFolder } = this.#said;
    const found =
      certificateFolder === undefined ? await this.#certificatesOfHost(host) : await requiredFolder(certificateFolder);
    if (authorities === undefined) return found;
    const more = await readTls([authorities]);
    return { ...found, authorities: [...(found?.authorities ?? []), ...(more.authorities ?? [])] };
  }

  async #certificatesOfHost(host: string): Promise<TlsSettings | undefined> {
    for (const folder of this.#sources.certificateFolders) {
      for (const name of folderNames(host)) {
        const found = await readCertificates(path.join(folder, name));
        // containerd keeps hosts.toml in such a folder too.
        if (found?.authorities !== undefined || found?.client !== undefined) return found;
      }
    }
    return undefined;
  }
}

/** The longest prefix wins. */
function findRule(rules: readonly RegistryRule[], name: string): RegistryRule | undefined {
  const matching = rules.filter((rule) => afterPrefix(name, rule.prefix) !== undefined);
  return matching.sort((a, b) => b.prefix.length - a.prefix.length)[0];
}

function placed(
  rule: RegistryRule,
  place: Pick<Reference, 'registry' | 'repository'>,
  name: string,
): Pick<Reference, 'registry' | 'repository'> {
  if (place.repository !== '') return place;
  throw configInvalid(rule.file, [
    `the location ${place.registry} for the prefix ${rule.prefix} leaves ${name} without a repository`,
  ]);
}

async function requiredFolder(folder: string): Promise<TlsSettings> {
  const found = await readCertificates(folder);
  if (found !== undefined) return found;
  throw new ToolError('REGISTRY_CONFIG_INVALID', `there is no folder ${folder} with certificates`);
}

/** containerd writes the colon of a port also as `_…_`, for file systems that cannot have one. */
function folderNames(host: string): readonly string[] {
  const port = /^(.*):(\d+)$/.exec(host);
  return port === null ? [host] : [`${port[1]}_${port[2]}_`, host];
}

/** Docker's own registry answers under another name than images are written with. */
function serverOf(registry: string): string {
  return registry === 'docker.io' ? 'registry-1.docker.io' : registry;
}

function baseUrl(text: string, registry: string): URL {
  if (URL.canParse(text) && new URL(text).pathname === '/v2/') return new URL(text);
  throw new ToolError('REFERENCE_INVALID', `${JSON.stringify(registry)} is not a registry host`);
}

function isLoopbackHost(host: string): boolean {
  return /^(?:localhost|\[::1\]|127(?:\.\d{1,3}){3})(?::\d+)?$/i.test(host);
}

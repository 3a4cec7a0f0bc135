import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseToml } from '../builder/buildfile/toml.ts';
import { parseReference } from '../core/index.ts';
import type { RegistryEndpoint } from '../registry/hosts/endpoint.ts';
import { type Hosts, openHosts, type SaidOnCommandLine } from '../registry/hosts/host-configuration.ts';

export const toml = (text: string, file: string) => parseToml(text, file).value;

export interface TestMachine extends AsyncDisposable {
  readonly folder: string;
  readonly hosts: Hosts;
  endpoints(name: string): Promise<readonly RegistryEndpoint[]>;
  /** `https://host/v2/repository`, each with what is special about it. */
  shown(name: string): Promise<readonly string[]>;
}

/** A machine with these files: `containers/registries.conf`, `containerd/certs.d/…`, `docker/certs.d/…`. */
export async function machine(
  files: Readonly<Record<string, string>>,
  said: SaidOnCommandLine = {},
): Promise<TestMachine> {
  const folder = await mkdtempDisposable(path.join(tmpdir(), 'kiln-hosts-'));
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(folder.path, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, text);
  }
  const at = (name: string) => path.join(folder.path, name);
  const hosts = openHosts(
    {
      registriesConf: [{ file: at('containers/registries.conf'), folders: [at('containers/registries.conf.d')] }],
      rememberedAliases: [at('short-name-aliases.conf')],
      hostsFolders: [at('containerd/certs.d')],
      certificateFolders: [at('containers/certs.d'), at('docker/certs.d')],
      said,
    },
    { parseToml: toml },
  );
  const endpoints = (name: string) => hosts.endpoints(parseReference(name));
  return {
    folder: folder.path,
    hosts,
    endpoints,
    shown: async (name) => (await endpoints(name)).map(show),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

function show(endpoint: RegistryEndpoint): string {
  const { base, repository, capabilities, answers, tls, orPlainHttp, query, credentialsOf } = endpoint;
  const words = [
    `${base.href}${repository}`,
    ...(capabilities.size === 3 ? [] : [[...capabilities].join('+')]),
    ...(answers === undefined ? [] : [answers]),
    ...(tls.skipVerify ? ['unverified'] : []),
    ...(orPlainHttp ? ['or http'] : []),
    ...(query === undefined ? [] : [new URLSearchParams(query).toString()]),
    ...(credentialsOf === base.host ? [] : [`as ${credentialsOf}`]),
  ];
  return words.join(' ');
}

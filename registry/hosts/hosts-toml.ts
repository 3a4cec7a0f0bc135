import type { ConfigTable } from './config-table.ts';
import type { EndpointCapability } from './endpoint.ts';

/** One server as containerd's hosts.toml describes it. https://github.com/containerd/containerd/blob/main/docs/hosts.md */
export interface HostsServer {
  /** Undefined for the registry itself under its own address. */
  readonly url: URL | undefined;
  /** Of the API: `/v2/`, or what the address says. */
  readonly path: string;
  readonly capabilities: ReadonlySet<EndpointCapability>;
  /** Files as they are written: PEM authorities. */
  readonly authorities: readonly string[];
  readonly client: { readonly certificate: string; readonly key: string } | undefined;
  readonly skipVerify: boolean;
  readonly headers: Readonly<Record<string, string>>;
}

export interface HostsToml {
  /** Asked in this order, before the server. */
  readonly mirrors: readonly HostsServer[];
  readonly server: HostsServer;
}

/** @param plainHttp whether an address without scheme is one of http */
export function readHostsToml(table: ConfigTable, plainHttp: (host: string) => boolean): HostsToml {
  const hosts = table.table('host');
  const mirrors = (hosts?.keys() ?? []).flatMap((address) => {
    const entry = hosts?.table(address);
    return entry === undefined ? [] : readServer(entry, parseAddress(hosts, address, address, plainHttp));
  });
  const server = table.text('server');
  const url = server === undefined ? undefined : parseAddress(table, 'server', server, plainHttp);
  return { mirrors, server: readServer(table, url) };
}

function readServer(table: ConfigTable, url: URL | undefined): HostsServer {
  return {
    url,
    path: apiPath(url, table.flag('override_path') ?? false),
    capabilities: readCapabilities(table),
    authorities: textOrTexts(table, 'ca'),
    client: readClient(table),
    skipVerify: table.flag('skip_verify') ?? false,
    headers: readHeaders(table.table('header')),
  };
}

function parseAddress(
  table: ConfigTable | undefined,
  key: string,
  address: string,
  plainHttp: (host: string) => boolean,
): URL | undefined {
  const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(address);
  const host = address.split('/', 1)[0] ?? '';
  const text = hasScheme ? address : `${plainHttp(host) ? 'http' : 'https'}://${address}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain =
    url !== undefined &&
    (url.protocol === 'https:' || url.protocol === 'http:') &&
    `${url.username}${url.password}${url.search}${url.hash}` === '';
  if (isPlain) return url;
  return table?.complain(key, 'is to be the address of a server: https://HOST[:PORT][/PATH]');
}

/** The specification's `/v2/` is added unless the path is there already or is said to be the whole of it. */
function apiPath(url: URL | undefined, overridden: boolean): string {
  const path = (url?.pathname ?? '/').replace(/\/+$/, '');
  return overridden || path.endsWith('/v2') ? `${path}/` : `${path}/v2/`;
}

function readCapabilities(table: ConfigTable): ReadonlySet<EndpointCapability> {
  const written = table.texts('capabilities') ?? [];
  // What is not known here (`referrers`) is a part of what is.
  const known = written.filter((name): name is EndpointCapability => /^(?:pull|resolve|push)$/.test(name));
  return new Set(written.length === 0 ? (['pull', 'resolve', 'push'] as const) : known);
}

function textOrTexts(table: ConfigTable, key: string): readonly string[] {
  const value = table.value(key);
  if (typeof value !== 'string') return table.texts(key) ?? [];
  return value === '' ? [] : [value];
}

/**
 * A file with both parts, a list of such, a list of pairs of certificate and key. The first counts: which of several a
 * server wants is not known before it is asked.
 */
function readClient(table: ConfigTable): { readonly certificate: string; readonly key: string } | undefined {
  const value = table.value('client');
  const first = Array.isArray(value) ? (value[0] as unknown) : value;
  if (first === undefined || first === '') return undefined;
  const [certificate, key, more] = Array.isArray(first) ? (first as unknown[]) : [first];
  if (typeof certificate !== 'string' || certificate === '' || more !== undefined) return badClient(table);
  if (key !== undefined && typeof key !== 'string') return badClient(table);
  return { certificate, key: key === undefined || key === '' ? certificate : key };
}

function badClient(table: ConfigTable): undefined {
  return table.complain('client', 'is to be a file, or a list of [certificate, key]');
}

function readHeaders(table: ConfigTable | undefined): Readonly<Record<string, string>> {
  const headers: [string, string][] = [];
  for (const name of table?.keys() ?? []) {
    const values = table === undefined ? [] : textOrTexts(table, name);
    // RFC 9110 §5.1 and §5.5; the value may be a secret and is not repeated.
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) table?.complain(name, 'is no name of a header');
    else if (!values.every((value) => /^[\t\x20-\x7e]*$/.test(value))) table?.complain(name, 'is no value of a header');
    else headers.push([name, values.join(', ')]);
  }
  return Object.fromEntries(headers);
}

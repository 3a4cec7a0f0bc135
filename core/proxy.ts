import { BlockList, isIP } from 'node:net';
import { ToolError } from './errors.ts';

/** HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in either case. */
export type ProxyVariables = Readonly<Record<string, string>>;

/**
 * The proxy a URL is asked for through; undefined where it is asked directly, as this machine itself always is.
 * NO_PROXY: names (with all below them), `.name`, `*.name`, addresses, CIDR ranges, each with a port or without; `*`.
 * @throws ToolError PROXY_INVALID
 */
export function proxyFor(url: URL, variables: ProxyVariables): URL | undefined {
  if (isLoopbackHost(url.hostname)) return undefined;
  const own = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const name = [own, 'ALL_PROXY'].find((candidate) => isUsable(candidate, variable(variables, candidate) ?? ''));
  if (name === undefined || isExcepted(url, variable(variables, 'NO_PROXY') ?? '')) return undefined;
  return parseProxy(name, variable(variables, name) ?? '');
}

/** `localhost`, `127.0.0.0/8`, `[::1]`. */
export function isLoopbackHost(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}

/** Desktops set ALL_PROXY to a SOCKS proxy beside the others; the peers do not know the variable at all. */
function isUsable(name: string, value: string): boolean {
  return value !== '' && !(name === 'ALL_PROXY' && /^socks/i.test(value));
}

/** The lower case goes first, as it does with curl. */
function variable(variables: ProxyVariables, name: string): string | undefined {
  return (variables[name.toLowerCase()] ?? variables[name])?.trim();
}

function parseProxy(name: string, value: string): URL {
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`);
  if (url !== null && url.hostname !== '' && (url.protocol === 'http:' || url.protocol === 'https:')) return url;
  // The value may hold a password: it is not repeated.
  throw new ToolError('PROXY_INVALID', `${name} does not name a proxy that can be used`, {
    hint: `write ${name}=http://HOST:PORT; only http and https proxies are spoken to`,
  });
}

function isExcepted(url: URL, list: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  return list.split(/[\s,]+/).some((entry) => {
    if (entry === '*') return true;
    const [pattern, wantedPort] = splitPort(entry.toLowerCase());
    if (pattern === '' || (wantedPort !== undefined && wantedPort !== port)) return false;
    return isIP(host) === 0 ? isBelow(host, pattern) : isInRange(host, pattern);
  });
}

function splitPort(entry: string): [string, string | undefined] {
  const bracketed = /^\[([^\]]*)\](?::(\d+))?$/.exec(entry);
  if (bracketed !== null) return [bracketed[1] ?? '', bracketed[2]];
  const named = /^([^:]*):(\d+)$/.exec(entry);
  return named === null ? [entry, undefined] : [named[1] ?? '', named[2]];
}

function isBelow(host: string, pattern: string): boolean {
  const name = pattern.replace(/^\*?\./, '').replace(/\.$/, '');
  return name !== '' && (host === name || host.endsWith(`.${name}`));
}

function isInRange(host: string, pattern: string): boolean {
  const [address = '', bits] = pattern.split('/', 2);
  const version = isIP(address);
  if (version === 0 || version !== isIP(host)) return false;
  const family = version === 4 ? 'ipv4' : 'ipv6';
  const length = bits === undefined ? undefined : Number(bits);
  const range = new BlockList();
  if (length === undefined) range.addAddress(address, family);
  else if (Number.isInteger(length) && length >= 0 && length <= (version === 4 ? 32 : 128))
    range.addSubnet(address, length, family);
  return range.check(host, family);
}

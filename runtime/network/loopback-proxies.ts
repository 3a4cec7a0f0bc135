import { isLoopback } from './name-servers.ts';

/** Ports of schemes whose proxies are written without one. */
const defaultPorts: Readonly<Record<string, number>> = {
  'http:': 80,
  'https:': 443,
  'socks5:': 1080,
  'socks5h:': 1080,
};

/**
 * Ports of the proxies that listen on this machine's loopback, by variables such as HTTP_PROXY: a step with a network of
 * its own reaches the machine's loopback at these ports and at no others. Only variables of whoever runs the build may
 * decide that, never those of a Buildfile.
 */
export function loopbackProxyPorts(proxies: Readonly<Record<string, string>>): readonly number[] {
  const ports = Object.entries(proxies)
    .filter(([name]) => /^(https?|all|ftp)_proxy$/i.test(name))
    .map(([, value]) => loopbackPort(value))
    .filter((port) => port !== undefined);
  return [...new Set(ports)].sort((a, b) => a - b);
}

function loopbackPort(value: string): number | undefined {
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`);
  if (url === null) return undefined;
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (host !== 'localhost' && !host.endsWith('.localhost') && !isLoopback(host)) return undefined;
  const port = url.port === '' ? defaultPorts[url.protocol] : Number(url.port);
  return port === 0 ? undefined : port;
}

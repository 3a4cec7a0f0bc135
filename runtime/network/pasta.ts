import { sandboxAddresses } from './addresses.ts';
import type { DefaultRoutes } from './default-routes.ts';

export interface ConnectOptions {
  readonly routes: DefaultRoutes;
  /** Whether this is the machine's root, which pasta would otherwise stop being before it can enter the namespace. */
  readonly machineRoot: boolean;
  /** Whether names are asked for at the address that leads to this machine's first name server. */
  readonly forwardNames: boolean;
  /** Ports of this machine's loopback that are found at the loopback inside. */
  readonly loopbackPorts: readonly number[];
}

/**
 * The command that connects the network namespace on its standard input, by passt's pasta(1): what goes out of it
 * comes from ordinary sockets of this machine. Nothing comes in, and the gateway does not lead to this machine. It goes
 * to the background when the interface is up.
 */
export function pastaCommand(file: string, options: ConnectOptions): readonly string[] {
  const { routes, machineRoot, forwardNames, loopbackPorts } = options;
  const { address, prefixLength, gateway, nameServer, address6, gateway6, interfaceName, hardware } = sandboxAddresses;
  return [
    file,
    ...['--quiet', '--config-net', '--ns-ifname', interfaceName, '--ns-mac-addr', hardware],
    ...(routes.ipv4 ? ['--address', address, '--netmask', prefixLength, '--gateway', gateway] : ['--ipv6-only']),
    ...(forwardNames ? ['--dns-forward', nameServer] : []),
    ...(routes.ipv6 ? ['--address', address6, '--gateway', gateway6] : ['--ipv4-only']),
    ...['--no-map-gw', '--no-dhcp', '--no-dhcpv6', '--no-ra'],
    ...['--tcp-ports', 'none', '--udp-ports', 'none', '--udp-ns', 'none'],
    ...['--tcp-ns', loopbackPorts.length === 0 ? 'none' : loopbackPorts.join(',')],
    ...(machineRoot ? ['--runas', '0:0'] : []),
    ...['--no-netns-quit', '--netns', '/proc/self/fd/0'],
  ];
}

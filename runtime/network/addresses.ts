/**
 * What a sandbox with a network of its own is called there, on every machine the same. 192.0.0.0/24 is set aside for
 * protocols (RFC 6890), and the IPv6 prefix is a local one (RFC 4193), so that they hide no host that a step may want.
 * Programs prefer IPv4 to a local IPv6 prefix (RFC 6724), which a machine may have without a way out.
 */
export const sandboxAddresses = {
  /** slirp4netns derives the others from it: the host part 100, the gateway 2, names 3. */
  network: '192.0.0.0/24',
  prefixLength: '24',
  address: '192.0.0.100',
  gateway: '192.0.0.2',
  /** Asks the first name server of this machine, also where that listens on loopback. */
  nameServer: '192.0.0.3',
  address6: 'fd6b:696c:6e00::64',
  gateway6: 'fd6b:696c:6e00::2',
  interfaceName: 'eth0',
  hardware: '4e:6b:69:6c:6e:64',
} as const;

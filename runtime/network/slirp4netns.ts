import { sandboxAddresses } from './addresses.ts';
import type { DefaultRoutes } from './default-routes.ts';

/** The same as `pastaCommand`, by slirp4netns(1): slower, and of loopback ports it knows nothing. */
export function slirp4netnsCommand(file: string, routes: DefaultRoutes): readonly string[] {
  return [
    file,
    ...[
      '--configure',
      '--mtu=65520',
      '--disable-host-loopback',
      '--enable-seccomp',
      `--cidr=${sandboxAddresses.network}`,
    ],
    ...(routes.ipv6 ? ['--enable-ipv6'] : []),
    ...['--ready-fd=3', '--netns-type=path', '/proc/self/fd/0', sandboxAddresses.interfaceName],
  ];
}

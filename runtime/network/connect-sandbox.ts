import { unreachable } from '../../core/index.ts';
import type { SandboxSpec } from '../sandbox/spec.ts';
import { readNameServers } from './name-servers.ts';
import type { OutsideNetwork } from './outside-network.ts';
import { pastaCommand } from './pasta.ts';
import { slirp4netnsCommand } from './slirp4netns.ts';

/** A spec with the network that it can have here, and the command that connects it; none for other networks. */
export interface ConnectedSpec {
  readonly spec: SandboxSpec;
  readonly command: readonly string[];
  /** Of /etc/resolv.conf, where the network is the sandbox's own. */
  readonly resolvConf: string;
}

/** @param machineRoot whether this process is root outside of user namespaces */
export async function connectSandbox(
  outside: OutsideNetwork,
  spec: SandboxSpec,
  machineRoot: boolean,
): Promise<ConnectedSpec> {
  if (spec.network !== 'default') return { spec, command: [], resolvConf: '' };
  const way = await outside.way();
  const loopbackPorts = spec.loopbackPorts ?? [];
  switch (way.kind) {
    case 'pasta': {
      const { text, forwarded } = await readNameServers();
      const options = { routes: way.routes, machineRoot, loopbackPorts, forwardNames: forwarded };
      return { spec, command: pastaCommand(way.file, options), resolvConf: text };
    }
    case 'slirp4netns':
      if (loopbackPorts.length > 0) {
        outside.warn(
          `steps cannot reach the proxy on this machine's loopback through slirp4netns: install pasta (Debian: apt-get install -y passt)`,
        );
      }
      return { spec, command: slirp4netnsCommand(way.file, way.routes), resolvConf: (await readNameServers()).text };
    case 'host':
      return { spec: { ...spec, network: 'host' }, command: [], resolvConf: '' };
    case 'offline':
      return { spec: { ...spec, network: 'none' }, command: [], resolvConf: '' };
    default:
      throw unreachable(way);
  }
}

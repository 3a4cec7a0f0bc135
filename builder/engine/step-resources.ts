import { loopbackProxyPorts, type SandboxSpec } from '../../runtime/index.ts';
import type { StepNetwork } from '../plan/plan.ts';
import type { BuildOptions } from './build-context.ts';

/** The same in every build, since programs write it into files. */
export const stepHostname = 'kiln';

/** What the container of a step has of the machine: its network, and as much as is allowed. */
export function stepResources(
  { limits, proxies }: Pick<BuildOptions, 'proxies'> & { readonly limits?: SandboxSpec['limits'] | undefined },
  network: StepNetwork,
): Pick<SandboxSpec, 'network' | 'limits' | 'loopbackPorts'> {
  return {
    network,
    ...(limits === undefined ? {} : { limits }),
    ...(network === 'default' ? { loopbackPorts: loopbackProxyPorts(proxies) } : {}),
  };
}

import { readFile } from 'node:fs/promises';
import { Workshop } from '../builder/index.ts';
import { platformOf } from '../core/index.ts';
import { describePrivilege, openLauncher } from '../runtime/index.ts';
import type { Context } from './context.ts';
import { type RegistryFlags, remoteOptions } from './registry-flags.ts';
import { homeOf, makeHome } from './store.ts';
import { warn } from './warn.ts';

export { proxyVariables } from './proxies.ts';

/** All that builds, pushes, pulls and runs work with. */
export async function openWorkshop(context: Context, registryFlags: Partial<RegistryFlags> = {}): Promise<Workshop> {
  const home = await makeHome(homeOf(context));
  const [launcher, privilege, bootId] = await Promise.all([
    openLauncher({ signal: context.signal, onWarning: (text) => warn(context, text) }),
    describePrivilege(),
    readBootId(),
  ]);
  return Workshop.open(
    {
      home,
      launcher,
      remote: remoteOptions(context, registryFlags),
      clock: context.clock,
      platform: platformOf(process.arch),
      userXattrs: privilege.kind === 'user-namespace',
      bootId,
      onWarning: (text) => warn(context, text),
    },
    { signal: context.signal },
  );
}

async function readBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}

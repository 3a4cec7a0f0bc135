import { readFile } from 'node:fs/promises';
import { Workshop } from '../builder/index.ts';
import { platformOf } from '../core/index.ts';
import { type CredentialStore, openCredentials } from '../registry/index.ts';
import { describePrivilege, openLauncher } from '../runtime/index.ts';
import type { Context, Environment } from './context.ts';
import { credentialFiles, currentUser } from './paths.ts';
import { homeOf, makeHome } from './store.ts';
import { harmlessLine } from './terminal-text.ts';
import { kilnVersion } from './version.ts';

/** All that builds, pushes, pulls and runs work with. */
export async function openWorkshop(context: Context): Promise<Workshop> {
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
      credentials: openCredentialStore(context),
      clock: context.clock,
      platform: platformOf(process.arch),
      userXattrs: privilege.kind === 'user-namespace',
      bootId,
      userAgent,
      onWarning: (text) => warn(context, text),
    },
    { signal: context.signal },
  );
}

/** What Kiln calls itself to registries. */
export const userAgent = `kiln/${kilnVersion}`;

export function openCredentialStore({ env, folder }: Context): CredentialStore {
  return openCredentials({
    files: credentialFiles(env, currentUser(), folder),
    ...(env.DOCKER_AUTH_CONFIG === undefined ? {} : { dockerAuthConfig: env.DOCKER_AUTH_CONFIG }),
  });
}

/** One line on stderr; the text may come from a registry. */
export function warn({ terminal }: Pick<Context, 'terminal'>, text: string): void {
  terminal.say(`kiln: warning: ${harmlessLine(text)}`);
}

/** HTTP_PROXY and its kin in both cases, for what runs in a build. */
export function proxyVariables(env: Environment): Record<string, string> {
  const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'ALL_PROXY', 'FTP_PROXY'];
  return Object.fromEntries(
    names
      .flatMap((name) => [name, name.toLowerCase()])
      .flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])),
  );
}

async function readBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}

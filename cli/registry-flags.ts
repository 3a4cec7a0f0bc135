import { type CredentialStore, openCredentials, type RemoteOptions } from '../registry/index.ts';
import type { FlagTable, FlagValues } from './command.ts';
import type { Context } from './context.ts';
import { credentialFiles, currentUser } from './paths.ts';
import { kilnVersion } from './version.ts';
import { warn } from './warn.ts';

/** Flags of every verb that speaks to a registry. */
export const registryFlags = {
  insecure: { kind: 'switch', summary: 'Take any TLS certificate, and http where https does not answer' },
  'plain-http': { kind: 'switch', summary: 'Speak http to registries' },
  debug: { kind: 'switch', summary: 'Show each request on stderr, without secrets' },
} as const satisfies FlagTable;

export type RegistryFlags = FlagValues<typeof registryFlags>;

/** How registries are spoken to: credentials, mirrors, certificates, as the machine's files and the flags say. */
export function remoteOptions(context: Context, flags: Partial<RegistryFlags> = {}): RemoteOptions {
  return {
    credentials: openCredentialStore(context),
    userAgent,
    onWarning: (text) => warn(context, text),
    ...(flags['plain-http'] ? { plainHttp: true } : {}),
  };
}

/** What Kiln calls itself to registries. */
export const userAgent = `kiln/${kilnVersion}`;

export function openCredentialStore({ env, folder }: Context): CredentialStore {
  return openCredentials({
    files: credentialFiles(env, currentUser(), folder),
    ...(env.DOCKER_AUTH_CONFIG === undefined ? {} : { dockerAuthConfig: env.DOCKER_AUTH_CONFIG }),
  });
}

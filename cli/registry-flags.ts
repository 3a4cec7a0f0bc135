import path from 'node:path';
import { ToolError } from '../core/index.ts';
import {
  type CredentialStore,
  type Hosts,
  openCredentials,
  openHosts,
  type RegistryExchange,
  type RemoteOptions,
  type SaidOnCommandLine,
} from '../registry/index.ts';
import { absentFlags } from './command.ts';
import { type ConnectionFlags, type RegistryFlags, registryFlags } from './connection-flags.ts';
import type { Context } from './context.ts';
import { credentialFiles, currentUser, hostSources } from './paths.ts';
import { proxyVariables } from './proxies.ts';
import { FlagCredentials } from './registry-credentials.ts';
import { harmlessLine } from './terminal-text.ts';
import { kilnVersion } from './version.ts';
import { warn } from './warn.ts';

export {
  type ConnectionFlags,
  connectionFlags,
  type RegistryFlags,
  registryFlags,
} from './connection-flags.ts';

/**
 * How registries are spoken to: credentials, mirrors, certificates, as the machine's files and the flags say. Flags name
 * credentials of one registry: the first that is spoken to by name. No other, and no mirror of it, gets them.
 * @throws ToolError USAGE_CREDENTIALS, USAGE_REGISTRY_FLAGS
 */
export function remoteOptions(context: Context, given: Partial<RegistryFlags> = {}): RemoteOptions {
  const flags = { ...absentFlags(registryFlags), ...given };
  const saved = openCredentialStore(context, flags);
  const named = FlagCredentials.from(context, flags, saved);
  const hosts = openRegistryHosts(context, flags);
  const insecure = flags.insecure || flags['tls-verify'] === false;
  return {
    credentials: named ?? saved,
    userAgent,
    proxies: proxyVariables(context.env),
    hosts: named === undefined ? hosts : named.watching(hosts),
    onWarning: (text) => warn(context, text),
    ...(flags['plain-http'] ? { plainHttp: true } : {}),
    ...(insecure ? { insecure: true } : {}),
    ...(flags.debug ? { onExchange: (exchange) => context.terminal.say(exchangeLine(exchange)) } : {}),
  };
}

/** What Kiln calls itself to registries. */
export const userAgent = `kiln/${kilnVersion}`;

/** The files with credentials; with --authfile that file alone. */
export function openCredentialStore(
  { env, folder }: Pick<Context, 'env' | 'folder'>,
  flags: Partial<Pick<ConnectionFlags, 'authfile' | 'registry-config'>> = {},
): CredentialStore {
  const file = flags.authfile ?? flags['registry-config'];
  if (file !== undefined) return openCredentials({ files: [path.resolve(folder, file)] });
  return openCredentials({
    files: credentialFiles(env, currentUser(), folder),
    ...(env.DOCKER_AUTH_CONFIG === undefined ? {} : { dockerAuthConfig: env.DOCKER_AUTH_CONFIG }),
  });
}

/** What the machine's files and the flags say of registries, and what short names mean. */
export function openRegistryHosts(
  { env, folder }: Pick<Context, 'env' | 'folder'>,
  flags: Partial<ConnectionFlags> = {},
): Hosts {
  const said = saidOnCommandLine(flags, folder);
  return openHosts({ ...hostSources(env, currentUser(), folder), said }, { parseToml });
}

function saidOnCommandLine(flags: Partial<ConnectionFlags>, folder: string): SaidOnCommandLine {
  const verifyTls = flags.insecure ? false : flags['tls-verify'];
  const certificateFolder = flags['cert-dir'];
  const authorities = flags['ca-file'];
  return {
    ...(flags['plain-http'] ? { plainHttp: true } : {}),
    ...(verifyTls === undefined ? {} : { verifyTls }),
    ...(certificateFolder === undefined ? {} : { certificateFolder: path.resolve(folder, certificateFolder) }),
    ...(authorities === undefined ? {} : { authorities: path.resolve(folder, authorities) }),
  };
}

/** Loaded when there is a file to read. Its lines are not shown: what they set may be a secret. */
async function parseToml(text: string, file: string): Promise<Readonly<Record<string, unknown>>> {
  const builder = await import('../builder/index.ts');
  try {
    return builder.parseToml(text, file, { area: 'REGISTRY_CONFIG' }).value;
  } catch (error) {
    const problem = error instanceof builder.BuildfileError ? error.problems[0] : undefined;
    if (problem === undefined) throw error;
    const { line, column } = problem.position;
    throw new ToolError('REGISTRY_CONFIG_INVALID', `line ${line}, column ${column}: ${problem.message}`);
  }
}

function exchangeLine({ method, url, status, milliseconds, bytes, failure }: RegistryExchange): string {
  const outcome = status === undefined ? 'no answer' : `${status} ${bytes} bytes`;
  const ended = failure === undefined ? '' : ` ${failure}`;
  return harmlessLine(`debug: ${method} ${url} ${outcome}${ended} ${Math.round(milliseconds)} ms`);
}

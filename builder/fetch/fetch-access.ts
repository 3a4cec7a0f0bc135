import type { CallOptions } from '../../core/index.ts';
import type { SecretSource } from '../engine/build-context.ts';

/** What a fetch may use of its surroundings; nothing of it reaches a key, a layer or a log. */
export interface FetchAccess extends CallOptions {
  /** HTTP_PROXY and its kin. */
  readonly proxies: Readonly<Record<string, string>>;
  readonly secrets: SecretSource;
  /** Sockets of ssh agents by id. */
  readonly sshAgents: ReadonlyMap<string, string>;
  /** The keys of hosts that ssh trusts, besides /etc/ssh/ssh_known_hosts: absolute path. */
  readonly sshKnownHosts?: string | undefined;
  /** Host of the repository that the Buildfile names: secrets of git that are for no host are for this one. */
  readonly gitHost?: string | undefined;
  readonly onStatus?: ((text: string) => void) | undefined;
  /** Silence of the other side that ends a fetch. */
  readonly stallMs?: number | undefined;
  readonly retryDelayMs?: number | undefined;
}

/** The text of a secret without the line break that editors put behind it; the first that exists. */
async function findSecret(ids: readonly string[], access: FetchAccess): Promise<string | undefined> {
  for (const id of ids) {
    const bytes = await access.secrets.find(id, access);
    const text = bytes?.toString('utf8').trim();
    if (text !== undefined && text !== '') return text;
  }
  return undefined;
}

/**
 * What to send as `Authorization`: the secrets are named as BuildKit names them, PREFIX_AUTH_HEADER and
 * PREFIX_AUTH_TOKEN, with the host behind `separator`.
 */
export async function findAuthorization(
  host: { readonly host: string; readonly hostname: string },
  ids: { readonly prefix: 'HTTP' | 'GIT'; readonly token: (token: string) => string },
  access: FetchAccess,
): Promise<string | undefined> {
  const separator = ids.prefix === 'HTTP' ? '_' : '.';
  const names = (kind: string) => [
    `${ids.prefix}_AUTH_${kind}${separator}${host.host}`,
    `${ids.prefix}_AUTH_${kind}${separator}${host.hostname}`,
    ...(ids.prefix === 'GIT' && host.host === access.gitHost ? [`GIT_AUTH_${kind}`] : []),
  ];
  const header = await findSecret(names('HEADER'), access);
  const token = header === undefined ? await findSecret(names('TOKEN'), access) : undefined;
  const value = header ?? (token === undefined ? undefined : ids.token(token));
  // A line break would be a second header.
  return value === undefined || /[\u0000-\u001f\u007f]/.test(value) ? undefined : value;
}

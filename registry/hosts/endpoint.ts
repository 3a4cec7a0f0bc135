import type { CallOptions, Reference } from '../../core/index.ts';

/** How the other side proves who it is, and we who we are. All PEM. */
export interface TlsSettings {
  /** Authorities that are trusted beside those of the system. */
  readonly authorities?: readonly string[];
  readonly client?: { readonly certificate: string; readonly key: string };
  /** Takes any certificate; only when the user said so. */
  readonly skipVerify?: boolean;
}

export type EndpointCapability = 'pull' | 'resolve' | 'push';

/** One address at which a repository can be asked for: the registry itself, or a mirror of it. */
export interface RegistryEndpoint {
  /** Up to the repository's name, with a slash at its end: `https://mirror.example/v2/`. */
  readonly base: URL;
  /** The repository's name at this address. */
  readonly repository: string;
  /** `host[:port]` whose credentials belong to it: the exact host of `base`, or the registry's own name. */
  readonly credentialsOf: string;
  readonly capabilities: ReadonlySet<EndpointCapability>;
  /** Which references it is asked for; all unless said. */
  readonly answers?: 'digests' | 'tags';
  readonly tls: TlsSettings;
  /** Of an https address: asked by plain http where nothing answers by TLS; only when the user said so. */
  readonly orPlainHttp?: boolean;
  /** Sent with each request, such as what hosts.toml wants. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Added to each URL, such as `ns=docker.io` for mirrors of containerd. */
  readonly query?: Readonly<Record<string, string>>;
  readonly isMirror: boolean;
}

/** Knows at which addresses registries answer, and on what terms. */
export interface HostConfiguration {
  /**
   * Where a repository is asked for, in the order to try. The first that may push is the one to push to; the registry
   * itself comes last.
   * @throws ToolError REGISTRY_BLOCKED, REGISTRY_CONFIG_INVALID
   */
  endpoints(
    reference: Pick<Reference, 'registry' | 'repository'>,
    options?: CallOptions,
  ): Promise<readonly RegistryEndpoint[]>;
}

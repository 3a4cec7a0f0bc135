import type { CallOptions, Clock } from '../../core/index.ts';
import type { OciLayout } from '../layout/oci-layout.ts';
import type { RegistryGarbage } from './garbage.ts';
import type { WebhookOptions } from './webhooks.ts';

export interface ServeOptions extends CallOptions {
  /** 127.0.0.1 and a free port unless said. */
  readonly listen?: { readonly host?: string; readonly port?: number };
  /** A folder of its own, which is made when there is none; or, to be read only, the images that a layout names. */
  readonly content: { readonly root: string } | { readonly store: OciLayout };
  readonly readOnly?: boolean;
  /** DELETE of manifests, tags and blobs; allowed unless false. */
  readonly mayDelete?: boolean;
  readonly auth?: ServeAuth;
  readonly tls?: ServeTls;
  readonly webhooks?: WebhookOptions;
  /** No limit unless said. */
  readonly maxUploadBytes?: number;
  /** Collecting of garbage while serving; none unless said. */
  readonly garbage?: { readonly intervalMs: number; readonly untagged?: boolean };
  /** What nobody refers to stays at least so long after it was uploaded or asked for; a day unless said. */
  readonly graceMs?: number;
  /** How long requests under way may take after the signal; ten seconds unless said. */
  readonly stopMs?: number;
  readonly clock: Clock;
  readonly userAgent?: string;
  readonly onWarning?: (text: string) => void;
  readonly onRequest?: (entry: AccessEntry) => void;
}

export type ServeAuth =
  /** File with users and bcrypt hashes, read again when it changes. */
  | { readonly htpasswd: string }
  | {
      readonly token: {
        readonly realm: string;
        readonly service: string;
        readonly issuer: string;
        /** PEM certificates or public keys, or a JWKS. */
        readonly keys: string;
      };
    };

/** All PEM. */
export interface ServeTls {
  readonly certificate: string;
  readonly key: string;
  /** Clients must have a certificate of one of these. */
  readonly clientAuthorities?: string;
}

/** One request, for a log. Nothing in it authenticates anybody. */
export interface AccessEntry {
  /** When it came, milliseconds since the epoch. */
  readonly atMs: number;
  readonly address: string;
  readonly user: string | undefined;
  readonly method: string;
  /** Path and query as the client sent them. */
  readonly target: string;
  /** 499 where the client went away first. */
  readonly status: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly durationMs: number;
  readonly userAgent: string;
}

export interface RunningRegistry extends AsyncDisposable {
  /** `host:port`, as in the names of images. */
  readonly host: string;
  /** `http://host:port` */
  readonly url: string;
  /** Resolves when it has stopped, by the signal or by disposing. */
  readonly stopped: Promise<void>;
  /** Collects garbage now. @throws ToolError SERVE_READ_ONLY */
  collectGarbage(options?: CallOptions & { readonly untagged?: boolean }): Promise<RegistryGarbage>;
}

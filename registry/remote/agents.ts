import type { ClientRequest, Agent as HttpAgent, IncomingMessage, RequestOptions } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import type { SecureContext } from 'node:tls';
import { type ProxyVariables, proxyFor, ToolError } from '../../core/index.ts';
import type { TlsSettings } from '../hosts/endpoint.ts';

/** How one URL is reached: what axios wants to know of it. */
export interface Way {
  readonly agents: { readonly httpAgent?: HttpAgent; readonly httpsAgent?: HttpsAgent };
  readonly request: (options: RequestOptions, answered: (response: IncomingMessage) => void) => ClientRequest;
  /** Undefined when it is reached directly. May hold a password. */
  readonly proxy: URL | undefined;
}

/** Connections that stay open between exchanges: a pool for each proxy and each set of TLS settings. */
export class Agents {
  readonly #proxies: ProxyVariables;
  readonly #httpPools = new Map<string, HttpAgent>();
  readonly #httpsPools = new Map<string, HttpsAgent>();

  constructor(proxies: ProxyVariables = {}) {
    this.#proxies = proxies;
  }

  /** @throws ToolError PROXY_INVALID, REGISTRY_TLS */
  async way(url: URL, settings: TlsSettings = {}): Promise<Way> {
    const proxy = proxyFor(url, this.#proxies);
    const proxied = proxy === undefined ? {} : { proxyEnv: { HTTP_PROXY: proxy.href, HTTPS_PROXY: proxy.href } };
    // node:http loads all of undici, node:tls the certificates: only when a request is really made.
    if (url.protocol === 'http:') {
      const { Agent, request } = await import('node:http');
      const key = proxy?.href ?? '';
      const httpAgent = this.#httpPools.get(key) ?? new Agent({ keepAlive: true, ...proxied });
      this.#httpPools.set(key, httpAgent);
      return { agents: { httpAgent }, request, proxy };
    }
    const { Agent, request } = await import('node:https');
    const key = JSON.stringify([proxy?.href, settings.authorities, settings.client, settings.skipVerify]);
    let httpsAgent = this.#httpsPools.get(key);
    if (httpsAgent === undefined) {
      const secureContext = await makeSecureContext(settings, url);
      const rejectUnauthorized = settings.skipVerify !== true;
      httpsAgent = new Agent({ keepAlive: true, secureContext, rejectUnauthorized, ...proxied });
      this.#httpsPools.set(key, httpsAgent);
    }
    return { agents: { httpsAgent }, request, proxy };
  }
}

/** Node trusts what it was built with and NODE_EXTRA_CA_CERTS; the machine's own authorities are trusted too. */
async function makeSecureContext(settings: TlsSettings, url: URL): Promise<SecureContext> {
  const { createSecureContext, getCACertificates } = await import('node:tls');
  const { authorities = [], client } = settings;
  const trusted = new Set([...getCACertificates('default'), ...getCACertificates('system'), ...authorities]);
  try {
    return createSecureContext({
      ca: [...trusted],
      ...(client === undefined ? {} : { cert: client.certificate, key: client.key }),
    });
  } catch {
    // What OpenSSL says of a key may hold parts of it.
    throw new ToolError('REGISTRY_TLS', `the certificates or the key configured for ${url.host} cannot be used`, {
      hint: 'check that the files are PEM, and that the key belongs to the certificate and has no password',
    });
  }
}
